import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.comfort import learnt_band, reliability_after_days, reliability_after_override
from tests.behaviours.decisions.quick import quick


def test_one_cold_evening_is_no_habit():
    assert learnt_band([23.0, 23.0], (19.5, 22.5)) == (19.5, 22.5)


def test_the_band_lies_a_kelvin_either_way_of_what_people_usually_want():
    assert learnt_band([22.0, 26.0, 22.5, 22.0, 22.5], (19.5, 22.5)) == (21.5, 23.5)


def test_only_the_last_twenty_wishes_count():
    assert learnt_band([18.0] * 30 + [22.0] * 20, (19.5, 22.5)) == (21.0, 23.0)


@quick
@given(st.lists(st.floats(-50, 80), max_size=30))
def test_a_band_is_never_narrower_than_a_kelvin(wishes_degc):
    low, high = learnt_band(wishes_degc, (19.5, 22.5))
    assert high - low >= 1.0
    assert 16.0 <= low < high <= 26.0


def test_each_override_costs_reliability_and_quiet_days_bring_it_back():
    once = reliability_after_override(1.0)
    twice = reliability_after_override(once)
    assert 1.0 > once > twice
    assert reliability_after_days(twice, 0) == pytest.approx(twice)
    assert once < reliability_after_days(twice, 7) < 1.0
