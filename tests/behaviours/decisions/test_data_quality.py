import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.data_quality import cleanse, frozen, impute, outliers, plausible, suspicious
from ontology.measurements import Quality
from tests.behaviours.decisions.quick import quick

NAN = float("nan")


def noisy(seed=3, size=4_000):
    return np.random.default_rng(seed).normal(1_000, 50, size)


def test_injected_spikes_are_found_and_hardly_anything_else():
    values = noisy()
    rng = np.random.default_rng(4)
    spikes = rng.choice(values.size, values.size // 100, replace=False)
    spread = np.median(np.abs(values - np.median(values)))
    values[spikes] += rng.choice([-1, 1], spikes.size) * 8 * 1.4826 * spread
    found = outliers(values)
    assert found[spikes].mean() >= 0.95
    assert np.delete(found, spikes).mean() <= 0.01


def test_a_step_of_the_load_is_no_outlier():
    assert not outliers([100.0 + i % 3 for i in range(20)] + [900.0 + i % 3 for i in range(20)]).any()


def test_differences_below_the_resolution_are_never_outliers():
    steady = [230.0] * 10 + [231.0] + [230.0] * 10
    assert outliers(steady)[10]
    assert not outliers(steady, resolution=1.0).any()


def test_missing_values_are_no_outliers():
    assert not outliers([NAN] * 20).any()
    assert outliers([]).size == 0


def test_implausible_values_are_those_out_of_bounds():
    assert plausible([-1, 0, 10, 11, NAN], 0, 10).tolist() == [False, True, True, False, False]


def test_a_sensor_is_frozen_after_an_hour_of_the_same_nonzero_value():
    assert frozen([7.0] * 5 + [8.0]).tolist() == [True] * 5 + [False]
    assert not frozen([7.0] * 4 + [8.0]).any()
    assert not frozen([0.0] * 50).any()
    assert frozen([]).size == 0


def test_a_short_gap_is_interpolated():
    result = impute([100.0, NAN, NAN, 400.0])
    assert result.values.tolist() == [100.0, 200.0, 300.0, 400.0]
    assert result.quality == [Quality.VALID, Quality.ESTIMATED, Quality.ESTIMATED, Quality.VALID]


def test_a_longer_gap_is_filled_from_last_week_and_a_longer_still_not_at_all():
    week_ago = np.arange(200.0)
    result = impute([1.0, NAN, NAN, NAN, 5.0], week_ago[:5])
    assert result.values.tolist() == [1.0, 1.0, 2.0, 3.0, 5.0]
    assert result.quality[1:4] == [Quality.SUBSTITUTED] * 3
    assert set(impute([1.0] + [NAN] * 97 + [5.0], week_ago[:99]).quality[1:-1]) == {Quality.MISSING}


def test_without_last_week_a_gap_stays_and_is_marked():
    result = impute([1.0, NAN, NAN, NAN, 5.0])
    assert np.isnan(result.values[1:4]).all()
    assert result.quality[1:4] == [Quality.MISSING] * 3


def test_a_gap_at_the_end_is_not_interpolated():
    assert impute([1.0, NAN]).quality == [Quality.VALID, Quality.MISSING]


def test_cleansing_replaces_a_spike_an_impossible_value_and_a_frozen_hour():
    values = noisy(size=60)
    values[10], values[20], values[30:36] = 9_000.0, -5.0, 1_234.0
    result = cleanse(values, 0, 20_000, last_week=noisy(seed=5, size=60))
    assert result.quality[10] is Quality.ESTIMATED
    assert result.quality[20] is Quality.ESTIMATED
    assert result.quality[30:36] == [Quality.SUBSTITUTED] * 6
    assert np.abs(result.values - 1_000).max() < 300


@quick
@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(NAN)), max_size=60))
def test_every_value_has_a_quality_and_only_valid_ones_are_kept(values):
    result = cleanse(values, 0, 1e5)
    assert len(result.quality) == len(values)
    for value, cleansed, quality in zip(values, result.values, result.quality, strict=True):
        assert (quality is Quality.MISSING) == np.isnan(cleansed)
        if quality is Quality.VALID:
            assert cleansed == value
            assert 0 <= value <= 1e5


@pytest.mark.parametrize(
    ("value", "expected"), [(1_010.0, False), (1_900.0, True), (-1.0, True), (NAN, True), (99_999.0, True)]
)
def test_a_new_sample_is_judged_by_the_recent_ones(value, expected):
    assert suspicious(value, noisy(size=12).tolist(), 0, 20_000) is expected


def test_the_first_samples_are_believed_within_bounds():
    assert not suspicious(5_000.0, [1.0, 1.0, 1.0], 0, 20_000)
