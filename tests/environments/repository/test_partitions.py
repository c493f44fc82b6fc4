"""The monthly partitions of PostgreSQL."""

from datetime import UTC, datetime

import pytest
from facts import FORECAST, READING, forecast, reading
from hypothesis import given
from hypothesis import strategies as st
from inline import inline

from behaviours.repository_port import Selection
from environments.repository import SqlRepository
from environments.repository.partitions import Month, months_of
from environments.repository.retention import prune

TIMES = st.integers(Month(2000, 1).start_s, Month(2100, 1).start_s - 1)


def epoch(year, month, day=1):
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


@given(TIMES)
def test_a_time_lies_in_the_one_month_of_its_date(time_s):
    (month,) = months_of([time_s])
    assert month.start_s <= time_s < month.end_s
    assert months_of([month.start_s, month.end_s - 1]) == {month}


def test_times_that_cannot_be_right_make_no_months():
    assert months_of([0, 900, epoch(1999, 12, 31), epoch(2100, 1), 253_402_300_799]) == set()


@pytest.fixture
def repository(postgresql_url):
    repository = SqlRepository(postgresql_url)
    yield repository
    repository.close()


def partitions(repository, table):
    listed = (
        f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table}'::regclass ORDER BY 1"
    )
    with repository.engines.reading() as connection:
        return [name for (name,) in connection.exec_driver_sql(listed)]


@pytest.mark.server
def test_a_partition_is_made_when_the_first_fact_of_its_month_comes(repository):
    inline(repository.store([reading(epoch(2026, 1, 31)), reading(epoch(2026, 3)), reading(0)]))
    inline(repository.store([forecast(epoch(2026, 2))]))
    assert partitions(repository, "interval_readings") == [
        "interval_readings_2026_01",
        "interval_readings_2026_03",
        "interval_readings_after",
        "interval_readings_before",
    ]
    assert partitions(repository, "facts") == ["facts_2026_02", "facts_after", "facts_before"]
    found = inline(repository.query(READING, "h001", 0, epoch(2026, 3) + 1))
    assert [each.start_s for each in found] == [0, epoch(2026, 1, 31), epoch(2026, 3)]


@pytest.mark.server
def test_months_that_are_past_go_with_their_partition_and_come_again_when_needed(repository):
    inline(repository.store([reading(epoch(2026, month)) for month in range(1, 5)]))
    gone = prune(repository.engines, epoch(2026, 3, 31), {READING: 30})
    assert gone == {READING: 2}
    assert "interval_readings_2026_02" not in partitions(repository, "interval_readings")
    inline(repository.store([reading(epoch(2026, 2))]))  # its writer believes that the partition is there
    starts = [each.start_s for each in inline(repository.select(Selection(READING)))]
    assert starts == [epoch(2026, month) for month in (2, 3, 4)]


@pytest.mark.server
def test_a_range_is_looked_up_in_its_partitions_only(repository):
    inline(repository.store([reading(epoch(2026, month)) for month in range(1, 13)]))
    plan = "EXPLAIN SELECT * FROM interval_readings WHERE time_s >= %d AND time_s < %d"
    with repository.engines.reading() as connection:
        told = connection.exec_driver_sql(plan % (epoch(2026, 5, 3), epoch(2026, 5, 4)))
        named = {word for (line,) in told for word in line.split() if word.startswith("interval_readings_20")}
    assert named == {"interval_readings_2026_05"}


@pytest.mark.server
def test_two_repositories_make_the_same_partitions_at_the_same_time(postgresql_url):
    from concurrent.futures import ThreadPoolExecutor

    repositories = [SqlRepository(postgresql_url) for _ in range(3)]

    def store(repository):
        for month in range(1, 13):
            inline(repository.store([forecast(epoch(2027, month)), reading(epoch(2027, month))]))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(store, repositories))
    assert inline(repositories[0].count(Selection(FORECAST))) == 12
    for repository in repositories:
        repository.close()
