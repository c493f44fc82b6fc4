"""The embedded chain's memory: a dictionary, or an SQLite file that holds every finished block.

What a block writes (state, headers, transactions, receipts) reaches the file in one transaction with
`synchronous=FULL`, so a file never holds half a block, whatever is killed when. Nothing is replayed when a
file is opened: the state is there, under the root that the last header names.
"""

import sqlite3
from pathlib import Path
from typing import Any

from eth.db.backends.base import BaseDB

from ontology.errors import Unavailable

__all__ = ["ChainFile", "ChainMemory"]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
REMEMBERED = 200_000
"""Entries kept in memory: some 60 MB."""


class ChainMemory(BaseDB):  # type: ignore[misc]
    """The entries of a chain that lives as long as the object."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._notes: dict[str, str] = {}

    def __getitem__(self, key: bytes) -> bytes:
        return self._entries[key]

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._entries[key] = value

    def __delitem__(self, key: bytes) -> None:
        del self._entries[key]

    def _exists(self, key: bytes) -> bool:
        return key in self._entries

    @property
    def is_new(self) -> bool:
        """Whether no chain is in it yet."""
        return not self._entries

    def commit(self) -> None:
        """Write down what has changed; here nothing outlives the object anyway."""

    def note(self, name: str) -> str:
        """Return a note about the chain, empty when there is none."""
        return self._notes.get(name, "")

    def make_note(self, name: str, value: str) -> None:
        """Keep a note about the chain."""
        self._notes[name] = value

    def close(self) -> None:
        """Let go of the entries."""


class ChainFile(BaseDB):  # type: ignore[misc]
    """The entries of a chain in a file; one process at a time holds it.

    Args: path: the file; made when it is not there.
    Raises: Unavailable when the file cannot be opened, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changes: dict[bytes, bytes | None] = {}
        self._remembered: dict[bytes, bytes] = {}
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.execute("BEGIN IMMEDIATE")  # takes the lock, and keeps it
            for table in _SCHEMA:
                self._connection.execute(table)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unavailable(f"chain file {path}: {error}") from error

    def __getitem__(self, key: bytes) -> bytes:
        value = self._found(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._changes[key] = value

    def __delitem__(self, key: bytes) -> None:
        if self._found(key) is None:
            raise KeyError(key)
        self._changes[key] = None

    def _exists(self, key: bytes) -> bool:
        return self._found(key) is not None

    @property
    def is_new(self) -> bool:
        """Whether no chain is in it yet."""
        return not self._changes and self._one("SELECT 1 FROM entry LIMIT 1") is None

    def commit(self) -> None:
        """Write down, all or nothing, what has changed since the last time.

        Raises: Unavailable when the disk does not take it; then the file holds what it held.
        """
        written = [(key, value) for key, value in self._changes.items() if value is not None]
        deleted = [(key,) for key, value in self._changes.items() if value is None]
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", written)
                self._connection.executemany("DELETE FROM entry WHERE key = ?", deleted)
        except sqlite3.Error as error:
            raise Unavailable(f"chain file {self._path}: {error}") from error
        if len(self._remembered) + len(written) > REMEMBERED:
            self._remembered.clear()
        for (key,) in deleted:
            self._remembered.pop(key, None)
        self._remembered.update(written)
        self._changes.clear()

    def note(self, name: str) -> str:
        """Return a note about the chain, empty when there is none."""
        row = self._one("SELECT value FROM note WHERE name = ?", name)
        return str(row[0]) if row else ""

    def make_note(self, name: str, value: str) -> None:
        """Keep a note about the chain.

        Raises: Unavailable when the disk does not take it.
        """
        try:
            self._connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))
        except sqlite3.Error as error:
            raise Unavailable(f"chain file {self._path}: {error}") from error

    def close(self) -> None:
        """Let go of the file; an unfinished block is forgotten."""
        self._connection.close()

    def _found(self, key: bytes) -> bytes | None:
        if key in self._changes:
            return self._changes[key]
        if key in self._remembered:
            return self._remembered[key]
        row = self._one("SELECT value FROM entry WHERE key = ?", key)
        if row is None:
            return None
        self._remembered[key] = row[0]
        return self._remembered[key]

    def _one(self, question: str, *arguments: Any) -> Any:
        try:
            return self._connection.execute(question, arguments).fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"chain file {self._path}: {error}") from error
