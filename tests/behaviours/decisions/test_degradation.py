from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.degradation import cycle_depths, equivalent_cycles, life_used, wear_of
from tests.behaviours.decisions.quick import quick

STATES = st.lists(st.floats(0, 1), max_size=40)


def test_cycles_are_counted_as_the_standard_does():
    """The example of ASTM E1049-85, figure 6, scaled to states of charge."""
    history = [(level + 5) / 10 for level in (-2, 1, -3, 5, -1, 3, -4, 4, -2)]
    counted = sorted((round(depth * 10), count) for depth, count in cycle_depths(history))
    assert counted == [(3, 0.5), (4, 0.5), (4, 1.0), (6, 0.5), (8, 0.5), (8, 0.5), (9, 0.5)]


def test_a_full_cycle_uses_its_share_of_life():
    assert equivalent_cycles([0, 1, 0]) == 1
    assert life_used([0, 1, 0], cycles_at_full_depth=5_000) == pytest.approx(1 / 5_000)


def test_shallow_cycles_are_gentler_than_deep_ones_of_the_same_energy():
    shallow, deep = [0.5, 0.6] * 10 + [0.5], [0, 1, 0]
    assert equivalent_cycles(shallow) == pytest.approx(equivalent_cycles(deep))
    assert life_used(shallow) < life_used(deep)


@quick
@given(STATES)
def test_counting_loses_no_movement(states):
    moved = sum(abs(after - before) for before, after in pairwise(states))
    assert 2 * equivalent_cycles(states) == pytest.approx(moved, abs=1e-9)


def test_wear_is_the_price_over_what_a_battery_moves_in_its_life():
    assert wear_of(400, cycles_at_full_depth=4_000) == pytest.approx(0.10)
    assert wear_of(400, depth=0.2, cycles_at_full_depth=4_000) < 0.10
