import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.forecasters.backtest import METHODS, BacktestSeries, backtest, score
from behaviours.decisions.forecasters.baselines import as_last_week, as_yesterday, week_median
from behaviours.decisions.forecasters.boosted import fit_boosted, has_lightgbm
from behaviours.decisions.forecasters.load_record import LoadRecord, better_model
from behaviours.decisions.forecasters.past_days import DayForecast, past_days
from behaviours.decisions.forecasters.ridge import fit_ridge
from behaviours.decisions.forecasting import LoadHistory, load_outlook
from ontology.errors import InvalidInput
from tests.behaviours.decisions.quick import quick

A_DAY, DAY_S = 96, 86_400
MONDAY_S = 1_704_067_200  # 2024-01-01
EVENING = 300 + 250 * np.sin(np.arange(A_DAY) / A_DAY * 2 * np.pi - 2.0)


def spiky_load(days, seed=1, weekend=1.0):
    """A household: a profile, and now and then something that draws a lot."""
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(days) % 7 >= 5, weekend, 1.0)
    smooth = (level[:, None] * EVENING).ravel()
    return smooth + 1_500.0 * (rng.random(days * A_DAY) < 0.12)


def series_of(power_w, degc=None):
    return BacktestSeries(power_w, MONDAY_S + 900 * np.arange(power_w.size), 900, degc)


def past_of(power_w, origin=None):
    ahead = np.append(power_w, np.zeros(A_DAY))
    return past_days(
        ahead,
        MONDAY_S + 900 * np.arange(ahead.size),
        origin=power_w.size if origin is None else origin,
        steps=A_DAY,
    )


def test_naive_forecasts_repeat_a_day():
    power = np.repeat(np.arange(10.0), A_DAY)
    assert as_yesterday(past_of(power)).expected_w.tolist() == [9.0] * A_DAY
    assert as_last_week(past_of(power)).expected_w.tolist() == [3.0] * A_DAY
    assert week_median(past_of(power)).expected_w.tolist() == [6.0] * A_DAY


def test_the_median_is_the_one_that_sites_plan_with():
    power = np.rint(spiky_load(9))
    history = LoadHistory.of((MONDAY_S + 900 * i, float(watts)) for i, watts in enumerate(power))
    outlook = load_outlook(history, MONDAY_S + 9 * DAY_S, np.ones(A_DAY))
    median = week_median(past_of(power))
    np.testing.assert_array_equal(outlook.power_w, np.rint(median.expected_w))
    np.testing.assert_array_equal(outlook.high_w, np.rint(median.high_w))


def test_ridge_foresees_a_weekend_that_the_median_misses():
    series = series_of(spiky_load(42, weekend=2.5))
    ridge, median = (
        score(series, backtest(series, METHODS[name], 28), 28) for name in ("ridge", "7-day median")
    )
    assert ridge.nrmse < 0.85 * median.nrmse


def test_ridge_foresees_all_of_the_energy_and_the_median_only_what_is_usual():
    series = series_of(spiky_load(49))
    ridge, median = (
        score(series, backtest(series, METHODS[name], 28), 28) for name in ("ridge", "7-day median")
    )
    assert abs(ridge.bias) < 0.05
    assert median.bias < -0.25


def test_eight_values_in_ten_lie_within_the_quantiles_of_ridge():
    series = series_of(spiky_load(56))
    assert 0.75 <= score(series, backtest(series, METHODS["ridge"], 28), 28).coverage <= 0.9


def test_a_cold_day_is_foreseen_when_the_temperature_is_told():
    rng = np.random.default_rng(3)
    degc = np.repeat(rng.uniform(-5, 15, 42), A_DAY)
    heated = spiky_load(42) + 100 * (15 - degc)
    blind, told = (
        score(each, backtest(each, METHODS["ridge"], 28), 28)
        for each in (series_of(heated), series_of(heated, degc))
    )
    assert told.nrmse < 0.7 * blind.nrmse


def test_a_forecast_knows_nothing_of_its_day():
    power = spiky_load(30)
    other = power.copy()
    other[28 * A_DAY :] = 9_999.0
    for method in ("yesterday", "last week", "7-day median", "ridge"):
        one, two = (backtest(series_of(each), METHODS[method], 28).expected_w[0] for each in (power, other))
        np.testing.assert_array_equal(one, two, err_msg=method)


def test_a_perfect_forecast_scores_zero_and_yesterday_scores_one():
    series = series_of(np.random.default_rng(1).uniform(0, 1000, 40 * A_DAY))
    actual = series.of_days(20)
    assert score(series, DayForecast(actual, actual, actual), 20) == (0, 0, 0, 1, 0, 0)
    assert score(series, backtest(series, METHODS["yesterday"], 20), 20).mase == pytest.approx(1, abs=0.05)


def test_too_few_days_are_refused():
    with pytest.raises(InvalidInput, match="at least 14"):
        fit_ridge(past_of(spiky_load(13)))
    with pytest.raises(InvalidInput, match="before the end"):
        backtest(series_of(spiky_load(20)), METHODS["ridge"], 20)


@pytest.mark.skipif(not has_lightgbm(), reason="LightGBM is not installed")
def test_boosted_trees_foresee_what_depends_on_the_time_of_day():
    power = spiky_load(35)
    forecast = fit_boosted(past_of(power))(past_of(power))
    assert np.corrcoef(forecast.expected_w, EVENING)[0, 1] > 0.8
    assert (forecast.low_w <= forecast.expected_w).all()
    assert (forecast.expected_w <= forecast.high_w).all()


def recorded(power_w):
    record = LoadRecord.empty()
    for number, watts in enumerate(power_w):
        if not np.isnan(watts):
            record = record.after(MONDAY_S + 900 * number, float(watts))
    return record


def test_a_site_takes_the_model_after_three_weeks_if_it_errs_less():
    power = spiky_load(24, weekend=2.5)
    assert better_model(recorded(power[: 20 * A_DAY]), MONDAY_S + 20 * DAY_S) is None
    assert better_model(recorded(power), MONDAY_S + 24 * DAY_S) is not None
    regular = np.tile(np.rint(EVENING), 24)
    assert better_model(recorded(regular), MONDAY_S + 24 * DAY_S) is None


def test_missing_readings_are_filled_and_too_many_are_not():
    power = np.tile(EVENING, 22)
    power[500:540] = np.nan
    past = recorded(power).before(MONDAY_S + 22 * DAY_S)
    assert past is not None
    np.testing.assert_allclose(past.power_w, np.tile(EVENING, (22, 1)))
    power[1000:1400] = np.nan
    assert recorded(power).before(MONDAY_S + 22 * DAY_S) is None


def test_a_gap_is_not_filled_with_what_stood_there_four_weeks_ago():
    power = np.full(30 * A_DAY, 100.0)
    power[: 2 * A_DAY] = 9_999.0
    power[28 * A_DAY : 29 * A_DAY] = np.nan
    past = recorded(power).before(MONDAY_S + 30 * DAY_S)
    assert past is not None
    assert past.power_w.max() == 100.0


def test_a_record_keeps_four_weeks_and_ends_at_any_time_of_day():
    record = recorded(np.arange(40.0 * A_DAY))
    noon = record.before(MONDAY_S + 40 * DAY_S - DAY_S // 2)
    assert noon is not None
    assert noon.days == 28
    assert noon.power_w[-1, -1] == 39.5 * A_DAY - 1
    assert record.after(MONDAY_S, 5.0) is record


@quick
@given(st.lists(st.floats(0, 20_000), min_size=15 * A_DAY // 8, max_size=16 * A_DAY // 8), st.integers(0, 7))
def test_quantiles_enclose_the_expectation_whatever_the_load(coarse, late):
    power = np.repeat(np.array(coarse), 8)
    past = past_of(power, origin=power.size - late)
    for forecast in (fit_ridge(past).forecast(past), as_yesterday(past), week_median(past)):
        assert (forecast.low_w >= 0).all()
        assert (forecast.low_w <= forecast.expected_w).all()
        assert (forecast.expected_w <= forecast.high_w).all()
