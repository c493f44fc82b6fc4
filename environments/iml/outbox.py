"""What a gateway has sampled and nobody has acknowledged yet: on disk, through any outage."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ontology.errors import Unavailable
from ontology.samples import MOST_SAMPLES, Sample, SampleBatch, SampleReceipt

__all__ = ["SampleOutbox"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY, sensor TEXT NOT NULL, time_s INTEGER NOT NULL, value REAL NOT NULL,
    UNIQUE (sensor, time_s)
);
CREATE TABLE IF NOT EXISTS refused (
    sensor TEXT NOT NULL, time_s INTEGER NOT NULL, value REAL NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (sensor, time_s)
) WITHOUT ROWID;
"""


class SampleOutbox:
    """A site's samples on their way, in one SQLite file that survives kill -9 and power cuts.

    Args:
        path: the file; made when it is not there.
        site: whose samples these are.
    Raises: Unavailable when the file cannot be opened or written.
    """

    def __init__(self, path: Path, site: str) -> None:
        self._site = site
        self._sent: dict[str, list[tuple[int, Sample]]] = {}
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise Unavailable(f"outbox {path}: {error}") from error

    def add(self, samples: Sequence[Sample]) -> None:
        """Keep samples until they are acknowledged; on return they are on disk.

        Raises: Unavailable when the disk does not take them; then none is kept.
        """
        rows = [(each.sensor_id, each.time_s, each.value) for each in samples]
        self._write("INSERT OR IGNORE INTO waiting (sensor, time_s, value) VALUES (?, ?, ?)", rows)

    def next_batch(self) -> SampleBatch | None:
        """Return the oldest samples that wait, as many as go into a batch; None when there are none."""
        found = self._connection.execute(
            "SELECT id, sensor, time_s, value FROM waiting ORDER BY id LIMIT ?", (MOST_SAMPLES,)
        ).fetchall()
        if not found:
            return None
        rows = [(row, Sample(sensor_id=name, time_s=at, value=value)) for row, name, at, value in found]
        batch_id = f"{self._site} {rows[0][0]}-{rows[-1][0]}"
        self._sent = {batch_id: rows}
        return SampleBatch(site=self._site, batch_id=batch_id, samples=[sample for _, sample in rows])

    def settle(self, receipt: SampleReceipt) -> bool:
        """Let go of what was acknowledged, put what was refused aside; tell whether the batch was known."""
        rows = self._sent.pop(receipt.batch_id, None)
        if rows is None:
            return False
        refused = {each.path.partition(".")[0]: str(each) for each in receipt.refused}
        aside = [
            (sample.sensor_id, sample.time_s, sample.value, refused[f"samples[{index}]"])
            for index, (_, sample) in enumerate(rows)
            if f"samples[{index}]" in refused
        ]
        self._write("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)", aside)
        self._write("DELETE FROM waiting WHERE id = ?", [(row,) for row, _ in rows])
        return True

    def count(self) -> int:
        """Return how many samples wait."""
        return int(self._connection.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def refused(self) -> list[tuple[Sample, str]]:
        """Return the samples that the layer did not take, and why."""
        found = self._connection.execute("SELECT * FROM refused ORDER BY time_s, sensor").fetchall()
        return [(Sample(sensor_id=name, time_s=at, value=value), why) for name, at, value, why in found]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise Unavailable(f"outbox: {error}") from error
