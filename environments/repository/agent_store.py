"""The agents' own state, kept over a restart: one SQLite file a host, or memory."""

import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from ontology.errors import Unavailable

__all__ = ["MemoryAgentStore", "SqliteAgentStore"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (
    agent TEXT NOT NULL,
    name  TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (agent, name)
) WITHOUT ROWID
"""
_WRITE = "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_DELETE = "DELETE FROM state WHERE agent = ? AND name = ?"

_ITSELF, _INCARNATION = "", "incarnation"
"""What the store keeps about itself: under the name of no agent."""


class SqliteAgentStore:
    """The `AgentStore` port on an SQLite file, which survives kill -9 at any time.

    Args:
        path: the file; made when it is not there.
        durable: whether a commit also survives a power cut (waits for the disk each time).
    Raises: Unavailable when the file cannot be opened.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._connection.execute(_SCHEMA)
            self._incarnation = self._named(self.load(_ITSELF).get(_INCARNATION))
        except sqlite3.Error as error:
            raise Unavailable(f"agent store {path}: {error}") from error

    @property
    def incarnation(self) -> str:
        """Names this file: drawn when it was made, and again when it was restored from a copy."""
        return self._incarnation

    def renew(self) -> None:
        """Count anew from now on, as a file restored from a copy must: others have read later numbers.

        Raises: Unavailable when the disk does not take it.
        """
        self.commit(_ITSELF, {_INCARNATION: None})
        self._incarnation = self._named(None)

    def _named(self, known: bytes | None) -> str:
        """Return the name of the file, drawn by chance when it has none: 64 bits meet no second time."""
        if known is not None:
            return known.decode()
        name = secrets.token_hex(8)
        self.commit(_ITSELF, {_INCARNATION: name.encode()})
        return name

    def load(self, agent: str) -> dict[str, bytes]:
        """Return all that is kept for an agent, by name."""
        kept = self._connection.execute("SELECT name, value FROM state WHERE agent = ?", (agent,))
        return dict(kept.fetchall())

    def commit(self, agent: str, changes: Mapping[str, bytes | None]) -> None:
        """Write (or, with None, delete) values of an agent in one transaction.

        Raises: Unavailable when the disk does not take it; then nothing is changed.
        """
        written = [(agent, name, value) for name, value in changes.items() if value is not None]
        deleted = [(agent, name) for name, value in changes.items() if value is None]
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_WRITE, written)
                self._connection.executemany(_DELETE, deleted)
        except sqlite3.ProgrammingError:
            raise  # a value that is none: our mistake, and no disk will ever take it
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"agent store: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class MemoryAgentStore:
    """The `AgentStore` port in memory: outlives an agent, not the process."""

    incarnation = ""

    def __init__(self) -> None:
        self._state: defaultdict[str, dict[str, bytes]] = defaultdict(dict)

    def load(self, agent: str) -> dict[str, bytes]:
        """Return all that is kept for an agent, by name."""
        return dict(self._state[agent])

    def commit(self, agent: str, changes: Mapping[str, bytes | None]) -> None:
        """Write (or, with None, delete) values of an agent."""
        kept = self._state[agent]
        for name, value in changes.items():
            if value is None:
                kept.pop(name, None)
            else:
                kept[name] = value
