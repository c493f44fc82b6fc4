"""A yard with a central system on a free port of loopback, and emulated charge points that come to it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from environments.devices.ocpp import (
    CentralSystem,
    CentralSystemSettings,
    ChargePointDevice,
    ChargePointSettings,
)
from environments.devices.ocpp.emulated import EmulatedChargePoint, EmulatedSettings, EmulatedVehicle
from environments.devices.ocpp.emulation import emulated
from environments.repository.agent_store import MemoryAgentStore
from environments.simulation.clock import WallClock
from environments.wire.pauses import Pauses
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, Priority

__all__ = ["DRIVER", "PASSWORD", "TOKEN", "Yard", "in_yard", "instruction", "of_kind", "until"]

PASSWORD, TOKEN, DRIVER = "a-password-for-tests", "CARD-1", "driver-1"
QUICK = Pauses(first_s=0.05, factor=1.5, longest_s=0.5)

C = TypeVar("C", bound=Concept)


async def until(found: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Return what a question answers as soon as it is true."""
    clock = WallClock()
    end_s = clock.now_s() + seconds
    while not (answer := found()):
        assert clock.now_s() < end_s, "in vain"
        await clock.sleep_until(clock.now_s() + 0.02)
    return answer


def of_kind(kind: type[C], reports: Any) -> list[C]:
    """Return the reports of a kind."""
    return [each for each in reports if isinstance(each, kind)]


def instruction(name: str, now_s: float, **changes: Any) -> Instruction:
    """Return an instruction that holds for ten minutes from now."""
    told = {
        "instruction_id": f"i{now_s}",
        "asset_id": name,
        "execution_time_s": int(now_s),
        "valid_until_s": int(now_s) + 600,
        "priority": Priority.MARKET,
    }
    return Instruction(**(told | changes))


class Yard:
    """One charge point, `CP-1`, whose connectors are `point-1`, `point-2`, …; and the central system."""

    def __init__(self, folder: Path, version: str, connectors: int = 1, **changes: Any) -> None:
        self.folder, self.version, self.connectors = folder, version, connectors
        self.clock, self.store = WallClock(), MemoryAgentStore()
        self.file("password", PASSWORD)
        self.file("tokens", f"{TOKEN} {DRIVER}\n")
        names = tuple(f"point-{number + 1}" for number in range(connectors))
        of_point = {
            key: changes.pop(key) for key in list(changes) if key in ChargePointSettings.__struct_fields__
        }
        point = ChargePointSettings(
            identity="CP-1",
            password_file=str(folder / "password"),
            **({"names": names, "meter_every_s": 1} | of_point),
        )
        self.settings = CentralSystemSettings(
            charge_points=(point,),
            **({"port": 0, "security_profile": 1, "tokens": str(folder / "tokens")} | changes),
        )
        self.points: list[EmulatedChargePoint] = []
        self._tasks: list[asyncio.Task[None]] = []

    def file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(content)
        return str(path)

    async def __aenter__(self) -> "Yard":
        await self.open()
        return self

    async def open(self, port: int = 0) -> None:
        settings = msgspec.structs.replace(self.settings, port=port)
        self.central = CentralSystem(settings, self.store, self.clock, token=TOKEN)
        await self.central.start()

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.central.close()

    async def point(self, **changes: Any) -> EmulatedChargePoint:
        """Let an emulated charge point come, and return it when it has been told what always holds."""
        point = self.absent_point(**changes)
        await until(lambda: len(point.profiles.held) > self.connectors)
        return point

    def absent_point(self, **changes: Any) -> EmulatedChargePoint:
        """Let an emulated charge point try to come."""
        given = {
            "url": self.central.url,
            "identity": "CP-1",
            "password": PASSWORD,
            "version": self.version,
            "connectors": self.connectors,
            "tick_s": 0.05,
            "pauses": QUICK,
        }
        point = emulated(EmulatedSettings(**(given | changes)), self.clock)
        self.points.append(point)
        self._tasks.append(asyncio.create_task(point.run()))
        return point

    @property
    def station(self) -> Any:
        return self.central.stations["CP-1"]

    @property
    def delivered_wh(self) -> int:
        progress = self.station.record.progress(1)
        return progress.energy_delivered_wh if progress else 0

    def device(self, number: int = 1) -> ChargePointDevice:
        return self.central.devices()[number - 1]

    async def charging(
        self, point: EmulatedChargePoint, connector: int = 1, **vehicle: Any
    ) -> EmulatedVehicle:
        """Plug a vehicle in, and return it when its session has begun here."""
        comes = EmulatedVehicle(**vehicle)
        point.plug(comes, TOKEN, connector)
        await until(lambda: self.station.record.running(connector))
        return comes

    async def instruct(self, connector: int = 1, **changes: Any) -> InstructionState:
        device = self.device(connector)
        status = await device.instruct(instruction(device.name, self.clock.now_s(), **changes))
        return status.status


def in_yard(
    act: Callable[[Yard], Awaitable[None]], folder: Path, version: str, connectors: int = 1, **changes: Any
) -> None:
    async def main() -> None:
        async with Yard(folder, version, connectors, **changes) as yard:
            await act(yard)

    asyncio.run(main())
