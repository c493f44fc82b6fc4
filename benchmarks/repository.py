"""The repository on SQLite and PostgreSQL: rows stored a second, and ms a question, beside the bare driver.

A community of 1,000 assets, a million interval readings of 15 minutes. They are stored in batches of 10,000,
as a gateway's backlog comes; the driver stores the same numbers in a table of the same columns: `executemany`
with sqlite3, COPY with psycopg. PostgreSQL is one that the benchmark starts, with its usual settings. CPU
time is this process's: all of the work for SQLite, the client's part for PostgreSQL.
"""

import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

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


class Spent(NamedTuple):
    """Seconds that something took, by the clock and by this process's share of the processor."""

    wall_s: float
    cpu_s: float


def measured(
    name: str, url: str, driver: Callable[[Iterator[list[Row]]], Spent], target: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one database."""
    bare = driver(batches())
    repository = SqlRepository(url)
    wanted = f"≥ {target:,}"
    spent = total(timed_store(repository, facts_of(batch)) for batch in batches())
    yield rate(name, "readings stored a second", READINGS, spent, wanted, bare)
    again = list(islice(batches(), 0, None, 10))
    spent = total(timed_store(repository, facts_of(batch)) for batch in again)
    yield rate(name, "the same again (replaced)", READINGS // 10, spent, "", bare)
    tables = [pyarrow.table(dict(zip(NAMES, zip(*each, strict=True), strict=True))) for each in again]
    other = repository.of_market("columns")
    spent = total(timed(lambda each=each: run(other.ingest(READING, each))) for each in tables)
    yield rate(name, "as Arrow columns", READINGS // 10, spent, wanted, bare)
    spent = total(timed_store(other, [each]) for each in facts_of(again[0][:300]))
    yield rate(name, "one by one", 300, spent)
    spent = timed_store(repository, [forecast(number) for number in range(5_000)])
    yield rate(name, "forecasts of 96 values a second", 5_000, spent)
    yield from asked(name, repository)
    repository.close()


def timed_store(repository: SqlRepository, facts: Sequence[Concept]) -> Spent:
    return timed(lambda: run(repository.store(facts)))


def asked(name: str, repository: SqlRepository) -> Iterator[dict[str, Any]]:
    """Yield how long questions to the million take."""
    week = Selection(READING, ("h0500",), BEGIN_S, BEGIN_S + 7 * DAY_S)
    day = Selection(READING, (), BEGIN_S + 5 * DAY_S, BEGIN_S + 6 * DAY_S)
    for question, call, wanted in (
        ("one asset's week, 672 readings, ms", lambda: run(repository.select(week)), "≤ 1"),
        ("a day of all, 96,000 readings, ms", lambda: run(repository.select(day)), "≤ 200"),
        ("a page of 100, ms", lambda: run(repository.page(day, 100)), ""),
        ("counting a day of all, ms", lambda: run(repository.count(day)), ""),
        ("the newest of one asset, ms", lambda: run(repository.latest(READING, "h0500")), ""),
        ("the newest of all, ms", lambda: run(repository.latest(READING, "")), ""),
    ):
        call()
        times = [timed(call) for _ in range(REPEATS)]
        wall_ms = sorted(1000 * each.wall_s for each in times)
        cpu_ms = 1000 * statistics.median(each.cpu_s for each in times)
        p95 = wall_ms[round(0.95 * (REPEATS - 1))]
        yield row(name, question, statistics.median(wall_ms), cpu_ms, wanted, p95=p95)


def rate(
    name: str, what: str, number: int, spent: Spent, wanted: str = "", bare: Spent | None = None
) -> dict[str, Any]:
    driver = READINGS / bare.wall_s if bare else None
    return row(name, what, number / spent.wall_s, number / spent.cpu_s, wanted, driver=driver)


def row(
    database: str,
    what: str,
    found: float,
    by_cpu: float,
    wanted: str,
    *,
    driver: float | None = None,
    p95: float | None = None,
) -> dict[str, Any]:
    return {
        "database": database,
        "measured": what,
        "wanted": wanted,
        "found": found,
        "p95": p95,
        "by CPU time here": by_cpu,
        "bare driver": driver,
    }


def forecast(number: int) -> Forecast:
    return Forecast(
        subject=f"h{number % ASSETS:04}",
        kind=ForecastKind.NET,
        issued_at_s=BEGIN_S,
        start_s=BEGIN_S + number // ASSETS * INTERVAL_S,
        power_w=list(range(96)),
    )


def driver_sqlite(folder: Path, batches: Iterator[list[Row]]) -> Spent:
    """Return what sqlite3 takes by itself, a transaction a batch."""
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(TABLE + " WITHOUT ROWID")

    def store(batch: list[Row]) -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)", batch)
        connection.execute("COMMIT")

    spent = total(timed(lambda each=each: store(each)) for each in batches)
    connection.close()
    return spent


def driver_copy(cluster: Any, batches: Iterator[list[Row]]) -> Spent:
    """Return what psycopg takes to copy into PostgreSQL by itself, a transaction a batch."""
    with cluster.connect("postgres") as connection:
        connection.execute(TABLE)
        connection.commit()

        def store(batch: list[Row]) -> None:
            with connection.cursor() as cursor, cursor.copy("COPY readings FROM STDIN") as copy:
                for each in batch:
                    copy.write_row(each)
            connection.commit()

        return total(timed(lambda each=each: store(each)) for each in batches)


def timed(work: Callable[[], Any]) -> Spent:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def total(spent: Iterable[Spent]) -> Spent:
    return Spent(*map(sum, zip(*spent, strict=True)))


def run(work: Any) -> Any:
    """Run a call of the repository, which completes without waiting."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the repository waited")
