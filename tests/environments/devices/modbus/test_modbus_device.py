"""Devices that a map of registers describes, at a server that answers as one."""

import asyncio

import pytest
from modbus_peer import SOON, peer

from environments.devices.fieldbus import FieldBus
from environments.devices.fieldbus_settings import ModbusSettings
from environments.simulation.clock import WallClock
from ontology.control import Instruction, InstructionState
from ontology.errors import InvalidInput, Unavailable
from ontology.measurements import Quantity

FREE, STEERED = 803, 802


def battery_registers(power_w=-1_200, percent=64):
    high, low = divmod(power_w & 0xFFFF_FFFF, 65_536)
    return {30_775: high, 30_776: low, 30_845: 0, 30_846: percent, **dict.fromkeys(range(40_149, 40_153), 0)}


def order(asset_id="h001-bess", **what):
    now_s = int(WallClock().now_s())
    return Instruction(
        instruction_id="i", asset_id=asset_id, execution_time_s=now_s, valid_until_s=now_s + 600, **what
    )


def at(registers, name, test, folder=None, **given):
    async def run():
        async with peer(registers) as server:
            bus = FieldBus("h001", WallClock(), pauses=SOON)
            reach = ModbusSettings(host=server.address.host, port=server.address.port, **given)
            try:
                await test(server, bus.modbus(name, reach, folder))
            finally:
                await bus.close()

    asyncio.run(run())


def test_a_battery_by_its_map(tmp_path):
    async def test(server, device):
        (report,) = await device.percepts()
        assert (report.state_of_charge, report.power_w) == (pytest.approx(0.64), 1_200)
        status = await device.instruct(order(setpoint_w=2_000))
        assert status.status is InstructionState.STARTED
        told = (server.registers[40_149] << 16 | server.registers[40_150]) - (1 << 32)
        assert (told, server.registers[40_152]) == (-2_000, STEERED)
        await device.instruct(order(mode="auto"))
        assert server.registers[40_152] == FREE

    at(battery_registers(), "bess", test, tmp_path, map="sma-sunny-boy-storage", unit=3)


@pytest.mark.parametrize(
    "registers",
    [battery_registers(percent=250), battery_registers(power_w=-(2**31)), {1: 1}],
    ids=["250 % full", "power not there", "no such registers"],
)
def test_what_is_not_believable_is_absence(registers, tmp_path):
    async def test(server, device):
        with pytest.raises(Unavailable):
            await device.percepts()

    at(registers, "bess", test, tmp_path, map="sma-sunny-boy-storage")


def test_a_meter_by_its_map(tmp_path):
    floats = {52: 0xC461, 53: 0x0000, 70: 0x4248, 71: 0, 72: 0x4120, 73: 0, 74: 0x3F80, 75: 0}

    async def test(server, device):
        reports = {each.quantity: each.value for each in await device.percepts()}
        assert reports == {Quantity.ACTIVE_POWER_W: -900, Quantity.FREQUENCY_HZ: 50}
        assert {function for _, function, *_ in server.asked} == {4}
        status = await device.instruct(order(setpoint_w=1))
        assert status.status is InstructionState.REJECTED

    at(floats, "meter", test, tmp_path, map="eastron-sdm630")


def test_a_map_of_another_kind_is_turned_down(tmp_path):
    async def test(server, device):
        raise AssertionError("never comes here")

    with pytest.raises(InvalidInput, match="eastron-sdm630 is of a meter"):
        at({}, "bess", test, tmp_path, map="eastron-sdm630")


def test_a_device_without_watchdog_is_not_steered_and_registers_are_read_back(tmp_path):
    (tmp_path / "own.yaml").write_text("""
kind: power
values: [{quantity: power_w, register: 1, type: int16}]
commands:
  - {for: power_min_w, writes: [{register: 5, type: int16}]}
  - {for: release, writes: [{register: 5, type: int16, constant: -30000}]}
""")

    async def refused(server, device):
        status = await device.instruct(order("h001-pv", power_min_w=-100))
        assert status.status is InstructionState.REJECTED
        assert server.registers[5] == 7

    async def allowed(server, device):
        status = await device.instruct(order("h001-pv", power_min_w=-100))
        assert status.status is InstructionState.STARTED
        assert server.registers[5] == -100 & 0xFFFF
        status = await device.instruct(order("h001-pv", setpoint_w=-100))
        assert status.status is InstructionState.REJECTED  # the map has no command for it

    at({1: 0, 5: 7}, "pv", refused, tmp_path, map="own.yaml")
    at({1: 0, 5: 7}, "pv", allowed, tmp_path, map="own.yaml", without_watchdog=True)
