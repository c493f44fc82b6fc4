"""Charge points by OCPP 1.6J and 2.0.1: a central system whose connectors are devices of the agents."""

from environments.devices.ocpp.central_system import CentralSystem
from environments.devices.ocpp.device import ChargePointDevice
from environments.devices.ocpp.settings import CentralSystemSettings, ChargePointSettings, Rate
from environments.devices.ocpp.station import ChargePointHealth

__all__ = [
    "CentralSystem",
    "CentralSystemSettings",
    "ChargePointDevice",
    "ChargePointHealth",
    "ChargePointSettings",
    "Rate",
]
