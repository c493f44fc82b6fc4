"""What a peak-shaving battery makes of two winter months of thirty homes, beside perfect foresight."""

import pytest

from benchmarks.battery import households_w, peaks_w, shaved

CAPACITY_KWH, POWER_KW = 40, 10


@pytest.fixture(scope="module")
def course():
    return shaved(households_w(30, seed=1, days=28 + 31 + 29), CAPACITY_KWH, POWER_KW)


@pytest.mark.slow
def test_the_monthly_peaks_fall_by_nine_tenths_of_what_foresight_allows(course):
    without, achieved, best = peaks_w(course, CAPACITY_KWH, POWER_KW).mean(axis=0)
    assert without - achieved >= 0.9 * (without - best)


@pytest.mark.slow
def test_what_could_be_kept_is_kept(course):
    broken = (course.import_w > course.threshold_w) & course.feasible
    assert broken.sum() <= 0.01 * course.feasible.sum()


@pytest.mark.slow
def test_the_content_stays_within_its_limits(course):
    assert 0.05 <= course.state_of_charge.min() <= course.state_of_charge.max() <= 1
