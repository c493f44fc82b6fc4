"""Several D-STATCOMs on one feeder work as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.dstatcom import Unit, corrected, limited, phase_voltages, planned, rating_of
from behaviours.decisions.dstatcom.coordination import fleet, whole
from ontology.errors import InvalidInput
from ontology.grid import DstatcomObjective
from tests.behaviours.decisions.quick import quick

UNBALANCE, NEUTRAL = DstatcomObjective.UNBALANCE, DstatcomObjective.NEUTRAL
VOLTS = phase_voltages()
POWER = st.integers(-50_000, 50_000)
LOADS = st.lists(POWER, min_size=6, max_size=6).map(lambda x: np.array(x[:3]) + 1j * np.array(x[3:]))
UNITS = st.lists(
    st.builds(rating_of, st.integers(1_000, 60_000), st.none() | st.floats(5, 200)), min_size=1, max_size=4
).map(lambda ratings: [Unit(f"u{i}", "s", rating) for i, rating in enumerate(ratings)])


def units(*rated_va):
    return [Unit(f"u{i}", "s", rating_of(each)) for i, each in enumerate(rated_va)]


def test_two_units_share_what_is_to_be_shifted_by_their_ratings():
    small, large = planned(UNBALANCE, np.array([9_000, 3_000, 3_000]) + 0j, VOLTS, units(10_000, 30_000))
    assert small.real.tolist() == [-1_000, 500, 500]
    assert large.real.tolist() == [-3_000, 1_500, 1_500]


@quick
@given(LOADS, UNITS, st.sampled_from([UNBALANCE, NEUTRAL]))
def test_no_unit_is_asked_for_more_than_it_can_carry(load_va, several, objective):
    for unit, power_va in zip(several, planned(objective, load_va, VOLTS, several), strict=True):
        assert limited(unit.rating, power_va, VOLTS) == pytest.approx(power_va, rel=1e-6, abs=1e-3)


@quick
@given(LOADS, UNITS)
def test_corrections_approach_the_plan_from_one_side(load_va, several):
    wanted = sum(planned(UNBALANCE, load_va, VOLTS, several))
    given = [np.zeros(3, dtype=complex) for _ in several]
    left = [np.abs(wanted).max()]
    for _ in range(5):
        given = corrected(UNBALANCE, load_va + sum(given), VOLTS, several, given)
        assert (np.abs(np.real(sum(given))) <= np.abs(np.real(wanted)) + 1e-6).all()
        left.append(np.abs(wanted - sum(given)).max())
    assert left[-1] <= 0.001 * left[0] + 1e-6


def test_a_unit_at_its_limit_winds_nothing_up():
    several = units(6_000, 6_000)
    given = [np.zeros(3, dtype=complex)] * 2
    heavy, light = (scale * np.array([2.0, -1, -1]) + 0j for scale in (30_000, -1_000))
    for _ in range(50):
        given = corrected(UNBALANCE, heavy + sum(given), VOLTS, several, given)
    (first, _) = corrected(UNBALANCE, light + sum(given), VOLTS, several, given, gain=1)
    assert first.real == pytest.approx([1_000, -500, -500])


def test_losses_of_the_units_are_not_commanded():
    drawn = [np.array([-3_930.0, 2_070, 2_070]) + 0j]
    (power_va,) = corrected(UNBALANCE, np.array([5_070.0, 5_070, 5_070]) + 0j, VOLTS, units(30_000), drawn)
    assert np.real(power_va).sum() == pytest.approx(0, abs=1e-9)


@quick
@given(LOADS, UNITS)
def test_whole_watts_sum_to_nothing_and_are_no_more(load_va, several):
    for power_va in planned(UNBALANCE, load_va, VOLTS, several):
        power_w, reactive_var = whole(power_va)
        assert sum(power_w) == 0
        assert (np.abs(power_w) <= np.abs(power_va.real) + 1e-6).all()
        assert (np.abs(reactive_var) <= np.abs(power_va.imag)).all()


def test_the_tightest_neutral_leg_binds_all():
    several = [Unit("a", "s", rating_of(30_000, 90)), Unit("b", "s", rating_of(10_000, 20))]
    assert fleet(several).neutral_a == 80


def test_no_units_is_an_error():
    with pytest.raises(InvalidInput, match="at least one"):
        planned(UNBALANCE, np.zeros(3), VOLTS, [])
