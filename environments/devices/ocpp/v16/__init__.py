"""OCPP 1.6J: the central system's side, and an emulated charge point's."""
