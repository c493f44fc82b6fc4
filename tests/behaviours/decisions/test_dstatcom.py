from math import hypot

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.dstatcom import (
    balancing_power_w,
    neutral_current_a,
    supporting_reactive_var,
    within_rating,
)
from ontology.errors import InvalidInput
from tests.behaviours.decisions.quick import quick

LOADS = st.lists(st.integers(-50_000, 50_000), min_size=3, max_size=3)
RATING = st.integers(100, 100_000)


def test_phases_become_alike():
    assert balancing_power_w([9_000, 3_000, 3_000], 30_000) == [-4_000, 2_000, 2_000]


def test_the_neutral_current_falls_by_more_than_seventy_percent():
    load = [9_000, 3_000, 1_000]
    balanced = [p + q for p, q in zip(load, balancing_power_w(load, 30_000, gain=0.9), strict=True)]
    volts = [230.0] * 3
    assert neutral_current_a(balanced, volts) <= 0.3 * neutral_current_a(load, volts)


@quick
@given(LOADS, RATING, st.floats(0, 1))
def test_balancing_neither_makes_nor_uses_energy_and_keeps_the_rating(load_w, rated_va, gain):
    power = balancing_power_w(load_w, rated_va, gain)
    assert sum(power) == 0
    assert all(abs(each) <= rated_va // 3 for each in power)


@pytest.mark.parametrize(
    ("voltage_pu", "expected"),
    [(1.0, 0), (0.985, 0), (0.95, -5_000), (0.92, -10_000), (0.80, -10_000), (1.02, 0), (1.05, 5_000)],
)
def test_low_voltage_is_supported_with_capacitive_power(voltage_pu, expected):
    assert supporting_reactive_var([voltage_pu] * 3, 30_000) == [pytest.approx(expected, abs=1)] * 3


@quick
@given(LOADS, LOADS, RATING, st.booleans())
def test_each_phase_keeps_its_third_of_the_rating(load_w, reactive_var, rated_va, power_first):
    wanted = balancing_power_w(load_w, 200_000)
    power, reactive = within_rating(wanted, reactive_var, rated_va, power_first=power_first)
    assert sum(power) == 0
    for p, q in zip(power, reactive, strict=True):
        assert hypot(p, q) <= rated_va // 3 + 1e-6


def test_the_one_that_comes_first_is_kept():
    assert within_rating([3_000, -3_000, 0], [9_000] * 3, 15_000)[0] == [3_000, -3_000, 0]
    assert within_rating([3_000, -3_000, 0], [4_900] * 3, 15_000, power_first=False)[1] == [4_900] * 3


def test_two_phases_are_refused():
    with pytest.raises(InvalidInput, match="3 phases"):
        balancing_power_w([1, 2], 1_000)
