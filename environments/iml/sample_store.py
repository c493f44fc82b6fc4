"""Raw samples and the intervals made of them, in one SQLite file that survives kill -9 and power cuts.

A sample is one row under its sensor and second, so it counts once however often it comes; the first value
stands. The intervals that it has a part in are marked in the same transaction. The mark goes in the
transaction that makes them again, which notes what is to be told, and that note goes when the repository
has it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from behaviours.decisions.interval_aggregation import IntervalValue, touched_by
from ontology.base import INTERVAL_S
from ontology.errors import Unavailable
from ontology.measurements import Quality

__all__ = ["OutgoingSample", "SampleStore", "StoredSample"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
    sensor TEXT NOT NULL, time_s INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (sensor, time_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intervals (
    sensor TEXT NOT NULL, start_s INTEGER NOT NULL, value REAL, quality TEXT NOT NULL,
    PRIMARY KEY (sensor, start_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due (
    sensor TEXT NOT NULL, start_s INTEGER NOT NULL, PRIMARY KEY (sensor, start_s)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due_by_time ON due (start_s);
CREATE TABLE IF NOT EXISTS outgoing (
    sensor TEXT NOT NULL, time_s INTEGER NOT NULL, value REAL NOT NULL, quality TEXT NOT NULL,
    PRIMARY KEY (sensor, time_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS treated (
    sensor TEXT NOT NULL, time_s INTEGER NOT NULL, value REAL NOT NULL, quality TEXT NOT NULL,
    PRIMARY KEY (sensor, time_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changed (sensor TEXT NOT NULL, start_s INTEGER NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (sensor, start_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
    sensor TEXT NOT NULL, start_s INTEGER NOT NULL, value REAL NOT NULL, quality TEXT NOT NULL,
    PRIMARY KEY (sensor, start_s)
) WITHOUT ROWID;
"""


class StoredSample(NamedTuple):
    """A raw value of a sensor, by its key, at a second."""

    sensor: str
    time_s: int
    value: float


class OutgoingSample(NamedTuple):
    """A value of a sensor that the repository is to be told, and how far it can be trusted."""

    sensor: str
    time_s: int
    value: float
    quality: Quality


_UNCHANGED = "SELECT 1 FROM intervals WHERE sensor = ? AND start_s = ? AND value IS ? AND quality = ?"
_SPAN = "WHERE sensor = ? AND time_s >= ? AND time_s < ?"
_CHANGED = "INSERT INTO changed VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET version = version + 1"


class SampleStore:
    """The file; every method is one transaction.

    Args: path: made when it is not there.
    Raises: Unavailable when the disk does not take what is written, or the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise Unavailable(f"sample store {path}: {error}") from error

    def add(self, samples: Sequence[StoredSample], live: Callable[[StoredSample], bool]) -> int:
        """Store samples that are not there yet, mark what they change, and return how many there were.

        Args:
            samples: as they came.
            live: which of them the repository is told at once.
        """
        with self._transaction() as connection:
            fresh = [
                sample
                for sample in samples
                if connection.execute("INSERT OR IGNORE INTO samples VALUES (?, ?, ?)", sample).rowcount
            ]
            marks = {(each.sensor, start) for each in fresh for start in touched_by(each.time_s)}
            connection.executemany("INSERT OR IGNORE INTO due VALUES (?, ?)", sorted(marks))
            self._queue(connection, [(*each, Quality.VALID.value) for each in fresh if live(each)])
        return len(fresh)

    def mark(self, marks: Iterable[tuple[str, int]]) -> None:
        """Mark intervals of sensors as to be made."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO due VALUES (?, ?)", list(marks))

    def due(self, ended_by_s: int, limit: int = 2_000) -> list[tuple[str, int]]:
        """Return marked intervals that have ended by a time, oldest first."""
        found = self._connection.execute(
            "SELECT sensor, start_s FROM due WHERE start_s <= ? ORDER BY start_s, sensor LIMIT ?",
            (ended_by_s - INTERVAL_S, limit),
        )
        return list(found.fetchall())

    def settle(
        self,
        made: Mapping[tuple[str, int], IntervalValue],
        treated: Mapping[tuple[str, int], Sequence[OutgoingSample]],
        done: Iterable[tuple[str, int]],
    ) -> None:
        """Write down what intervals came to, and unmark those that need not be made again.

        Args:
            made: interval values by series and start; those that changed are to be told.
            treated: by sensor and start, what stands in for the samples that were not believed.
            done: sensor and start of marked intervals that no sample can change on time any more.
        """
        with self._transaction() as connection:
            for (series, start_s), value in made.items():
                row = (series, start_s, _or_none(value), value.quality.value)
                if connection.execute(_UNCHANGED, row).fetchone() is None:
                    connection.execute("INSERT OR REPLACE INTO intervals VALUES (?, ?, ?, ?)", row)
                    connection.execute(_CHANGED, (series, start_s))
            for (sensor, start_s), replacements in treated.items():
                self._treat(connection, sensor, start_s, replacements)
            connection.executemany("DELETE FROM due WHERE sensor = ? AND start_s = ?", list(done))

    def _treat(
        self, connection: sqlite3.Connection, sensor: str, start_s: int, treated: Sequence[OutgoingSample]
    ) -> None:
        """Queue what now stands in for samples of an interval, and raw values that are believed again."""
        span = (sensor, start_s, start_s + INTERVAL_S)
        before = set(connection.execute(f"SELECT * FROM treated {_SPAN}", span).fetchall())
        now = {(each.sensor, each.time_s, each.value, each.quality.value) for each in treated}
        if now == before:
            return
        connection.execute(f"DELETE FROM treated {_SPAN}", span)
        connection.executemany("INSERT INTO treated VALUES (?, ?, ?, ?)", sorted(now))
        believed_again = {row[:2] for row in before} - {row[:2] for row in now}
        raw = [
            connection.execute(
                "SELECT *, ? FROM samples WHERE sensor = ? AND time_s = ?", (Quality.VALID.value, *key)
            ).fetchone()
            for key in sorted(believed_again)
        ]
        self._queue(
            connection,
            [
                *sorted(now - before),
                *((sensor, at, value, quality) for sensor, at, value, quality in filter(None, raw)),
            ],
        )

    def changed(self, limit: int = 1_000) -> list[tuple[str, int, int]]:
        """Return series, start and version of intervals that changed since they were told, oldest first."""
        found = self._connection.execute(
            "SELECT sensor, start_s, version FROM changed ORDER BY start_s LIMIT ?", (limit,)
        )
        return list(found.fetchall())

    def note_told(
        self, changes: Iterable[tuple[str, int, int]], told: Mapping[tuple[str, int], IntervalValue]
    ) -> None:
        """Note that the repository has intervals; what changed again meanwhile stays to be told."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM changed WHERE sensor = ? AND start_s = ? AND version = ?", list(changes)
            )
            connection.executemany(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)",
                [
                    (series, start, value.value, value.quality.value)
                    for (series, start), value in told.items()
                ],
            )

    def outgoing(self, limit: int = 5_000) -> list[OutgoingSample]:
        """Return samples that the repository has not been told of yet, oldest first."""
        found = self._connection.execute(
            "SELECT sensor, time_s, value, quality FROM outgoing ORDER BY time_s LIMIT ?", (limit,)
        )
        return [OutgoingSample(name, at, value, Quality(quality)) for name, at, value, quality in found]

    def note_sent(self, samples: Iterable[OutgoingSample]) -> None:
        """Note that the repository has samples; what was treated meanwhile stays to be told."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM outgoing WHERE sensor = ? AND time_s = ? AND value = ? AND quality = ?",
                [(each.sensor, each.time_s, each.value, each.quality.value) for each in samples],
            )

    def _queue(self, connection: sqlite3.Connection, rows: Sequence[tuple[str, int, float, str]]) -> None:
        connection.executemany("INSERT OR REPLACE INTO outgoing VALUES (?, ?, ?, ?)", rows)

    def samples(self, sensor: str, start_s: int, end_s: int) -> list[tuple[int, float]]:
        """Return a sensor's raw samples in [start_s, end_s), ascending."""
        found = self._connection.execute(
            f"SELECT time_s, value FROM samples {_SPAN} ORDER BY time_s",
            (sensor, start_s, end_s),
        )
        return list(found.fetchall())

    def newest_s(self, sensor: str) -> int | None:
        """Return when a sensor's newest sample was taken."""
        (newest,) = self._connection.execute(
            "SELECT max(time_s) FROM samples WHERE sensor = ?", (sensor,)
        ).fetchone()
        return None if newest is None else int(newest)

    def nearest(self, sensor: str, time_s: int, *, after: bool) -> tuple[int, float] | None:
        """Return a sensor's sample at a time, or the nearest after or before it."""
        side, order = (">=", "ASC") if after else ("<=", "DESC")
        row = self._connection.execute(
            f"SELECT time_s, value FROM samples WHERE sensor = ? AND time_s {side} ? ORDER BY time_s {order}"
            " LIMIT 1",
            (sensor, time_s),
        ).fetchone()
        return None if row is None else (int(row[0]), float(row[1]))

    def intervals(self, series: str, start_s: int, end_s: int) -> dict[int, IntervalValue]:
        """Return what was made of a series of intervals that start in [start_s, end_s)."""
        return self._values("intervals", series, start_s, end_s)

    def told(self, series: str, start_s: int, end_s: int) -> dict[int, IntervalValue]:
        """Return what the repository was told of a series' intervals that start in [start_s, end_s)."""
        return self._values("told", series, start_s, end_s)

    def _values(self, table: str, series: str, start_s: int, end_s: int) -> dict[int, IntervalValue]:
        found = self._connection.execute(
            f"SELECT start_s, value, quality FROM {table} WHERE sensor = ? AND start_s >= ? AND start_s < ?",
            (series, start_s, end_s),
        )
        return {
            start: IntervalValue(float("nan") if value is None else value, Quality(quality))
            for start, value, quality in found.fetchall()
        }

    def count(self) -> int:
        """Return how many samples there are."""
        (number,) = self._connection.execute("SELECT count(*) FROM samples").fetchone()
        return int(number)

    def forget_before(self, time_s: int) -> int:
        """Delete raw samples from before a time (retention), and return how many there were."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM samples WHERE time_s < ?", (time_s,)).rowcount

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection)


class _Transaction:
    """Begins a write; ends it with all of it or nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise Unavailable(f"sample store: {error}") from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._connection.execute("COMMIT" if error is None else "ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise Unavailable(f"sample store: {error}") from error


def _or_none(value: IntervalValue) -> float | None:
    return None if value.quality is Quality.MISSING else value.value
