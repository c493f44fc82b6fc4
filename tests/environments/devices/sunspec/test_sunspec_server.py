"""Simulated units keep to their definitions: what may be written, and what falls back when."""

import pytest
from pymodbus.constants import ExcCodes

from environments.devices.sunspec.server import UnitImage

CONTROLS = {
    "WMaxLimPct_SF": -1, "WMaxLimPctEna": 0, "WMaxLimPct": 1000, "WMaxLimPctRvrt": 1000,
    "WMaxLimPctEnaRvrt": 0, "WMaxLimPctRvrtTms": 0, "WMaxLimPctRvrtRem": 0, "WSet_SF": 0, "WSetEna": 0,
    "WSetMod": 1, "WSet": 0, "WSetRvrt": 0, "WSetEnaRvrt": 0, "WSetRvrtTms": 0, "WSetRvrtRem": 0,
}  # fmt: skip
ENABLE, SET, FALLBACK, FALLS_BACK, TIME, REMAINING = 22, 24, 26, 30, 31, 33


class Standing:
    """A clock that stands where it is put."""

    value_s = 1_000.0

    def now_s(self):
        return self.value_s


@pytest.fixture
def clock():
    return Standing()


@pytest.fixture
def unit(clock):
    return UnitImage(1, [(1, {"Mn": "Acme"}), (704, CONTROLS)], clock)


def at(unit, offset):
    return unit.base + 2 + 68 + offset


def told(unit, power_w, time_s):
    assert unit.write(at(unit, TIME), [0, time_s]) is None
    assert unit.write(at(unit, SET), [0, power_w]) is None
    assert unit.write(at(unit, ENABLE), [1]) is None


@pytest.mark.parametrize(
    ("offset", "values", "refusal"),
    [
        (SET, [0, 500], None),
        (ENABLE, [7], ExcCodes.ILLEGAL_VALUE),
        (SET, [500], ExcCodes.ILLEGAL_ADDRESS),
        (SET + 1, [500], ExcCodes.ILLEGAL_ADDRESS),
        (REMAINING, [0, 1], ExcCodes.ILLEGAL_ADDRESS),
        (28, [1], ExcCodes.ILLEGAL_ADDRESS),
        (500, [1], ExcCodes.ILLEGAL_ADDRESS),
        (ENABLE, [1, 1, 0, 500], None),
    ],
    ids=[
        "a point",
        "no such symbol",
        "half",
        "the other half",
        "read only",
        "not implemented",
        "none",
        "four",
    ],
)
def test_whole_points_that_may_be_written_are_taken_and_nothing_else(unit, offset, values, refusal):
    before = list(unit.registers)
    assert unit.write(at(unit, offset), values) == refusal
    assert (unit.registers == before) == (refusal is not None)


def test_a_set_point_falls_back_when_its_time_is_over_and_says_how_much_is_left(unit, clock):
    told(unit, 500, 60)
    clock.value_s += 45
    unit.revert()
    assert (unit.number(704, "WSetEna"), unit.number(704, "WSetRvrtRem")) == (1, 15)
    clock.value_s += 15
    unit.revert()
    assert unit.number(704, "WSetEna") == 0


def test_whoever_tells_it_again_starts_its_time_anew(unit, clock):
    told(unit, 500, 60)
    clock.value_s += 45
    told(unit, 700, 60)
    clock.value_s += 45
    unit.revert()
    assert (unit.number(704, "WSetEna"), unit.number(704, "WSet")) == (1, 700)


def test_it_falls_back_to_the_value_that_it_was_given_for_that(unit, clock):
    unit.write(at(unit, FALLBACK), [0xFFFF, 0x10000 - 300])
    unit.write(at(unit, FALLS_BACK), [1])
    told(unit, 500, 60)
    clock.value_s += 61
    unit.revert()
    assert (unit.number(704, "WSetEna"), unit.number(704, "WSet")) == (1, -300)


def test_without_a_time_it_holds_for_ever(unit, clock):
    told(unit, 500, 0)
    clock.value_s += 1e6
    unit.revert()
    assert unit.number(704, "WSetEna") == 1
