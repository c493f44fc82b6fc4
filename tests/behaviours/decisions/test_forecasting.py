import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.forecasting import LoadHistory, load_outlook
from behaviours.decisions.series import coverage, nmae
from ontology.forecasts import ForecastKind
from tests.behaviours.decisions.quick import quick

DAY = 96
PROFILE = 300 + 200 * np.sin(np.arange(DAY) / DAY * 2 * np.pi)


def history_of(days, level=1.0, seed=1, noise=0.3):
    rng = np.random.default_rng(seed)
    powers = np.tile(PROFILE * level, days) * rng.lognormal(0, noise, days * DAY)
    return LoadHistory.of((start * 900, float(power)) for start, power in enumerate(powers)), powers


def test_a_new_site_is_expected_to_follow_its_profile():
    outlook = load_outlook(LoadHistory.empty(), 0, PROFILE)
    assert outlook.power_w.tolist() == np.rint(PROFILE).astype(int).tolist()


def test_a_known_site_is_expected_to_repeat_the_median_of_its_last_seven_days():
    history = LoadHistory.of(
        (day * 86_400, float(watts)) for day, watts in enumerate([9, 9, 1, 2, 3, 4, 5, 6, 900])
    )
    outlook = load_outlook(history, 9 * 86_400, np.full(DAY, 4.0))
    assert outlook.power_w[0] == 4
    assert (outlook.low_w[0], outlook.high_w[0]) == (1, 900)


def test_an_outlook_begins_in_the_slot_asked_for():
    history = LoadHistory.of(
        (slot * 900 + day * 86_400, float(slot)) for slot in range(DAY) for day in range(7)
    )
    assert load_outlook(history, 7 * 86_400 + 10 * 900, np.ones(DAY)).power_w[:3].tolist() == [10, 11, 12]
    assert load_outlook(history, 7 * 86_400 + 95 * 900, np.ones(DAY)).power_w[:2].tolist() == [95, 0]


def test_half_a_day_of_readings_tells_that_a_site_is_larger_than_its_profile():
    history, _ = history_of(days=1, level=2.0)
    short = LoadHistory.of((slot * 900, 2.0 * float(PROFILE[slot])) for slot in range(48))
    assert load_outlook(short, DAY * 900, PROFILE).power_w[60] == pytest.approx(2 * PROFILE[60], rel=0.15)
    assert load_outlook(history, DAY * 900, PROFILE).power_w.sum() == pytest.approx(
        2 * PROFILE.sum(), rel=0.15
    )


def test_a_weeks_median_beats_yesterday_on_a_noisy_household():
    history, powers = history_of(days=7)
    _, tomorrow = history_of(days=1, seed=2)
    expected = load_outlook(history, 7 * DAY * 900, PROFILE).power_w
    assert nmae(tomorrow, expected) < 0.85 * nmae(tomorrow, powers[-DAY:])


def test_three_quarters_of_the_days_lie_within_the_quantiles():
    history, _ = history_of(days=7)
    outlook = load_outlook(history, 0, PROFILE)
    actual = np.concatenate([history_of(days=1, seed=seed)[1] for seed in range(2, 30)])
    assert 0.65 <= coverage(actual, np.tile(outlook.low_w, 28), np.tile(outlook.high_w, 28)) <= 0.85


def test_a_reading_that_comes_twice_or_late_changes_nothing():
    history = LoadHistory.empty().after(900, 100.0)
    assert history.after(900, 200.0) is history
    assert history.after(0, 200.0) is history


def test_a_history_is_never_changed():
    history = LoadHistory.empty().after(900, 100.0)
    history.after(1800, 300.0)
    assert history.counts.sum() == 1
    assert history.median_w.sum() == 100.0


@quick
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 20_000)), max_size=60),
    st.integers(0, 2000),
    st.floats(0, 5_000),
)
def test_quantiles_enclose_the_expectation_and_nothing_is_negative(readings, start, level):
    history = LoadHistory.of((slot * 900, watts) for slot, watts in readings)
    outlook = load_outlook(history, start * 900, np.full(DAY, level))
    assert (outlook.low_w >= 0).all()
    assert (outlook.low_w <= outlook.power_w).all()
    assert (outlook.power_w <= outlook.high_w).all()


def test_an_outlook_becomes_a_forecast():
    forecast = load_outlook(LoadHistory.empty(), 900, PROFILE).as_forecast(
        "h001", ForecastKind.LOAD, 920, 900
    )
    assert forecast.subject == "h001"
    assert len(forecast.power_w) == len(forecast.low_w) == len(forecast.high_w) == DAY
    assert isinstance(forecast.power_w[0], int)
