"""Charge points on sockets: how soon they hold what they are told, one after the other and all at once."""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from environments.devices.ocpp import CentralSystem, CentralSystemSettings, ChargePointSettings
from environments.devices.ocpp.emulated import EmulatedChargePoint, EmulatedSettings, EmulatedVehicle
from environments.devices.ocpp.emulation import VERSIONS, emulated
from environments.repository.agent_store import SqliteAgentStore
from environments.simulation.clock import WallClock
from ontology.charging import ChargingSchedule
from ontology.control import Instruction, InstructionState, Priority

__all__ = ["rows"]

POINTS, LIMITS = 50, 300
PASSWORD = secrets.token_urlsafe(18)
CLOCK = WallClock()


def rows() -> Sequence[Mapping[str, Any]]:
    """Return a row for each version of OCPP; times in ms."""
    return [asyncio.run(_measured(version)) for version in VERSIONS]


async def _measured(version: str) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").touch(mode=0o600)
        (folder / "password").write_text(PASSWORD)
        store = SqliteAgentStore(folder / "agents.sqlite")
        async with CentralSystem(_settings(folder), store, CLOCK) as central:
            points = [_point(central, version, number) for number in range(POINTS)]
            running = [asyncio.create_task(point.run()) for point in points]
            try:
                return {"OCPP": version} | await _figures(central, points)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)


async def _figures(central: CentralSystem, points: Sequence[EmulatedChargePoint]) -> Mapping[str, Any]:
    began_s = time.perf_counter()
    await _until(lambda: all(len(point.profiles.held) > 1 for point in points))
    settled_s = time.perf_counter() - began_s
    for point in points:
        point.plug(EmulatedVehicle(), "CARD")
    stations = list(central.stations.values())
    await _until(lambda: all(station.record.running(1) for station in stations))
    devices = central.devices()
    alone_ms = [await _limit_ms(central, number % POINTS, 5_000 + number) for number in range(LIMITS)]
    began_s = time.perf_counter()
    await asyncio.gather(*(_limit_ms(central, number, 4_900) for number in range(POINTS)))
    together_ms = (time.perf_counter() - began_s) * 1_000
    plans_ms = []
    for device, station in zip(devices, stations, strict=True):
        running = station.record.running(1)
        assert running is not None
        powers = [5_000 + 50 * step for step in range(96)]
        plan = ChargingSchedule(session_id=running.session_id, start_s=int(CLOCK.now_s()), power_w=powers)
        began_s = time.perf_counter()
        assert await device.follow(plan) is InstructionState.STARTED
        plans_ms.append((time.perf_counter() - began_s) * 1_000)
    return {
        f"{POINTS} points connected and settled, s": settled_s,
        "limit, median": float(np.median(alone_ms)),
        "limit, p95": float(np.quantile(alone_ms, 0.95)),
        f"{POINTS} limits at once, the last": together_ms,
        "plan of 96 periods, median": float(np.median(plans_ms)),
        "p95": float(np.quantile(plans_ms, 0.95)),
    }


async def _limit_ms(central: CentralSystem, number: int, limit_w: int) -> float:
    """Return how long it takes until a charge point has acknowledged a limit that the grid commands."""
    device, now_s = central.devices()[number], int(CLOCK.now_s())
    began_s = time.perf_counter()
    status = await device.instruct(
        Instruction(
            instruction_id=f"{number}-{limit_w}",
            asset_id=device.name,
            execution_time_s=now_s,
            valid_until_s=now_s + 900,
            power_max_w=limit_w,
            priority=Priority.DSO_RED,
        )
    )
    assert status.status is InstructionState.STARTED
    return (time.perf_counter() - began_s) * 1_000


def _settings(folder: Path) -> CentralSystemSettings:
    points = tuple(
        ChargePointSettings(
            identity=f"CP-{number}", password_file=str(folder / "password"), names=(f"ev-{number}",)
        )
        for number in range(POINTS)
    )
    return CentralSystemSettings(charge_points=points, port=0, security_profile=1, free=True)


def _point(central: CentralSystem, version: str, number: int) -> EmulatedChargePoint:
    settings = EmulatedSettings(central.url, f"CP-{number}", PASSWORD, version, tick_s=0.5)
    return emulated(settings, CLOCK)


async def _until(is_so: Any) -> None:
    while not is_so():
        await CLOCK.sleep_until(CLOCK.now_s() + 0.02)
