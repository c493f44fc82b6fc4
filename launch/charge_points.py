"""Charge points by themselves: a central system that tells what they say, and emulated ones that come."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from behaviours.ports import AgentStore, Clock
from environments.devices.ocpp import CentralSystem, CentralSystemSettings, ChargePointSettings
from environments.devices.ocpp.emulated import EmulatedChargePoint, EmulatedSettings, EmulatedVehicle
from environments.devices.ocpp.emulation import VERSIONS, emulated
from environments.devices.ocpp.settings import password_in
from environments.simulation.clock import WallClock
from environments.wire.addresses import trust_in
from environments.wire.frames import frame_of
from ontology.base import Concept
from ontology.control import Instruction, Priority
from ontology.errors import InvalidInput, Problem, Unavailable, problem

__all__ = ["Emulation", "central_settings", "emulate", "emulation_settings", "listen"]

_READ_S = 2.0
_LIMIT_S = 86_400


def central_settings(path: Path) -> CentralSystemSettings:
    """Read a central system's settings from YAML; files that it names are beside it.

    Raises: InvalidInput with everything that is wrong, field by field.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(problem(str(path), str(error), "a file in YAML")) from None
    if not isinstance(content, dict):
        raise InvalidInput(problem(str(path), content, "keys and values: charge_points, port, …"))
    wrong, points = list[Problem](), list[ChargePointSettings]()
    listed = content.pop("charge_points", [])
    for number, each in enumerate(listed if isinstance(listed, list) else [listed]):
        try:
            points.append(frame_of(ChargePointSettings, each))
        except InvalidInput as error:
            wrong += [_below(f"charge_points[{number}]", found) for found in error.problems]
    try:
        settings = frame_of(CentralSystemSettings, content | {"charge_points": []})
    except InvalidInput as error:
        raise InvalidInput([*error.problems, *wrong]) from None
    if wrong:
        raise InvalidInput(wrong)
    return _beside(path.parent, msgspec.structs.replace(settings, charge_points=tuple(points)))


def _below(path: str, found: Problem) -> Problem:
    return Problem(f"{path}.{found.path}".rstrip("."), found.value, found.expected)


def _beside(folder: Path, settings: CentralSystemSettings) -> CentralSystemSettings:
    """Return settings whose files are where the settings' own file is."""

    def found(name: str) -> str:
        return str(folder / name) if name else ""

    points = tuple(
        msgspec.structs.replace(each, password_file=found(each.password_file))
        for each in settings.charge_points
    )
    return msgspec.structs.replace(
        settings,
        charge_points=points,
        certificate=found(settings.certificate),
        key=found(settings.key),
        tokens=found(settings.tokens),
    )


async def listen(
    settings: CentralSystemSettings,
    store: AgentStore,
    told: Callable[[str, Concept], None],
    ready: Callable[[CentralSystem], None],
    *,
    limit_w: int | None = None,
) -> None:
    """Serve charge points until cancelled, and pass on what they report; a limit holds for each for a day.

    Raises: InvalidInput when the settings are wrong, Unavailable when the address is taken.
    """
    clock = WallClock()
    async with CentralSystem(settings, store, clock) as central:
        ready(central)
        if limit_w is not None:
            for device in central.devices():
                await _tried(device.instruct(_limit(device.name, limit_w, clock)))
        last: dict[str, Concept] = {}
        while True:
            for device in central.devices():
                for report in await _tried(device.percepts()) or ():
                    if last.get(device.name) != report:
                        told(device.name, report)
                    last[device.name] = report
            await clock.sleep_until(clock.now_s() + _READ_S)


async def _tried(work: Any) -> Any:
    try:
        return await work
    except Unavailable:
        return None


def _limit(name: str, limit_w: int, clock: Clock) -> Instruction:
    now_s = int(clock.now_s())
    return Instruction(
        instruction_id=f"limit-{now_s}",
        asset_id=name,
        execution_time_s=now_s,
        valid_until_s=now_s + _LIMIT_S,
        power_max_w=limit_w,
        priority=Priority.USER,
    )


class Emulation(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at an emulated charge point: who comes, how full, for how long, and how often (s)."""

    token: str
    arrival_state_of_charge: float = 0.3
    capacity_wh: float = 60_000.0
    after_s: float = 2.0
    stay_s: float = 3_600.0
    pause_s: float = 600.0


def emulation_settings(
    url: str, identity: str, password_file: Path, version: str, ca_file: Path | None, **more: Any
) -> EmulatedSettings:
    """Return what an emulated charge point is told.

    Raises: InvalidInput with everything that is wrong.
    """
    wrong, password, trust = list[Problem](), "", None
    secured = url.startswith("wss://")
    if not secured and not url.startswith("ws://"):
        wrong.append(problem("--url", url, "an address that begins with ws:// or wss://"))
    if version not in VERSIONS:
        wrong.append(problem("--version", version, " or ".join(VERSIONS)))
    try:
        password = password_in(str(password_file))
    except InvalidInput as error:
        wrong += error.problems
    try:
        trust = trust_in(ca_file) if secured else None
    except InvalidInput as error:
        wrong += error.problems
    if wrong:
        raise InvalidInput(wrong)
    return EmulatedSettings(
        url=url.rstrip("/"), identity=identity, password=password, version=version, trust=trust, **more
    )


async def emulate(
    settings: EmulatedSettings, emulation: Emulation, told: Callable[[EmulatedChargePoint, str], None]
) -> None:
    """Be a charge point until cancelled: vehicles come and go, one after the other."""
    import asyncio

    clock = WallClock()
    point = emulated(settings, clock)
    running = asyncio.create_task(point.run())
    try:
        await clock.sleep_until(clock.now_s() + emulation.after_s)
        while True:
            vehicle = EmulatedVehicle(emulation.capacity_wh, emulation.arrival_state_of_charge)
            point.plug(vehicle, emulation.token)
            told(point, "plugged in")
            await _stay(point, clock, clock.now_s() + emulation.stay_s, told)
            point.unplug()
            told(point, "unplugged")
            await clock.sleep_until(clock.now_s() + emulation.pause_s)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _stay(
    point: EmulatedChargePoint, clock: Clock, until_s: float, told: Callable[[EmulatedChargePoint, str], None]
) -> None:
    """Let a vehicle stay, and tell each change of what it draws."""
    drawn_w = -1.0
    while clock.now_s() < until_s:
        power_w = round(point.connectors[1].power_w, -2)
        if power_w != drawn_w:
            told(point, "draws")
        drawn_w = power_w
        await clock.sleep_until(min(until_s, clock.now_s() + 1.0))
