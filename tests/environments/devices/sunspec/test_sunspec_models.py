"""SunSpec registers as numbers and back, and whatever else a device may have in them."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sunspec_peers import COMMON, chain_of

from environments.devices.modbus.address import ModbusAddress
from environments.devices.modbus.link import RegistersRefused
from environments.devices.sunspec.discovery import NotSunSpec, discovered, read_model
from environments.devices.sunspec.models import SunSpecModel
from environments.devices.sunspec.readings import metered, power_w, stored
from ontology.errors import Refused, Unavailable


class Memory:
    """A link to registers that are here."""

    address = ModbusAddress("memory")

    def __init__(self, registers, base=40_000):
        self.registers, self.base = registers, base

    async def read(self, unit, register, count):
        found = self.registers[max(0, register - self.base) : register - self.base + count]
        if register < self.base or len(found) < count:
            raise RegistersRefused(2, "memory")
        return found


def model_with(model_id, **points):
    registers, places = chain_of((model_id, points))
    model = SunSpecModel(model_id, 40_000 + places[model_id], registers[places[model_id] + 1])
    model.take(registers[places[model_id] : -2])
    return model


@given(st.integers(-4, 4), st.integers(-5_000, 5_000))
def test_what_is_written_is_what_is_read(scale, steps):
    model = model_with(704, WSet_SF=scale, WSet=0)
    wanted = steps * 10.0**scale
    address, registers = model.registers("WSet", wanted)
    assert address == model.address + 24
    raw = [model.model_id, model.length, *[0xFFFF] * 22, *registers, *[0xFFFF] * 29, scale & 0xFFFF]
    model.take(raw)
    assert model.number("WSet") == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("point", "value", "why"),
    [
        ("WMaxLimPct", 7_000, "cannot hold"),
        ("WMaxLimPct", -1, "cannot hold"),
        ("WMaxLimPct_SF", 1, "no writable point"),
        ("OutPFSet", 1, "no scale factor"),
        ("Nonsense", 1, "no writable point"),
    ],
)
def test_what_does_not_fit_a_point_is_refused(point, value, why):
    model = model_with(123, WMaxLimPct_SF=-1, WMaxLimPct=1_000)
    with pytest.raises(Refused, match=why):
        model.registers(point, value)


def test_a_model_that_is_shorter_than_its_definition_has_no_values_at_its_end():
    model = model_with(103, W=500, W_SF=0, St=4)
    short = SunSpecModel(103, 40_002, 20)
    short.take([103, 20, *[0] * 12, 500, 0, 5_000, 0, 0, 0, 0, 0])
    assert model.number("St") == 4
    assert (short.number("W"), short.value("St")) == (500, None)


words = st.integers(0, 0xFFFF)
headers = st.sampled_from(
    [1, 101, 103, 113, 124, 160, 201, 203, 213, 701, 704, 713, 714, 802, 64_111, 0xFFFF, 0]
)
blocks = st.builds(
    lambda model_id, body, more: [model_id, max(0, len(body) + more), *body],
    headers,
    st.lists(words, max_size=180),
    st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1, 60_000]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(blocks, max_size=6))
def test_whatever_stands_in_the_registers_nothing_but_absence_comes_of_it(chain_blocks):
    registers = chain_of(COMMON, end=())[0] + [word for block in chain_blocks for word in block]
    link = Memory(registers)

    async def look():
        chain = await discovered(link, 1)
        for model in chain.models:
            try:
                await read_model(link, 1, model)
            except (RegistersRefused, NotSunSpec):
                continue
            list(model.points())
            model.block("Prt")
        for reading in (power_w, stored, metered, lambda c: power_w(c, of_battery=True)):
            with suppress(Unavailable):
                assert reading(chain) is not None

    asyncio.run(look())
