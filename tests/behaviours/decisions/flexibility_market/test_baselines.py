"""What would have been drawn without an order (SPEC 2.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.flexibility_market.baselines import (
    control_group,
    high_5_of_10,
    mean_before_and_after,
    normalised_error,
    same_slot_7d,
)
from ontology.errors import InvalidInput

DAY_S = 86_400
NOW_S = 60 * DAY_S + 18 * 3600


def daily(*powers_w):
    """Return a slot's power yesterday, the day before, and so on."""
    return {NOW_S - DAY_S * (i + 1): power_w for i, power_w in enumerate(powers_w)}


def test_the_same_slot_a_week_ago():
    assert same_slot_7d(daily(1, 2, 3, 4, 5, 6, 700), NOW_S) == 700
    assert same_slot_7d(daily(1, 2, 3), NOW_S) is None


def test_the_five_highest_of_ten_days():
    assert high_5_of_10(daily(10, 90, 20, 80, 30, 70, 40, 60, 50, 100), NOW_S) == 80


def test_days_with_an_event_are_left_out():
    metered = daily(*[100] * 10, 600)
    assert high_5_of_10(metered, NOW_S, [NOW_S - DAY_S]) == (600 + 4 * 100) // 5
    assert high_5_of_10(daily(*[100] * 10), NOW_S, [NOW_S - DAY_S]) is None


def test_demand_is_that_of_the_whole_day():
    metered = daily(*[100] * 5, *[10] * 5)
    sleepless = {NOW_S - DAY_S * day - 3600: 1000 for day in range(6, 11)}
    assert high_5_of_10(metered, NOW_S) == 100
    assert high_5_of_10(metered | sleepless, NOW_S) == 10


def test_the_half_hours_before_and_after():
    metered = {NOW_S - 1800: 10, NOW_S - 900: 20, NOW_S: 999, NOW_S + 900: 30, NOW_S + 1800: 40}
    assert mean_before_and_after(metered, NOW_S, NOW_S + 900) == 25
    assert mean_before_and_after(metered, NOW_S, NOW_S + 1800) is None


def test_a_control_group_is_scaled_to_the_group():
    group = {NOW_S - 1800: 100, NOW_S - 900: 300, NOW_S: 50}
    control = {NOW_S - 1800: 10, NOW_S - 900: 30, NOW_S: 25}
    assert control_group(group, control, NOW_S, [NOW_S - 1800, NOW_S - 900]) == 250
    assert control_group(group, control, NOW_S, []) is None


def test_the_error_is_a_share_of_the_power():
    assert normalised_error([90, 110], [100, 100]) == pytest.approx(0.1)
    with pytest.raises(InvalidInput):
        normalised_error([], [])


@given(st.lists(st.integers(1, 10_000), min_size=1), st.integers(1, 5))
def test_a_perfect_baseline_has_no_error_and_scale_does_not_matter(powers_w, scale):
    assert normalised_error(powers_w, powers_w) == 0
    larger = [each * scale for each in powers_w]
    wrong = [each + 10 for each in powers_w]
    assert normalised_error([each * scale for each in wrong], larger) == pytest.approx(
        normalised_error(wrong, powers_w)
    )
