"""What is past its time goes, and nothing else."""

import pytest
from databases import DATABASES, url_of
from facts import FORECAST, MEASUREMENT, READING, forecast, measurement, reading
from inline import inline

from behaviours.repository_port import Selection
from environments.repository import SqlRepository
from environments.repository.keys import is_timeless
from environments.repository.packing import SETTLEMENT_TYPES
from environments.repository.retention import RETENTION_DAYS, checked_retention, prune
from ontology.errors import InvalidInput
from ontology.ledger import LedgerEntry

DAY_S = 86_400
NOW_S = 1_800_000_000 // DAY_S * DAY_S


@pytest.fixture(params=DATABASES)
def repository(request, tmp_path):
    repository = SqlRepository(url_of(request.param, request, tmp_path))
    yield repository
    repository.close()


def ages(repository, entity):
    found = inline(repository.select(Selection(entity)))
    return [(NOW_S - getattr(each, "start_s", None or getattr(each, "time_s", 0))) // DAY_S for each in found]


def test_readings_stay_13_months_fine_ones_30_days_and_forecasts_90(repository):
    days = (500, 397, 396, 91, 90, 31, 30, 0)
    for day in days:
        time_s = NOW_S - day * DAY_S
        entry = LedgerEntry(time_s=time_s, debit="a", credit="b", amount_tokens=1, settlement_key=f"{day}")
        inline(repository.store([reading(time_s), measurement(time_s), forecast(time_s), entry]))
    gone = prune(repository.engines, NOW_S)
    assert gone == {READING: 2, MEASUREMENT: 6, FORECAST: 4}
    assert ages(repository, READING) == [396, 91, 90, 31, 30, 0]
    assert ages(repository, MEASUREMENT) == [30, 0]
    assert ages(repository, FORECAST) == [90, 31, 30, 0]
    assert inline(repository.count(Selection("parity:LedgerEntry"))) == len(days)
    assert prune(repository.engines, NOW_S) == {}


def test_all_markets_are_pruned_and_names_without_readings_go(repository):
    other = repository.of_market("other")
    inline(other.store([reading(NOW_S - 400 * DAY_S, "gone"), reading(NOW_S, "stays")]))
    assert prune(repository.engines, NOW_S) == {READING: 1}
    assert inline(other.subjects(READING)) == ["stays"]


def test_days_can_be_others_and_0_keeps_for_ever(repository):
    inline(repository.store([reading(0), measurement(NOW_S - 5 * DAY_S)]))
    days = checked_retention({READING: 0, MEASUREMENT: 4})
    assert prune(repository.engines, NOW_S, days) == {MEASUREMENT: 1}


def test_nothing_is_pruned_by_default_that_is_settled_by_or_timeless():
    assert not SETTLEMENT_TYPES & set(RETENTION_DAYS)
    assert not [entity for entity in RETENTION_DAYS if is_timeless(entity)]


def test_all_that_is_wrong_with_days_is_told_at_once():
    with pytest.raises(InvalidInput) as refused:
        checked_retention({"parity:LemResult": 10, "nonsense": 1, "parity:Asset": 5, READING: -1})
    assert [each.path for each in refused.value.problems] == [
        "retention",
        "entity",
        "retention",
        "retention.parity:IntervalReading",
    ]
