"""The repository on SQLite and PostgreSQL: rows stored a second, and ms a question, beside the bare driver.

A community of 1,000 assets, a million interval readings of 15 minutes. They are stored in batches of 10,000,
as a gateway's backlog comes; the driver stores the same numbers in a table of the same columns: `executemany`
with sqlite3, COPY with psycopg. PostgreSQL is one that the benchmark starts, with its usual settings.
"""

import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow

from behaviours.repository_port import Selection
from environments.repository import SqlRepository
from ontology.base import Concept
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import IntervalReading

__all__ = ["rows"]

ASSETS, READINGS = 1_000, 1_000_000
BATCH = 10_000
INTERVAL_S, DAY_S = 900, 86_400
BEGIN_S = 1_714_608_000 + 10 * DAY_S
"""In the middle of a month, so that one partition holds all."""
READING = "parity:IntervalReading"
REPEATS = 20
TABLE = """CREATE TABLE readings (subject TEXT, start_s BIGINT, consumed_wh BIGINT, produced_wh BIGINT,
    consumed_w BIGINT, produced_w BIGINT, quality TEXT, PRIMARY KEY (subject, start_s))"""

Row = tuple[str, int, int, int, int, int, str]
NAMES = ("subject", "start_s", "consumed_wh", "produced_wh", "consumed_w", "produced_w", "quality")


def rows() -> list[dict[str, Any]]:
    """Return a row a question and database."""
    found = []
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/facts.sqlite"
        found += list(measured("SQLite", url, lambda batches: driver_sqlite(Path(folder), batches), 150_000))
    with own_postgresql() as cluster:
        url = cluster.new_database()
        found += list(measured("PostgreSQL", url, lambda batches: driver_copy(cluster, batches), 100_000))
    return found


@contextmanager
def own_postgresql() -> Iterator[Any]:
    """Run the PostgreSQL that the tests run, for as long as it is needed."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from postgresql_cluster import PostgresqlCluster

    cluster = PostgresqlCluster("fsync=on")
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def batches() -> Iterator[list[Row]]:
    """Yield the million readings in the order of time, a batch at a time."""
    for first in range(0, READINGS, BATCH):
        yield [
            (
                f"h{number % ASSETS:04}",
                BEGIN_S + number // ASSETS * INTERVAL_S,
                number % 977,
                number % 53,
                number % 977 * 4,
                number % 53 * 4,
                "VALID",
            )
            for number in range(first, first + BATCH)
        ]


def facts_of(batch: list[Row]) -> list[IntervalReading]:
    return [IntervalReading(**dict(zip(NAMES, row, strict=True))) for row in batch]  # type: ignore[arg-type]


def measured(
    name: str, url: str, driver: Callable[[Iterator[list[Row]]], float], target: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one database."""
    bare = driver(batches())
    repository = SqlRepository(url)
    stored_s = sum(timed_store(repository, facts_of(batch)) for batch in batches())
    yield row(name, "readings stored a second", READINGS / stored_s, bare, f"≥ {target:,}")
    again = list(islice(batches(), 0, None, 10))
    stored_s = sum(timed_store(repository, facts_of(batch)) for batch in again)
    yield row(name, "the same again (replaced)", READINGS / 10 / stored_s, bare, "")
    tables = [pyarrow.table(dict(zip(NAMES, zip(*each, strict=True), strict=True))) for each in again]
    other = repository.of_market("columns")
    stored_s = sum(elapsed(lambda each=each: run(other.ingest(READING, each))) for each in tables)
    yield row(name, "as Arrow columns", READINGS / 10 / stored_s, bare, f"≥ {target:,}")
    stored_s = sum(timed_store(other, [each]) for each in facts_of(again[0][:300]))
    yield row(name, "one by one", 300 / stored_s, None, "")
    stored_s = timed_store(repository, [forecast(number) for number in range(5_000)])
    yield row(name, "forecasts of 96 values a second", 5_000 / stored_s, None, "")
    yield from asked(name, repository)
    repository.close()


def timed_store(repository: SqlRepository, facts: Sequence[Concept]) -> float:
    return elapsed(lambda: run(repository.store(facts)))


def asked(name: str, repository: SqlRepository) -> Iterator[dict[str, Any]]:
    """Yield how long questions to the million take."""
    week = Selection(READING, ("h0500",), BEGIN_S, BEGIN_S + 7 * DAY_S)
    day = Selection(READING, (), BEGIN_S + 5 * DAY_S, BEGIN_S + 6 * DAY_S)
    for question, call, target in (
        ("one asset's week, 672 readings", lambda: run(repository.select(week)), "≤ 1 ms"),
        ("a day of all, 96,000 readings", lambda: run(repository.select(day)), "≤ 200 ms"),
        ("a page of 100", lambda: run(repository.page(day, 100)), ""),
        ("counting a day of all", lambda: run(repository.count(day)), ""),
        ("the newest of one asset", lambda: run(repository.latest(READING, "h0500")), ""),
        ("the newest of all", lambda: run(repository.latest(READING, "")), ""),
    ):
        call()
        times = sorted(1000 * elapsed(call) for _ in range(REPEATS))
        p95 = times[round(0.95 * (REPEATS - 1))]
        yield row(name, f"{question}: ms, median and p95", statistics.median(times), p95, target)


def row(database: str, what: str, found: float, beside: float | None, target: str) -> dict[str, Any]:
    return {
        "database": database,
        "measured": what,
        "found": found,
        "driver, or p95": beside,
        "wanted": target,
    }


def forecast(number: int) -> Forecast:
    return Forecast(
        subject=f"h{number % ASSETS:04}",
        kind=ForecastKind.NET,
        issued_at_s=BEGIN_S,
        start_s=BEGIN_S + number // ASSETS * INTERVAL_S,
        power_w=list(range(96)),
    )


def driver_sqlite(folder: Path, batches: Iterator[list[Row]]) -> float:
    """Return how many rows a second sqlite3 stores by itself, a transaction a batch."""
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(TABLE + " WITHOUT ROWID")

    def store(batch: list[Row]) -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)", batch)
        connection.execute("COMMIT")

    rate = READINGS / sum(elapsed(lambda each=each: store(each)) for each in batches)
    connection.close()
    return rate


def driver_copy(cluster: Any, batches: Iterator[list[Row]]) -> float:
    """Return how many rows a second psycopg copies into PostgreSQL by itself, a transaction a batch."""
    with cluster.connect("postgres") as connection:
        connection.execute(TABLE)
        connection.commit()

        def store(batch: list[Row]) -> None:
            with connection.cursor() as cursor, cursor.copy("COPY readings FROM STDIN") as copy:
                for each in batch:
                    copy.write_row(each)
            connection.commit()

        return READINGS / sum(elapsed(lambda each=each: store(each)) for each in batches)


def elapsed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(work: Any) -> Any:
    """Run a call of the repository, which completes without waiting."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the repository waited")
