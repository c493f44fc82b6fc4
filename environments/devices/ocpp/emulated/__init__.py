"""Emulated charge points: their connectors, vehicles and charging profiles, whatever the version."""

from environments.devices.ocpp.emulated.charge_point import EmulatedChargePoint, EmulatedSettings
from environments.devices.ocpp.emulated.vehicle import EmulatedVehicle

__all__ = ["EmulatedChargePoint", "EmulatedSettings", "EmulatedVehicle"]
