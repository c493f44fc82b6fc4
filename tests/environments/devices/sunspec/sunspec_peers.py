"""SunSpec units for tests: registers laid out by pysunspec2, served by pymodbus, nothing of ours between."""

from contextlib import asynccontextmanager

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from sunspec2 import device as sunspec

from environments.devices.fieldbus import FieldBus
from environments.devices.fieldbus_settings import SunSpecSettings
from environments.devices.modbus.address import ModbusAddress
from environments.simulation.clock import WallClock
from environments.wire.pauses import Pauses
from ontology.control import Instruction

__all__ = ["COMMON", "SOON", "bus", "chain_of", "order", "served", "settings", "words"]

SOON = Pauses(first_s=0.02, factor=2, longest_s=0.1)
COMMON = (1, {"Mn": "Acme", "Md": "One", "Vr": "7", "SN": "0815"})


def words(raw):
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def chain_of(*models, end=(0xFFFF, 0)):
    """Return the registers of a unit, and where each model begins, from the mark on."""
    registers, places = [0x5375, 0x6E53], {}
    for model_id, points in models:
        model = sunspec.Model(model_id=model_id)
        model.set_dict(points)
        places[model_id] = len(registers)
        registers += words(model.get_mb())
    return registers + list(end), places


class Served:
    """A server of units, whose registers tests can look at and change."""

    def __init__(self, units, base=40_000):
        self.base, self.units = base, units
        self.asked, self.frozen, self.memory = [], set(), {}

    async def start(self, port=0):
        devices = [
            SimDevice(
                id=unit,
                simdata=[SimData(address=self.base, values=list(registers), datatype=DataType.REGISTERS)],
                action=self._action(unit),
            )
            for unit, registers in self.units.items()
        ]
        self.server = ModbusTcpServer(devices, address=("127.0.0.1", port))
        await self.server.listen()
        self.address = ModbusAddress("127.0.0.1", self.server.transport.sockets[0].getsockname()[1])

    def _action(self, unit):
        async def action(function, start, address, count, current, given):
            current[:] = self.memory.setdefault(unit, list(current)) if given is None else current
            self.asked.append((unit, function, address, count))
            if given is not None and address in self.frozen:
                given[:] = current[address - start : address - start + count]
            if given is not None:
                memory = self.memory.setdefault(unit, list(current))
                memory[address - start : address - start + count] = given

        return action

    def peek(self, unit, at):
        return self.memory[unit][at]

    def poke(self, unit, at, value):
        self.memory.setdefault(unit, list(self.units[unit]))[at] = value


@asynccontextmanager
async def served(units, base=40_000, port=0):
    found = Served(units, base)
    await found.start(port)
    try:
        yield found
    finally:
        await found.server.shutdown()


@asynccontextmanager
async def bus(site="h001"):
    found = FieldBus(site, WallClock(), pauses=SOON)
    try:
        yield found
    finally:
        await found.close()


def settings(address, **given):
    return SunSpecSettings(host=address.host, port=address.port, **{"answer_s": 0.5, **given})


def order(asset_id, lasts_s=600, **what):
    now_s = int(WallClock().now_s())
    return Instruction(
        instruction_id="order",
        asset_id=asset_id,
        execution_time_s=now_s,
        valid_until_s=now_s + lasts_s,
        **what,
    )
