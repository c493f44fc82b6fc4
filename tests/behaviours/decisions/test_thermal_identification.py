import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviours.decisions.heat_pump import cop_at
from behaviours.decisions.thermal_identification import (
    HeatRecord,
    identified,
    predicted,
    prediction_error_k,
)
from ontology.storage import ThermalModel

TRUTH = ThermalModel(
    asset_id="heat_pump",
    resistance_k_per_w=0.006,
    capacity_j_per_k=4e7,
    cop=3.0,
    temperature_min_degc=19.5,
    temperature_max_degc=22.5,
    cop_outdoor_degc=[-10, 0, 10],
    cop_points=[2.4, 3.0, 4.0],
    solar_aperture_m2=3.0,
    internal_gain_w=400.0,
)
WRONG = ThermalModel(
    asset_id="heat_pump",
    resistance_k_per_w=0.009,
    capacity_j_per_k=2.5e7,
    cop=3.0,
    temperature_min_degc=19.5,
    temperature_max_degc=22.5,
    cop_outdoor_degc=[-10, 0, 10],
    cop_points=[2.4, 3.0, 4.0],
    solar_aperture_m2=1.5,
    internal_gain_w=250.0,
)


def lived_in(truth, days=21, noise_k=0.1, seed=1):
    """Return weeks in a house whose heat pump is shifted now and then, as a thermometer tells them."""
    draw = np.random.default_rng(seed)
    steps = days * 96
    hours = np.arange(steps) / 4
    fronts = np.arange(0, days * 24 + 36, 36)
    weather = np.interp(hours, fronts, draw.normal(3, 4, len(fronts)))
    outdoor = weather - 3 * np.cos(2 * np.pi * (hours - 3) / 24)
    clouds = np.repeat(draw.uniform(0.1, 1.0, days * 24), 4)
    ghi = 450 * np.maximum(np.sin(2 * np.pi * (hours - 6) / 24), 0) * clouds
    target = 21 + np.repeat(draw.choice([-0.7, 0.0, 0.7], days * 8), 12)
    kept = np.exp(-900 / (truth.resistance_k_per_w * truth.capacity_j_per_k))
    cop = cop_at(truth, outdoor)
    power, rooms, room = np.zeros(steps), np.zeros(steps), 21.0
    for step in range(steps):
        power[step] = 4_000 * np.clip((target[step] - room) / 0.8 + 0.4, 0, 1)
        heat = cop[step] * power[step] + truth.solar_aperture_m2 * ghi[step] + truth.internal_gain_w
        settled = outdoor[step] + truth.resistance_k_per_w * heat
        room = rooms[step] = settled + (room - settled) * kept
    return HeatRecord(rooms + draw.normal(0, noise_k, steps), power, outdoor, ghi)


def shares(found, truth):
    return np.array(
        [
            found.resistance_k_per_w / truth.resistance_k_per_w,
            found.capacity_j_per_k / truth.capacity_j_per_k,
            found.solar_aperture_m2 / truth.solar_aperture_m2,
            found.internal_gain_w / truth.internal_gain_w,
        ]
    )


def test_three_weeks_with_a_noisy_thermometer_tell_what_a_building_is_like():
    found = identified(lived_in(TRUTH), WRONG)
    assert shares(found, TRUTH) == pytest.approx(1.0, abs=0.15)


@settings(deadline=None, max_examples=15)
@given(
    resistance=st.floats(0.004, 0.012),
    hours=st.floats(30, 120),
    aperture_m2=st.floats(2, 6),
    seed=st.integers(0, 1000),
)
def test_resistance_and_capacity_are_found_in_any_house(resistance, hours, aperture_m2, seed):
    truth = ThermalModel(
        asset_id="heat_pump",
        resistance_k_per_w=resistance,
        capacity_j_per_k=hours * 3600 / resistance,
        cop=3.0,
        temperature_min_degc=18,
        temperature_max_degc=25,
        solar_aperture_m2=aperture_m2,
        internal_gain_w=350.0,
    )
    found = identified(lived_in(truth, seed=seed), truth)
    assert shares(found, truth)[:2] == pytest.approx(1.0, abs=0.15)


def test_what_is_not_measured_is_left_out():
    record = lived_in(TRUTH)
    record.temperature_degc[500:560] = np.nan
    record.ghi_w_per_m2[900] = np.nan
    record.power_w[1300:1310] = np.nan
    assert shares(identified(record, WRONG), TRUTH) == pytest.approx(1.0, abs=0.15)


def test_a_weekend_of_open_windows_is_another_building_and_left_out():
    record = lived_in(TRUTH)
    record.temperature_degc[960:1100] -= np.linspace(0, 4, 140)
    assert shares(identified(record, WRONG), TRUTH)[:2] == pytest.approx(1.0, abs=0.15)


def test_half_a_day_tells_nothing():
    assert identified(lived_in(TRUTH).part(0, 40), WRONG) is None


def test_the_identified_building_is_foreseen_a_day_and_an_hour_ahead():
    weeks, next_week = lived_in(TRUTH, 28).part(0, 21 * 96), lived_in(TRUTH, 28).part(21 * 96, 28 * 96)
    found = identified(weeks, WRONG)
    assert prediction_error_k(found, next_week, 96) <= 0.3 < 1.0 < prediction_error_k(WRONG, next_week, 96)
    assert prediction_error_k(found, next_week, 4) <= 0.3


def test_nothing_is_said_of_a_record_that_is_too_short_to_foresee():
    assert prediction_error_k(TRUTH, lived_in(TRUTH, 1), 96) is None


def test_a_house_that_nobody_heats_cools_to_what_sun_and_people_give():
    quiet = HeatRecord(np.zeros(4_000), np.zeros(4_000), np.full(4_000, 5.0), np.full(4_000, 100.0))
    assert predicted(TRUTH, 20.0, quiet)[-1] == pytest.approx(5.0 + 0.006 * (300 + 400), abs=0.01)


def test_the_cop_follows_the_weather_between_the_points_of_the_data_sheet():
    assert cop_at(TRUTH, [-20, -5, 0, 5, 30]).tolist() == pytest.approx([2.4, 2.7, 3.0, 3.5, 4.0])
