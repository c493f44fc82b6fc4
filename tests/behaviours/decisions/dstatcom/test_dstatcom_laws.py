"""What a D-STATCOM is asked for, and what it can carry of that."""

import cvxpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.dstatcom import (
    Priority,
    balancing_va,
    compensating_va,
    least_neutral_va,
    limited,
    neutral_current_a,
    phase_voltages,
    rating_of,
    supporting_va,
)
from ontology.errors import InvalidInput
from ontology.grid import DstatcomObjective
from tests.behaviours.decisions.quick import quick

POWER = st.integers(-50_000, 50_000)
POWERS = st.lists(POWER, min_size=6, max_size=6).map(lambda x: np.array(x[:3]) + 1j * np.array(x[3:]))
RATINGS = st.builds(rating_of, st.integers(100, 100_000), st.none() | st.floats(1, 300))
VOLTS = phase_voltages()
UNEVEN_VA = 78_000 * np.array([0.5, 0.3, 0.2]) * (1 + 0.2j)
UNIT = rating_of(30_000)


def test_phases_become_alike():
    assert balancing_va(np.array([9_000, 3_000, 3_000]) + 0j).real.tolist() == [-4_000, 2_000, 2_000]


@quick
@given(POWERS, RATINGS, st.sampled_from(Priority), st.integers(180, 260))
def test_whatever_is_wanted_each_leg_and_the_neutral_keep_their_ratings(wanted_va, rating, priority, volts):
    voltage_v = phase_voltages(float(volts))
    power_va = limited(rating, wanted_va, voltage_v, priority)
    assert np.real(power_va).sum() == pytest.approx(0, abs=1e-6)
    assert neutral_current_a(power_va, voltage_v) <= rating.neutral_a * (1 + 2e-9)
    drawn_va = power_va + rating.losses_w(power_va) / 3
    assert np.abs(drawn_va).max() <= rating.rated_va / 3 * (1 + 1e-9)
    assert np.real(drawn_va).sum() <= 0.01 * rating.rated_va


@quick
@given(POWERS, RATINGS)
def test_what_a_unit_can_carry_is_left_as_it_is(wanted_va, rating):
    carried_va = limited(rating, wanted_va, VOLTS)
    assert limited(rating, carried_va, VOLTS) == pytest.approx(carried_va, rel=1e-6, abs=1e-3)


def test_what_has_priority_is_kept():
    wanted_va = np.array([8_000, -8_000, 0]) + 9_000j
    active, reactive = (limited(UNIT, wanted_va, VOLTS, each) for each in Priority)
    assert active.real == pytest.approx(wanted_va.real)
    assert reactive.imag == pytest.approx(wanted_va.imag)
    assert np.abs(active.imag).max() < 9_910
    assert np.abs(reactive.real).max() < 8_000


def test_a_small_neutral_leg_takes_reactive_power_first():
    small = rating_of(30_000, neutral_a=40)
    wanted_va = np.array([4_000, -2_000, -2_000]) + 1j * np.array([0, 4_000, -4_000])
    power_va = limited(small, wanted_va, VOLTS)
    assert power_va.real == pytest.approx(wanted_va.real)
    assert neutral_current_a(power_va, VOLTS) <= 40 + 1e-9


@pytest.mark.parametrize(
    ("voltage_pu", "share"),
    [(1.0, 0), (0.985, 0), (0.95, -0.5), (0.92, -1), (0.80, -1), (1.02, 0), (1.05, 0.5), (1.08, 1)],
)
def test_low_voltage_is_supported_with_capacitive_power(voltage_pu, share):
    power_va = supporting_va(VOLTS * voltage_pu, UNIT)
    assert power_va.real.tolist() == [0, 0, 0]
    assert power_va.imag == pytest.approx(np.full(3, share * UNIT.leg_va), abs=1e-6)


def test_reactive_power_helps_where_the_legs_are_full():
    def left(objective):
        power_va = compensating_va(objective, UNEVEN_VA, VOLTS, UNIT)
        return neutral_current_a(UNEVEN_VA + power_va, VOLTS)

    before = neutral_current_a(UNEVEN_VA, VOLTS)
    assert before == pytest.approx(91, abs=1)
    assert left(DstatcomObjective.NEUTRAL) < 0.1 * before < left(DstatcomObjective.UNBALANCE) < 0.3 * before


def test_a_unit_that_is_large_enough_leaves_no_neutral_current():
    power_va = least_neutral_va(UNEVEN_VA, VOLTS, rating_of(60_000))
    assert neutral_current_a(UNEVEN_VA + power_va, VOLTS) < 0.5


@pytest.mark.parametrize("neutral_a", [None, 40, 10])
def test_a_solver_of_cones_finds_no_better_powers(neutral_a):
    rating = rating_of(15_000, neutral_a)
    per_va = np.concatenate([1 / np.conj(VOLTS), -1j / np.conj(VOLTS)]) * 1000
    turned = np.exp(-2j * np.pi / 3 * np.arange(3))
    load_a = np.conj(UNEVEN_VA / VOLTS)
    x = cvxpy.Variable(6)

    def size(row, fixed):
        return cvxpy.norm(cvxpy.hstack([row.real @ x + fixed.real, row.imag @ x + fixed.imag]))

    neutral, negative = (per_va, load_a.sum()), (np.tile(turned, 2) * per_va, turned @ load_a)
    limits = [cvxpy.norm(x[[k, k + 3]]) <= rating.leg_va / 1000 for k in range(3)]
    limits += [size(per_va, 0j) <= rating.neutral_a, cvxpy.sum(x[:3]) == 0]
    cost = cvxpy.square(size(*neutral)) + 0.1 * cvxpy.square(size(*negative))
    best = cvxpy.Problem(cvxpy.Minimize(cost), limits).solve()
    power_va = least_neutral_va(UNEVEN_VA, VOLTS, rating)
    x.value = np.concatenate([power_va.real, power_va.imag]) / 1000
    assert cost.value == pytest.approx(best, rel=0.002)


@quick
@given(POWERS, RATINGS)
def test_the_least_neutral_current_is_never_more_than_balancing_or_doing_nothing_leaves(load_va, rating):
    def cost(power_va):
        current = np.conj((load_va + power_va) / VOLTS)
        negative = np.exp(-2j * np.pi / 3 * np.arange(3)) @ current
        return abs(current.sum()) ** 2 + 0.1 * abs(negative) ** 2

    found = cost(compensating_va(DstatcomObjective.NEUTRAL, load_va, VOLTS, rating))
    others = (cost(limited(rating, balancing_va(load_va), VOLTS)), cost(np.zeros(3)))
    leg_a = rating.leg_va / 230
    assert found <= min(others) * 1.0001 + (0.1 * leg_a) ** 2


@pytest.mark.parametrize("values", [(0, None), (-1, 5.0), (30_000, 0.0)])
def test_ratings_are_positive(values):
    with pytest.raises(InvalidInput, match="must be positive"):
        rating_of(*values)
