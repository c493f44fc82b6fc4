"""The physical world: a Mesa model of households, vehicles, batteries, buildings, weather and feeders."""

from environments.simulation.world.meter_csv import MeterReadings, read_meter_csv
from environments.simulation.world.settings import (
    BatterySettings,
    CompensatorSettings,
    EvSettings,
    FeederSettings,
    HeatPumpSettings,
    HotWaterSettings,
    LightingSettings,
    PvSettings,
    SiteSettings,
    WorldSettings,
    problems,
)
from environments.simulation.world.weather import Weather
from environments.simulation.world.world import World

__all__ = [
    "BatterySettings",
    "CompensatorSettings",
    "EvSettings",
    "FeederSettings",
    "HeatPumpSettings",
    "HotWaterSettings",
    "LightingSettings",
    "MeterReadings",
    "PvSettings",
    "SiteSettings",
    "Weather",
    "World",
    "WorldSettings",
    "problems",
    "read_meter_csv",
]
