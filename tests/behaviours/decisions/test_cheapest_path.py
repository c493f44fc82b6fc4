from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from behaviours.decisions.cheapest_path import cheapest_path


@st.composite
def problems(draw):
    """A random device: least amounts, ascending pieces, and bounds around a path that exists."""
    steps = draw(st.integers(1, 8))
    least, pieces, feasible = [], [], []
    for _ in range(steps):
        least.append(draw(st.integers(-6, 3)))
        costs = sorted(draw(st.lists(st.integers(-20, 20), max_size=3)))
        pieces.append([(cost, draw(st.integers(1, 6))) for cost in costs])
        feasible.append(draw(st.integers(0, sum(amount for _, amount in pieces[-1]))) + least[-1])
    path = list(accumulate(feasible))
    low = [content - draw(st.integers(0, 5)) for content in path]
    high = [content + draw(st.integers(0, 5)) for content in path]
    return least, pieces, low, high, draw(st.integers(-25, 25))


def cost_of(amounts, least, pieces, end_value):
    total = -end_value * sum(amounts)
    for amount, at_least, offered in zip(amounts, least, pieces, strict=True):
        left = amount - at_least
        for cost, most in offered:
            total += cost * min(left, most)
            left -= min(left, most)
        assert left == pytest.approx(0)
    return total


def optimum(least, pieces, low, high, end_value):
    costs = [cost - end_value for offered in pieces for cost, _ in offered]
    owner = [step for step, offered in enumerate(pieces) for _ in offered]
    amounts = [amount for offered in pieces for _, amount in offered]
    offset = np.cumsum(least)
    if not costs:
        return -end_value * offset[-1]
    sums = np.array([[float(step <= upto) for step in owner] for upto in range(len(least))])
    solution = linprog(
        costs,
        A_ub=np.vstack((sums, -sums)),
        b_ub=np.concatenate((np.array(high) - offset, offset - np.array(low))),
        bounds=[(0, amount) for amount in amounts],
    )
    assert solution.success
    return solution.fun - end_value * offset[-1]


@settings(deadline=None, max_examples=150)
@given(problems())
def test_no_path_within_the_bounds_is_cheaper(problem):
    least, pieces, low, high, end_value = problem
    amounts = cheapest_path(*problem)
    content = list(accumulate(amounts))
    assert all(a <= c <= b for a, c, b in zip(low, content, high, strict=True))
    assert cost_of(amounts, least, pieces, end_value) == pytest.approx(optimum(*problem), abs=1e-6)


def test_energy_is_bought_where_it_is_cheapest_before_it_is_due():
    offers = [[(30, 5)], [(10, 5)], [(20, 5)], [(1, 5)]]
    assert cheapest_path([0] * 4, offers, [0, 0, 8, 8], [99] * 4) == [0, 5, 3, 0]


def test_a_small_store_is_filled_more_than_once():
    offers = [[(10, 9)], [(30, 9)], [(11, 9)], [(30, 9)]]
    assert cheapest_path([0] * 4, offers, [0, 3, 3, 6], [4] * 2 + [7] * 2) == [4, 0, 2, 0]


def test_what_cannot_be_met_is_met_as_far_as_possible():
    assert cheapest_path([0, 0], [[(1, 2)], [(1, 2)]], [9, 9], [9, 9]) == [2, 2]
    assert cheapest_path([3, 3], [[], []], [0, 0], [1, 1]) == [3, 3]


def test_of_equal_steps_the_earlier_is_taken():
    assert cheapest_path([0, 0, 0], [[(5, 2)]] * 3, [0, 0, 3], [9, 9, 9]) == [2, 1, 0]
