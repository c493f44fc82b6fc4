"""How fast SunSpec devices are read and told, over a socket to another process."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from environments.devices.fieldbus import FieldBus, FieldDevice
from environments.devices.fieldbus_settings import SunSpecSettings
from environments.simulation.clock import WallClock
from ontology.control import Instruction

ROUNDS = 500


async def measured(work: Callable[[], Awaitable[object]], clock: WallClock) -> tuple[float, float]:
    took_ms = []
    for _ in range(ROUNDS):
        began_s = clock.now_s()
        await work()
        took_ms.append((clock.now_s() - began_s) * 1000)
    took_ms.sort()
    return took_ms[ROUNDS // 2], took_ms[ROUNDS * 95 // 100]


async def instruct(device: FieldDevice, told: Instruction) -> object:
    return await device.instruct(told)


async def compare(port: int) -> list[tuple[str, float, float]]:
    clock = WallClock()
    bus = FieldBus("h001", clock)
    units = {"pv": 1, "bess": 2, "meter": 3}
    devices = {
        name: bus.sunspec(name, SunSpecSettings(host="127.0.0.1", port=port, unit=unit))
        for name, unit in units.items()
    }

    def told(name: str, power_w: int) -> Instruction:
        now_s = int(clock.now_s())
        return Instruction(
            instruction_id="i",
            asset_id=f"h001-{name}",
            execution_time_s=now_s,
            valid_until_s=now_s + 600,
            setpoint_w=power_w,
        )

    rows = [(f"{name} read", *await measured(each.percepts, clock)) for name, each in devices.items()]
    for name in ("pv", "bess"):
        steer = partial(instruct, devices[name], told(name, -900))
        rows.append((f"{name} told, and read back", *await measured(steer, clock)))
    await bus.close()
    return rows


def rows() -> list[dict[str, object]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "launch.cli", "device", "simulate", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None, "the simulator did not start"
        measurements = asyncio.run(compare(int(found.group(1))))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return [
        {"what": what, "half within, ms": median_ms, "95 % within, ms": most_ms}
        for what, median_ms, most_ms in measurements
    ]
