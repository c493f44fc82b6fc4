"""What unmetered sites are taken to draw, and how wrong that may be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.grid.pseudo_measurements import (
    CONNECTION_W,
    Expectation,
    expected_loads,
    from_forecast,
    from_meter,
    from_profile,
    of_minutes,
)

L1, THREE = 0, 3
PHASES = np.array([L1, THREE])
DEVIATION_W, NOTHING_W = np.full((1, 2), 300.0), np.zeros((1, 2))


@given(st.lists(st.floats(-20_000, 20_000), min_size=2, max_size=2))
@some
def test_the_phases_of_a_site_make_up_its_total(net_w):
    loads = expected_loads(
        Expectation(np.array([net_w]), np.full((1, 2), 300.0), np.zeros((1, 2))), PHASES, 0.2
    )
    assert loads.power_w.sum(axis=2)[0] == pytest.approx(net_w)


def test_a_single_phase_site_is_unsure_of_its_own_phase_and_a_three_phase_one_of_all():
    loads = expected_loads(
        Expectation(np.zeros((1, 2)), np.full((1, 2), 300.0), np.zeros((1, 2))), PHASES, 0.2
    )
    assert loads.deviation_w[0].tolist() == [[300.0, 0.0, 0.0], [pytest.approx(300 / 3**0.5)] * 3]


def test_quantiles_of_a_forecast_say_how_wrong_it_may_be():
    sure, unsure, silent = from_forecast(
        np.full(3, 1_000.0), np.array([900.0, 0.0, 1_000.0]), np.array([1_100.0, 3_000.0, 1_000.0])
    ).deviation_w
    assert sure < silent < unsure
    assert unsure == pytest.approx(1_170, rel=0.01)


def test_a_meter_is_surer_than_a_forecast_and_a_forecast_than_a_profile():
    net_w = np.array([800.0])
    known = [from_meter(net_w), from_forecast(net_w, net_w, net_w), from_profile(19.0, 1)]
    deviations = [float(each.deviation_w[0]) for each in known]
    assert deviations == sorted(deviations)
    assert [float(each.surprise_w[0]) for each in known] == [0.0, CONNECTION_W, CONNECTION_W]


def test_the_standard_household_uses_most_in_the_evening_and_3500_kwh_a_year():
    hours = [float(from_profile(hour, 1).net_w[0]) for hour in range(24)]
    assert np.argmax(hours) == 19
    assert np.mean(hours) * 8.760 == pytest.approx(3_500, rel=0.01)


def test_a_minute_is_less_sure_than_its_quarter_of_an_hour():
    quarter = from_meter(np.array([500.0]))
    minute = of_minutes(quarter)
    assert minute.net_w.tolist() == quarter.net_w.tolist()
    assert minute.deviation_w[0] > quarter.deviation_w[0]
    assert minute.surprise_w[0] > quarter.surprise_w[0]
