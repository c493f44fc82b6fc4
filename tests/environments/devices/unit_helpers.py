"""A D-STATCOM of a simulated street, guarded as on the wire, and a clock that stands where it is put."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from environments.devices.dstatcom_frames import CommandFrame
from environments.devices.dstatcom_unit import GuardedUnit
from environments.simulation.world import FeederSettings, SiteSettings, World, WorldSettings
from environments.wire.frames import iso, write_frame
from ontology.assets import Phases
from ontology.base import Concept
from ontology.grid import DstatcomMode, DstatcomStatus

__all__ = ["START_S", "At", "command", "guarded", "loaded_street", "status_in"]

START_S = 1_704_906_000


class At:
    """A clock that stands where it is put."""

    def __init__(self, now_s: float = START_S + 900) -> None:
        self.value_s = now_s

    def now_s(self) -> float:
        return self.value_s

    def call_at(self, when_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        raise NotImplementedError

    async def sleep_until(self, when_s: float) -> None:
        self.value_s = max(self.value_s, when_s)


def loaded_street() -> World:
    """Return a street that is mostly on its first phase, an interval into its evening."""
    phases = [Phases.L1, Phases.L1, Phases.L2, Phases.L1, Phases.L3, Phases.L1]
    sites = tuple(
        SiteSettings(id=f"h{i:03d}", annual_kwh=15_000, zone="Europe/Berlin", phases=phases[i])
        for i in range(6)
    )
    world = World(WorldSettings(start_s=START_S, step_s=900, feeder=FeederSettings(), sites=sites))
    world.step()
    return world


def guarded(clock: At, **settings: Any) -> GuardedUnit:
    """Return the street's unit behind its guard."""
    (unit,) = loaded_street().compensators()
    return GuardedUnit(unit, clock, **settings)


def command(
    clock: At, mode: str = "BALANCE", command_id: str = "c1", valid_s: int = 60, **changes: Any
) -> bytes:
    """Return a command of now as JSON, some of it changed."""
    frame = CommandFrame(
        id=command_id,
        time=iso(clock.now_s()),
        mode=DstatcomMode.VOLT,
        valid_s=valid_s,
        p=[3_000.0, 0.0, 0.0],
    )
    return msgspec.json.encode(msgspec.json.decode(write_frame(frame)) | {"mode": mode} | changes)


def status_in(percepts: Any) -> DstatcomStatus:
    """Return the state among percepts."""
    found: list[Concept] = [each for each in percepts if isinstance(each, DstatcomStatus)]
    (status,) = found
    assert isinstance(status, DstatcomStatus)
    return status
