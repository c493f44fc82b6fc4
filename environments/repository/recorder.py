"""Writes letters down in SQLite, in batches: the messages.sqlite of a run folder, and of the console."""

import sqlite3
from pathlib import Path
from types import TracebackType

from ontology.errors import Unavailable
from ontology.letter import Envelope

__all__ = ["NullRecorder", "SqliteRecorder"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id           INTEGER PRIMARY KEY,
    time_s       REAL NOT NULL,     -- when it was recorded, epoch seconds
    outcome      TEXT NOT NULL,
    performative TEXT NOT NULL,
    sender       TEXT NOT NULL,
    recipient    TEXT NOT NULL,
    message_type TEXT NOT NULL,
    conversation TEXT NOT NULL,
    sequence     INTEGER NOT NULL,
    message_id   TEXT NOT NULL,
    sent_at_s    REAL NOT NULL,
    in_reply_to  TEXT NOT NULL,
    reply_by_s   REAL NOT NULL,
    protocol     TEXT NOT NULL,
    ontology     TEXT NOT NULL,
    language     TEXT NOT NULL,
    signature    TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    body         TEXT NOT NULL
)
"""
_INSERT = f"INSERT INTO messages VALUES (NULL{', ?' * 18})"
_INDEXES = ("conversation", "message_id")


class NullRecorder:
    """The `Recorder` port that writes nothing down."""

    def record(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class SqliteRecorder:
    """The `Recorder` port on an SQLite file; letters are in it after `flush`, at the latest after `close`.

    Args:
        path: the file; letters are added when it is there.
        batch: how many letters are written at once.
    Raises: Unavailable when the file cannot be opened.
    """

    def __init__(self, path: Path, batch: int = 5_000) -> None:
        self.path = path
        self._batch = batch
        self._waiting: list[tuple[Envelope, str, float]] = []
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise Unavailable(f"recorder {path}: {error}") from error

    def record(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        """Note an envelope and its outcome at a time (epoch seconds)."""
        self._waiting.append((envelope, outcome, time_s))
        if len(self._waiting) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Write down what is waiting, in one transaction.

        Raises: Unavailable when the disk does not take it; then it goes on waiting.
        """
        if not self._waiting:
            return
        try:
            with self._connection:
                self._connection.execute("BEGIN")
                self._connection.executemany(_INSERT, map(_row, self._waiting))
        except sqlite3.OperationalError as error:
            raise Unavailable(f"recorder: {error}") from error
        self._waiting.clear()

    def close(self) -> None:
        """Write down what is waiting, index it for reading and let go of the file."""
        self.flush()
        for column in _INDEXES:
            self._connection.execute(f"CREATE INDEX IF NOT EXISTS by_{column} ON messages ({column})")
        self._connection.close()

    def __enter__(self) -> "SqliteRecorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _row(noted: tuple[Envelope, str, float]) -> tuple[object, ...]:
    letter, outcome, time_s = noted
    return (
        time_s,
        outcome,
        letter.performative,
        letter.sender,
        letter.to,
        letter.message_type,
        letter.conversation,
        letter.sequence,
        letter.message_id,
        letter.sent_at_s,
        letter.in_reply_to,
        letter.reply_by_s,
        letter.protocol,
        letter.ontology,
        letter.language,
        letter.signature,
        letter.key_id,
        str(letter.body, "utf-8", "replace"),
    )
