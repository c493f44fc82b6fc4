"""Emulated charge points of either version, ready to run."""

from behaviours.ports import Clock
from environments.devices.ocpp.emulated import EmulatedChargePoint, EmulatedSettings
from environments.devices.ocpp.v16.emulated_side import EmulatedSide16
from environments.devices.ocpp.v201.emulated_side import EmulatedSide201

__all__ = ["VERSIONS", "emulated"]

VERSIONS = ("1.6", "2.0.1")


def emulated(settings: EmulatedSettings, clock: Clock) -> EmulatedChargePoint:
    """Return a charge point that speaks the version that its settings name."""
    side = EmulatedSide16 if settings.version == "1.6" else EmulatedSide201
    return EmulatedChargePoint(settings, clock, side)
