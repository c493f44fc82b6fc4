"""OCPP 2.0.1: the central system's side, and an emulated station's."""
