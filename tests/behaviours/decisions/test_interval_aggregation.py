"""Samples become intervals: means and energies by event time, and what fills the gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.interval_aggregation import (
    CONTEXT_S,
    WATERMARK_S,
    WEEK_S,
    IntervalValue,
    aggregate,
    fill_energies,
    fill_means,
    touched_by,
)
from behaviours.decisions.sample_cleansing import SampleRules, cleanse_samples
from ontology.measurements import Quality, Quantity

POWER = SampleRules(Quantity.ACTIVE_POWER_W, -43_000, 43_000, resolution=1, period_s=10)
REGISTER = SampleRules(Quantity.ENERGY_WH, 0, 1e9, resolution=1, period_s=60)
START_S = 1_750_000_500


def mean_of(times, values):
    return aggregate(cleanse_samples(times, values, POWER), START_S, POWER)


def ramp(first_s, last_s, step_s=10):
    times = np.arange(START_S + first_s, START_S + last_s, step_s)
    return times, (times - START_S).astype(float)


def known(**values):
    return {
        START_S + int(step[1:]) * 900: IntervalValue(value, Quality.VALID) for step, value in values.items()
    }


def test_the_mean_of_a_ramp_is_its_middle():
    value, quality = mean_of(*ramp(-60, 960))
    assert value == pytest.approx(450)
    assert quality is Quality.VALID


def test_irregular_samples_count_by_the_time_that_they_stand_for():
    times = START_S + np.array([-10, 0, 10, 20, 30, 45, 60, 75, *range(90, 920, 10)])
    load = np.where(times < START_S + 450, 100.0, 300.0)
    assert mean_of(times, load).value == pytest.approx(200, abs=2)


@pytest.mark.parametrize(
    ("until_s", "quality"), [(905, Quality.VALID), (600, Quality.ESTIMATED), (300, Quality.MISSING)]
)
def test_quality_says_how_much_of_the_interval_was_seen(until_s, quality):
    assert mean_of(*ramp(-60, until_s)).quality is quality


def test_no_samples_are_a_missing_interval():
    assert mean_of([], []).quality is Quality.MISSING


@some
@given(st.integers(0, 1000))
def test_registered_intervals_add_up_to_what_the_register_counted(seed):
    rng = np.random.default_rng(seed)
    times = np.unique(START_S + rng.integers(-600, 8 * 900 + 400, 200))
    count = 5_000 + np.cumsum(rng.integers(0, 50, times.size)).astype(float)
    samples = cleanse_samples(times, count, REGISTER)
    energies = [aggregate(samples, START_S + step * 900, REGISTER).value for step in range(8)]
    first, last = np.interp((START_S, START_S + 7_200), times, count)
    assert sum(energies) == pytest.approx(last - first)


def test_gaps_of_two_are_linear_longer_ones_as_last_week_and_the_rest_missing():
    values = known(_0=100.0, _3=400.0, _6=700.0)
    values |= {START_S + 4 * 900 - WEEK_S: IntervalValue(55.0, Quality.VALID)}
    filled = list(fill_means(values, START_S, START_S + 8 * 900).values())
    assert [round(each.value) for each in filled[:4]] == [100, 200, 300, 400]
    assert filled[1].quality is Quality.ESTIMATED
    assert filled[4] == IntervalValue(500.0, Quality.ESTIMATED)
    assert filled[7].quality is Quality.MISSING


def test_an_outage_is_filled_as_last_week():
    values = known(_0=1.0, _5=1.0)
    values |= {START_S + step * 900 - WEEK_S: IntervalValue(step * 10.0, Quality.VALID) for step in range(6)}
    filled = fill_means(values, START_S, START_S + 5 * 900)
    assert [filled[START_S + step * 900].value for step in range(1, 5)] == [10, 20, 30, 40]
    assert {filled[START_S + step * 900].quality for step in range(1, 5)} == {Quality.SUBSTITUTED}


@some
@given(st.integers(1, 40), st.floats(1, 10_000), st.booleans())
def test_what_a_register_counted_in_an_outage_is_kept(length, counted_wh, has_week):
    values = known(_0=100.0) | {START_S + (length + 1) * 900: IntervalValue(100.0, Quality.VALID)}
    if has_week:
        values |= {
            START_S + step * 900 - WEEK_S: IntervalValue(step + 1.0, Quality.VALID)
            for step in range(length + 2)
        }
    last_s = START_S + (length + 1) * 900
    filled = fill_energies(values, {START_S + 900: counted_wh}, START_S, last_s)
    assert sum(each.value for each in filled.values()) == pytest.approx(200 + counted_wh)
    assert filled[START_S + 900].quality is (Quality.SUBSTITUTED if has_week else Quality.ESTIMATED)


@some
@given(st.integers(0, 100_000), st.integers(-10, 10))
def test_a_sample_touches_just_the_intervals_that_look_at_it(time_s, step):
    start_s = time_s // 900 * 900 + step * 900
    looks = start_s - CONTEXT_S <= time_s < start_s + 900 + WATERMARK_S
    assert (start_s in touched_by(time_s)) == looks
