"""`parity-mas device read|write`: one device of a site, as its gateway would read and steer it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from behaviours.ports import Clock
from environments.simulation.clock import WallClock
from environments.site.health import WatchedDevice
from environments.site.host_lock import HostLock
from launch.site.devices import SiteDevices
from launch.site.loading import LoadedSite
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, Priority
from ontology.errors import Conflict, InvalidInput, Unavailable, problem

__all__ = ["carry_out", "instruction_for", "read", "said"]

WAIT_S = 5.0
LOOK_EVERY_S = 2.0


async def read(site: LoadedSite, name: str, *, every: bool = False, clock: Clock | None = None) -> list[str]:
    """Return what a device reports, in lines; with `every` also all that it tells.

    Raises: InvalidInput when the site has no such device, Unavailable when it does not answer.
    """
    clock = clock or WallClock()
    _require_known(site, name)
    reached = SiteDevices(site, clock, only=name)
    (device,) = reached.devices
    await reached.start()
    try:
        reports = await _reports(device, clock)
        lines = [line for report in reports for line in _shown(report)]
        if every:
            lines += [line async for line in _everything(device)]
        return lines + _health(device)
    finally:
        await reached.close()


def instruction_for(
    site: LoadedSite,
    name: str,
    *,
    setpoint_w: int | None,
    least_w: int | None,
    most_w: int | None,
    release: bool,
    seconds: int,
    clock: Clock | None = None,
) -> Instruction:
    """Return what a device is to be told, from now on.

    Raises: InvalidInput when the site has no such device, or nothing is wanted of it.
    """
    clock = clock or WallClock()
    _require_known(site, name)
    if release == any(each is not None for each in (setpoint_w, least_w, most_w)):
        raise InvalidInput(problem("--setpoint", "none", "given, or --least, --most, or --release alone"))
    now_s = int(clock.now_s())
    return Instruction(
        instruction_id=f"installer {now_s}",
        asset_id=f"{site.file.site}-{name}",
        execution_time_s=now_s,
        valid_until_s=now_s + seconds,
        setpoint_w=setpoint_w,
        power_min_w=least_w,
        power_max_w=most_w,
        mode="auto" if release else "",
        priority=Priority.USER,
        reason="an installer's test",
    )


def said(told: Instruction) -> str:
    """Say an instruction in a few words."""
    parts = [
        f"{words} {value} W"
        for words, value in (
            ("set-point", told.setpoint_w),
            ("at least", told.power_min_w),
            ("at most", told.power_max_w),
        )
        if value is not None
    ]
    what = ", ".join(parts) or "back to itself"
    return f"{told.asset_id}: {what} for {told.valid_until_s - told.execution_time_s} s"


async def carry_out(
    site: LoadedSite, name: str, told: Instruction, clock: Clock | None = None
) -> AsyncIterator[tuple[str, bool]]:
    """Have a device obey, yield what it does meanwhile (and whether it obeys), then give it back to itself.

    Raises: Conflict when the site's own agents run: they steer it; Unavailable when it does not answer.
    """
    clock = clock or WallClock()
    if HostLock(site.data).is_taken():
        raise Conflict("the site is running, and its agents steer this device: stop it first")
    _require_known(site, name)
    reached = SiteDevices(site, clock, only=name)
    (device,) = reached.devices
    await reached.start()
    try:
        await _reports(device, clock)
        status = (await device.instruct(told)).status
        yield f"{told.asset_id}: {status}", status is InstructionState.STARTED
        if status is not InstructionState.STARTED:
            return
        while told.mode != "auto" and clock.now_s() < told.valid_until_s:
            await clock.sleep_until(min(told.valid_until_s, clock.now_s() + LOOK_EVERY_S))
            for report in await _reports(device, clock):
                for line in _shown(report):
                    yield line, True
        await _give_back(device, told, clock)
        yield f"{told.asset_id}: given back to itself", True
    finally:
        await reached.close()


async def _give_back(device: WatchedDevice, told: Instruction, clock: Clock) -> None:
    now_s = int(clock.now_s())
    await device.instruct(
        Instruction(
            instruction_id=f"{told.instruction_id} over",
            asset_id=told.asset_id,
            execution_time_s=now_s,
            valid_until_s=now_s + 60,
            mode="auto",
            priority=told.priority,
        )
    )


def _require_known(site: LoadedSite, name: str) -> None:
    if name not in site.connections():
        known = ", ".join(site.connections())
        raise InvalidInput(problem("DEVICE", name, f"a device of {site.file.site}: {known}"))


async def _reports(device: WatchedDevice, clock: Clock) -> list[Concept]:
    """Return what a device reports, once it does.

    Raises: Unavailable when it does not for some seconds.
    """
    until_s = clock.now_s() + WAIT_S
    while True:
        try:
            return list(await device.percepts())
        except Unavailable:
            if clock.now_s() >= until_s:
                raise
            await clock.sleep_until(clock.now_s() + 0.25)


def _shown(report: Concept) -> Iterator[str]:
    content: dict[str, Any] = msgspec.to_builtins(report)
    about = content.pop("asset_id", None) or content.pop("subject", "")
    kind = content.pop("type", type(report).__name__)
    yield f"{about:<14} {kind:<24} " + "  ".join(f"{key} {value}" for key, value in content.items())


async def _everything(device: WatchedDevice) -> AsyncIterator[str]:
    """Yield all points of a SunSpec device's models, or all values of a map."""
    from environments.devices.modbus.device import ModbusDevice
    from environments.devices.sunspec.devices import SunSpecBattery, SunSpecInverter, SunSpecMeter

    inner = device.inner
    if isinstance(inner, SunSpecBattery | SunSpecInverter | SunSpecMeter):
        chain = await inner.unit.chain()
        for model in chain.models:
            yield f"model {model.model_id} at {model.address}, {model.length} registers"
            await inner.unit.refresh(model)
            for point, value, unit in model.points():
                if value is not None:
                    yield f"  {point:<24} {value} {unit}".rstrip()
    elif isinstance(inner, ModbusDevice):
        for quantity, told in (await inner.values()).items():
            yield f"  {quantity:<24} {'-' if told is None else f'{told:g}'}"


def _health(device: WatchedDevice) -> list[str]:
    health = getattr(device.inner, "health", None)
    if health is None or health.median_ms is None:
        return []
    counts = ", ".join(f"{number} {name}" for name, number in sorted(health.counts.items()))
    return [f"answers within {health.median_ms:.1f} ms, at most {health.slowest_ms:.1f} ms; {counts}"]
