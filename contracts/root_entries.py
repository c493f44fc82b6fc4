"""What the roots of balances stand for: every batch and every mint in a file, written before it is posted."""

import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from contracts.batch import Batch
from contracts.memory import outcome
from ontology.errors import Unavailable
from ontology.ledger import SettlementKind

__all__ = ["Entry", "RootEntries"]

_ALL = 2**62
_SCHEMA = "CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, content BLOB NOT NULL)"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: tokens minted (no key), or a batch, with what was signed for it."""

    contract: str
    changes: Mapping[str, int]
    key: str = ""
    kind: SettlementKind = SettlementKind.LEM
    result: str = ""
    signatures: Sequence[tuple[int, str]] = ()
    time_s: int = 0

    def outcome(self, balances: Mapping[str, int], aggregator: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return the balances that the entry changes, as they are after it, and what could not be paid.

        Raises: Refused when the aggregator cannot fund that.
        """
        if self.key:
            return outcome(Batch(self.key, self.changes), balances, aggregator)
        return {name: balances.get(name, 0) + tokens for name, tokens in self.changes.items()}, {}


class RootEntries:
    """The entries of a ledger by number: the first one made the first root.

    Args: path: of an SQLite file (with `synchronous=FULL`); None keeps them in memory.
    Raises: Unavailable when the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        try:
            self._file = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            self._file.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise Unavailable(f"balances {path}: {error}") from error

    def up_to(self, last: int = _ALL) -> list[Entry]:
        """Return the entries from the first to one of them."""
        rows = self._file.execute("SELECT content FROM entry WHERE number <= ? ORDER BY number", (last,))
        return [msgspec.msgpack.decode(content, type=Entry) for (content,) in rows]

    def history(self, aggregator: str, last: int = _ALL) -> Iterator[tuple[Entry, Mapping[str, int]]]:
        """Yield the entries up to one of them, each with everybody's balance after it."""
        balances: dict[str, int] = {}
        for entry in self.up_to(last):
            balances = {**balances, **entry.outcome(balances, aggregator)[0]}
            yield entry, balances

    def balances(self, aggregator: str, last: int = _ALL) -> Mapping[str, int]:
        """Return everybody's balance after the entries up to one of them."""
        newest = deque(self.history(aggregator, last), maxlen=1)
        return newest[0][1] if newest else {}

    def add(self, number: int, entry: Entry) -> None:
        """Write an entry down.

        Raises: Unavailable when the disk does not take it.
        """
        try:
            self._file.execute("INSERT INTO entry VALUES (?, ?)", (number, msgspec.msgpack.encode(entry)))
        except sqlite3.Error as error:
            raise Unavailable(f"balances: {error}") from error

    def strike(self, number: int) -> None:
        """Forget an entry that the chain has turned down."""
        self._file.execute("DELETE FROM entry WHERE number = ?", (number,))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
