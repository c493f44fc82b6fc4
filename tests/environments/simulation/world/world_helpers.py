"""Small worlds and instructions for the tests of the world."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import numpy as np

from environments.simulation.world import (
    BatterySettings,
    EvSettings,
    HeatPumpSettings,
    HotWaterSettings,
    PvSettings,
    SiteSettings,
    World,
    WorldSettings,
)
from environments.simulation.world.devices import SiteDevice
from ontology.base import Concept
from ontology.control import Instruction, InstructionState

DEVICES = ("base", "pv", "battery", "ev", "heat_pump", "dhw", "lighting")


def epoch(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


WINTER, SUMMER = epoch("2024-01-15"), epoch("2024-06-18")


def full_site(name: str = "h001", **changes: Any) -> SiteSettings:
    parts: dict[str, Any] = {
        "pv": PvSettings(kwp=8.0),
        "battery": BatterySettings(capacity_wh=8_000, power_w=4_000),
        "ev": EvSettings(capacity_wh=58_000),
        "heat_pump": HeatPumpSettings(),
        "hot_water": HotWaterSettings(),
    }
    return SiteSettings(id=name, **(parts | changes))


def bare_site(name: str = "h001", **parts: Any) -> SiteSettings:
    return SiteSettings(id=name, **parts)


def world(*sites: SiteSettings, start_s: int = SUMMER, **changes: Any) -> World:
    return World(WorldSettings(start_s=start_s, sites=sites or (full_site(),), **changes))


def device(model: World, name: str, site: str = "h001") -> SiteDevice:
    return next(each for each in model.devices(site) if each.name == name)


def percepts(model: World, name: str, site: str = "h001") -> list[Concept]:
    return list(asyncio.run(device(model, name, site).percepts()))


def tell(model: World, name: str, *, site: str = "h001", seconds: int = 900, **what: Any) -> InstructionState:
    start_s = what.pop("execution_time_s", model.now_s)
    instruction = Instruction(
        instruction_id=f"{site}-{name}-{model.now_s}",
        asset_id=f"{site}-{name}",
        execution_time_s=start_s,
        valid_until_s=start_s + seconds,
        **what,
    )
    return asyncio.run(device(model, name, site).instruct(instruction)).status


def run(model: World, intervals: int = 96) -> dict[str, np.ndarray]:
    for _ in range(intervals):
        model.step_interval()
    return model.site_table()
