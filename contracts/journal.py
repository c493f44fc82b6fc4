"""The signed transactions of a client, kept long after a node has them: what it loses is sent again.

A node that dies at once may lose its last blocks. The same signed transaction sent again takes the same place
in its key's sequence of nonces, so however often that happens, each is in the chain once.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from ontology.errors import Unavailable

__all__ = ["KEPT", "Sent", "TransactionJournal"]

KEPT = 2_000
"""So many transactions back a node may lose what it had."""
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS sent (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, nonce INTEGER NOT NULL, raw BLOB NOT NULL,
    UNIQUE (sender, nonce)
)""",
    "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


class Sent(NamedTuple):
    """A signed transaction, by its sender's nonce."""

    sender: str
    nonce: int
    raw: bytes


class TransactionJournal:
    """What was signed and sent, in order; in a file it outlives the process.

    Args: path: of an SQLite file; None keeps it in memory.
    Raises: Unavailable when the file cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = Lock()
        try:
            self._file = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            for table in _SCHEMA:
                self._file.execute(table)
            rows = self._file.execute("SELECT sender, MAX(nonce) FROM sent GROUP BY sender").fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"journal {path}: {error}") from error
        self._last: dict[str, int] = dict(rows)

    @property
    def last(self) -> Mapping[str, int]:
        """The last nonce that each sender has used."""
        return self._last

    def add(self, sent: Sent) -> None:
        """Write a transaction down, before it is sent.

        Raises: Unavailable when the disk does not take it.
        """
        with self._lock:
            try:
                last = self._file.execute(
                    "INSERT OR REPLACE INTO sent VALUES (NULL, ?, ?, ?)", sent
                ).lastrowid
                self._file.execute("DELETE FROM sent WHERE number <= ?", ((last or 0) - KEPT,))
            except sqlite3.Error as error:
                raise Unavailable(f"journal: {error}") from error
            self._last[sent.sender] = sent.nonce

    def strike(self, sent: Sent) -> None:
        """Forget a transaction that the node has turned down."""
        with self._lock:
            self._file.execute("DELETE FROM sent WHERE sender = ? AND nonce = ?", sent[:2])
            found = self._file.execute("SELECT MAX(nonce) FROM sent WHERE sender = ?", sent[:1]).fetchone()
            if found[0] is None:
                self._last.pop(sent.sender, None)
            else:
                self._last[sent.sender] = found[0]

    def from_on(self, counts: Mapping[str, int]) -> list[Sent]:
        """Return what was sent with a nonce that a node has not counted, in the order of sending."""
        with self._lock:
            rows = self._file.execute("SELECT sender, nonce, raw FROM sent ORDER BY number").fetchall()
        return [sent for sent in map(Sent._make, rows) if sent.nonce >= counts.get(sent.sender, 0)]

    def note(self, name: str) -> str:
        """Return a note about the chain, empty when there is none."""
        with self._lock:
            row = self._file.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def make_note(self, name: str, value: str) -> None:
        """Keep a note about the chain.

        Raises: Unavailable when the disk does not take it.
        """
        try:
            with self._lock:
                self._file.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))
        except sqlite3.Error as error:
            raise Unavailable(f"journal: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
