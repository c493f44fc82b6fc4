import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions import kpi
from tests.behaviours.decisions.quick import quick

ENERGIES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=30)


def test_self_consumption_and_self_sufficiency_count_what_meets_in_an_interval():
    consumed, produced = [100, 300, 0], [50, 400, 50]
    assert kpi.self_consumption(consumed, produced) == 350 / 500
    assert kpi.self_sufficiency(consumed, produced) == 350 / 400


@quick
@given(ENERGIES)
def test_both_are_shares(pairs):
    consumed, produced = zip(*pairs, strict=True)
    for value in (kpi.self_consumption(consumed, produced), kpi.self_sufficiency(consumed, produced)):
        assert value is None or 0 <= value <= 1


def test_what_cannot_be_evaluated_is_none():
    assert kpi.self_consumption([5], [0]) is None
    assert kpi.self_sufficiency([0], [5]) is None
    assert kpi.peak_import_w([]) is None
    assert kpi.availability(0, 0) is None


def test_the_peak_is_the_highest_import():
    assert kpi.peak_import_w([-500, 2_000, 700]) == 2_000
    assert kpi.peak_import_w([-500]) == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (kpi.delivery_ratio([90, 80], [100, 100]), 0.85),
        (kpi.baseline_error([90, 120], [100, 100]), 0.15),
        (kpi.availability(94, 96), 94 / 96),
    ],
)
def test_indicators_are_ratios_of_sums(value, expected):
    assert value == pytest.approx(expected)
