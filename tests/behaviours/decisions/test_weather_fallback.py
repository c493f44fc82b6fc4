"""The last forecast carried on: it stands where it reached, then each hour is as the last one like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.weather_fallback import carried_on
from ontology.measurements import Quality
from ontology.weather import WeatherForecast

START_S = 1_750_000_500


def last(steps=96, step_s=900):
    series = [float(step) for step in range(steps)]
    return WeatherForecast(
        zone="z",
        issued_at_s=START_S,
        start_s=START_S,
        step_s=step_s,
        outdoor_degc=series,
        ghi_w_per_m2=series,
        dni_w_per_m2=series,
        dhi_w_per_m2=series,
    )


def test_what_it_foresaw_stands_and_the_rest_is_as_a_day_before():
    found = carried_on(last(), START_S + 3_600)
    assert found.start_s == START_S + 3_600
    assert found.outdoor_degc[:3] == [4, 5, 6]
    assert found.outdoor_degc[-4:] == [0, 1, 2, 3]


def test_it_is_flagged_and_says_how_old_it_is():
    found = carried_on(last(), START_S + 7_200)
    assert (found.quality, found.issued_at_s) == (Quality.SUBSTITUTED, START_S)


@some
@given(st.integers(0, 40 * 86_400), st.sampled_from([(96, 900), (24, 3_600), (192, 900), (30, 3_600)]))
def test_every_step_is_at_the_same_time_of_the_day_as_the_one_it_comes_from(later_s, shape):
    steps, step_s = shape
    found = carried_on(last(steps, step_s), START_S + later_s)
    a_day = 86_400 // step_s
    assert len(found.outdoor_degc) == a_day
    for index, value in enumerate(found.outdoor_degc):
        at = (found.start_s - START_S) // step_s + index
        assert (at - value) % a_day == 0
        assert value == at if at < steps else value >= steps - a_day


@pytest.mark.parametrize("steps", [1, 10])
def test_a_short_forecast_is_stretched_rather_than_lost(steps):
    assert len(carried_on(last(steps), START_S + 86_400).outdoor_degc) == 96
