"""SPEC 4.6 over months of the simulated world; the whole year is `python -m benchmarks forecasting`."""

import numpy as np
import pytest

from benchmarks.forecasting import PLANTS, Year, detections, replay, scores, year_of

MARCH_S = 1_709_251_200

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spring() -> Year:
    """Return 75 days from March on, in a seeded year."""
    return year_of(seed=2, days=75, first_s=MARCH_S)


def test_a_day_ahead_a_plant_is_foreseen_better_than_by_the_day_before(spring):
    outlooks, alarms = replay(spring, PLANTS[0])
    found = scores(spring, PLANTS[0], outlooks)
    assert found.nmae <= 0.08
    assert found.nmae <= 0.85 * found.persistence
    assert 0.75 <= found.coverage <= 0.85
    assert found.least_w >= 0
    assert found.night_w == 0
    assert alarms < 3


def test_a_plant_that_was_described_wrongly_is_foreseen_by_its_own_past(spring):
    wrong = PLANTS[3]
    outlooks, _ = replay(spring, wrong)
    found = scores(spring, wrong, outlooks)
    assert found.nmae <= 0.08
    assert 0.75 <= found.coverage <= 0.85


def test_faults_are_found_within_a_day(spring):
    hours = np.array(list(detections(spring, PLANTS[0])))
    assert len(hours) == 7
    assert (hours <= 24).all()
