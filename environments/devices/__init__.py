"""Adapters of devices: the ports `Device` and `PhaseCompensator` over the protocols of the field."""
