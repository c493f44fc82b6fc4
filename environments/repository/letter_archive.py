"""Reads what was recorded of letters: by agent, type, act, outcome, conversation or any word, newest first.

Words are found through an index in a file beside the record, `messages.search.sqlite`, which grows with the
record whenever somebody reads. It can be thrown away.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from ontology.errors import InvalidInput, Unavailable, problem
from ontology.letter import Envelope

__all__ = ["LetterArchive", "LetterSelection", "RecordedLetter"]

MOST_LETTERS = 1_000
"""Most letters that are read at once."""
_COLUMNS = (
    "id, time_s, outcome, performative, sender, recipient, message_type, conversation, sequence, message_id,"
    " sent_at_s, in_reply_to, reply_by_s, protocol, ontology, language, signature, key_id, body"
)
_METADATA = tuple(name.strip().replace("recipient", "to") for name in _COLUMNS.split(",")[3:-1])
_INDEXED = ("performative", "sender", "recipient", "message_type", "conversation", "outcome", "body")
_SCHEMA = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS letters USING fts5(
    {", ".join(_INDEXED)}, content='', tokenize="unicode61 tokenchars '-_'"
)
"""
_BATCH = 20_000


class RecordedLetter(NamedTuple):
    """A letter as it was recorded: its number in the record, when it was read and what became of it."""

    number: int
    time_s: float
    outcome: str
    envelope: Envelope

    @property
    def latency_s(self) -> float:
        """How long the letter was on its way, in seconds of the agents' clock."""
        return max(0.0, self.time_s - self.envelope.sent_at_s)

    def as_json(self) -> bytes:
        """Return the letter as one JSON object, its body as text."""
        head = {"number": self.number, "time_s": self.time_s, "outcome": self.outcome}
        body = self.envelope.body.decode("utf-8", "replace")
        return msgspec.json.encode({**head, **msgspec.structs.asdict(self.envelope), "body": body})


class LetterSelection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which letters are wanted; what is left empty does not matter.

    `agent` is either side, by address, by name, or by the name of its site; `words` must all be in the
    letter, wherever; the last one may be the beginning of a word. Times are epoch seconds, half-open.
    `slower_than_s` is of the agents' clock.
    """

    agent: str = ""
    performative: str = ""
    message_type: str = ""
    conversation: str = ""
    outcome: str = ""
    words: str = ""
    start_s: float | None = None
    end_s: float | None = None
    slower_than_s: float | None = None


class LetterArchive:
    """The letters of a run, while it goes on or afterwards.

    Args: path: the record, such as `messages.sqlite` of a run folder.
    Raises: InvalidInput when there is no such record, Unavailable when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InvalidInput(problem("messages", str(path), "a record of letters, such as messages.sqlite"))
        self._path = path
        self._index: sqlite3.Connection | None = None
        try:
            self._record = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False
            )
            self._record.execute("SELECT message_id FROM messages LIMIT 1")
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"{path}: {error}") from error

    def newest_number(self) -> int:
        """Return the number of the letter that was recorded last, 0 where there is none."""
        (number,) = self._record.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
        return int(number)

    def select(
        self,
        wanted: LetterSelection,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        oldest_first: bool = False,
    ) -> list[RecordedLetter]:
        """Return the letters that match and whose numbers lie between two, both excluded.

        Raises: InvalidInput when the limit is none of 1 to 1,000.
        """
        if not 1 <= limit <= MOST_LETTERS:
            raise InvalidInput(problem("limit", str(limit), f"1 to {MOST_LETTERS:,}"))
        order = "ASC" if oldest_first else "DESC"
        bounds = (after, before if before is not None else 1 << 62)
        if wanted == LetterSelection(conversation=wanted.conversation) and wanted.conversation:
            return self._of_conversation(wanted.conversation, bounds, limit, order)
        if match := _match(wanted):
            return self._matching(match, wanted, bounds, limit, order)
        where, values = _spans(wanted)
        return self._read(
            f"WHERE id > ? AND id < ?{where} ORDER BY id {order} LIMIT ?", (*bounds, *values, limit)
        )

    def conversation(self, conversation: str) -> list[RecordedLetter]:
        """Return all letters of a conversation in the order in which they were read, at most 1,000."""
        return self._of_conversation(conversation, (0, 1 << 62), MOST_LETTERS, "ASC")

    def beside(self, letters: Sequence[RecordedLetter], within: int = 5_000) -> list[RecordedLetter]:
        """Return the letters of the same conversations, oldest first, as far as they lie near in the record.

        Args: within: how many numbers before the oldest of them are looked through.
        """
        if not letters:
            return []
        numbers = [letter.number for letter in letters]
        conversations = sorted({letter.envelope.conversation for letter in letters})
        marks = ", ".join("?" * len(conversations))
        where = f"WHERE id >= ? AND id <= ? AND conversation IN ({marks}) ORDER BY id"
        return self._read(where, (min(numbers) - within, max(numbers), *conversations))

    def number_at(self, time_s: float) -> int:
        """Return the number of the last letter that was recorded before a time (epoch seconds), or 0."""
        low, high = 0, self.newest_number()
        while low < high:
            middle = (low + high + 1) // 2
            row = self._record.execute(
                "SELECT time_s FROM messages WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
            ).fetchone()
            low, high = (middle, high) if row[0] < time_s else (low, middle - 1)
        return low

    def span_s(self) -> tuple[float, float]:
        """Return when the first and the last letter were recorded; zeros where there is none."""
        first, last = self.letter(self._first_number()), self.letter(self.newest_number())
        return (first.time_s, last.time_s) if first and last else (0.0, 0.0)

    def letter(self, number: int) -> RecordedLetter | None:
        """Return the letter with a number, if it was recorded."""
        return next(iter(self._read("WHERE id = ?", (number,))), None)

    def close(self) -> None:
        """Let go of the files."""
        self._record.close()
        if self._index is not None:
            self._index.close()

    def __enter__(self) -> "LetterArchive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_number(self) -> int:
        return int(self._record.execute("SELECT coalesce(min(id), 0) FROM messages").fetchone()[0])

    def _of_conversation(
        self, conversation: str, bounds: tuple[int, int], limit: int, order: str
    ) -> list[RecordedLetter]:
        if self._has_index("by_conversation"):
            where = f"WHERE conversation = ? AND id > ? AND id < ? ORDER BY id {order} LIMIT ?"
            return self._read(where, (conversation, *bounds, limit))
        wanted = LetterSelection(conversation=conversation)
        return self._matching(_match(wanted), wanted, bounds, limit, order)

    def _has_index(self, name: str) -> bool:
        found = self._record.execute("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (name,))
        return found.fetchone() is not None

    def _matching(
        self, match: str, wanted: LetterSelection, bounds: tuple[int, int], limit: int, order: str
    ) -> list[RecordedLetter]:
        """Return letters that the index finds, read in pages until enough of them match in full."""
        found: list[RecordedLetter] = []
        for numbers in self._numbers(match, bounds, max(limit, 200), order):
            marks = ", ".join("?" * len(numbers))
            where, values = _spans(wanted)
            page = self._read(f"WHERE id IN ({marks}){where} ORDER BY id {order}", (*numbers, *values))
            found += [letter for letter in page if _is_wanted(letter, wanted)]
            if len(found) >= limit:
                break
        return found[:limit]

    def _numbers(self, match: str, bounds: tuple[int, int], page: int, order: str) -> Iterator[list[int]]:
        index, (after, before) = self._grown_index(), bounds
        while True:
            rows = index.execute(
                f"SELECT rowid FROM letters WHERE letters MATCH ? AND rowid > ? AND rowid < ?"
                f" ORDER BY rowid {order} LIMIT ?",
                (match, after, before, page),
            ).fetchall()
            if not rows:
                return
            numbers = [row[0] for row in rows]
            yield numbers
            after, before = (numbers[-1], before) if order == "ASC" else (after, numbers[-1])

    def _read(self, clause: str, values: Sequence[object]) -> list[RecordedLetter]:
        try:
            rows = self._record.execute(f"SELECT {_COLUMNS} FROM messages {clause}", values).fetchall()
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"{self._path}: {error}") from error
        return [_letter(row) for row in rows]

    def _grown_index(self) -> sqlite3.Connection:
        """Return the index, with everything in it that has been recorded until now."""
        if self._index is None:
            self._index = _open_index(self._path.with_suffix(".search.sqlite"))
        (known,) = self._index.execute("SELECT coalesce(max(rowid), 0) FROM letters").fetchone()
        if known > self.newest_number():
            self._index.executescript(f"DROP TABLE letters; {_SCHEMA}")  # of another record of that name
            known = 0
        columns = ", ".join(_INDEXED)
        marks = ", ".join("?" * (1 + len(_INDEXED)))
        fresh = self._record.execute(f"SELECT id, {columns} FROM messages WHERE id > ? ORDER BY id", (known,))
        while rows := fresh.fetchmany(_BATCH):
            with self._index:
                self._index.executemany(f"INSERT INTO letters (rowid, {columns}) VALUES ({marks})", rows)
        return self._index


def _open_index(path: Path) -> sqlite3.Connection:
    """Open the index beside a record, or in memory where nothing can be written there."""
    for target in (str(path), ":memory:"):
        try:
            index = sqlite3.connect(target, check_same_thread=False)
            index.execute("PRAGMA journal_mode=WAL")
            index.execute("PRAGMA synchronous=OFF")
            index.execute(_SCHEMA)
        except sqlite3.OperationalError:
            continue
        return index
    raise Unavailable(f"{path}: no index can be made")


def _letter(row: tuple[object, ...]) -> RecordedLetter:
    number, time_s, outcome, *fields, body = row
    metadata: dict[str, Any] = dict(zip(_METADATA, fields, strict=True))
    envelope = Envelope(**metadata, body=str(body).encode())
    return RecordedLetter(number, time_s, outcome, envelope)  # type: ignore[arg-type]


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _match(wanted: LetterSelection) -> str:
    """Return what the index is asked for: necessary, not sufficient."""
    terms = [
        f"{column} : {_phrase(value)}"
        for column in ("performative", "message_type", "conversation", "outcome")
        if (value := getattr(wanted, column))
    ]
    if wanted.agent:
        terms.append(f"{{sender recipient}} : {_phrase(wanted.agent)} *")
    words = wanted.words.split()
    terms += [_phrase(word) + (" *" if word is words[-1] else "") for word in words]
    return " AND ".join(terms)


def _spans(wanted: LetterSelection) -> tuple[str, list[float]]:
    """Return what is asked of times, as SQL and its values."""
    asked = {
        " AND time_s >= ?": wanted.start_s,
        " AND time_s < ?": wanted.end_s,
        " AND time_s - sent_at_s > ?": wanted.slower_than_s,
    }
    given = {clause: value for clause, value in asked.items() if value is not None}
    return "".join(given), list(given.values())


def _is_wanted(letter: RecordedLetter, wanted: LetterSelection) -> bool:
    """Return whether a letter has exactly the asked attributes, which the index finds word by word."""
    envelope = letter.envelope
    asked = (
        (wanted.performative, envelope.performative),
        (wanted.message_type, envelope.message_type),
        (wanted.conversation, envelope.conversation),
        (wanted.outcome, letter.outcome),
    )
    return all(not want or want == have for want, have in asked) and (
        not wanted.agent
        or any(_is_agent(address, wanted.agent) for address in (envelope.sender, envelope.to))
    )


def _is_agent(address: str, agent: str) -> bool:
    name = address.partition("@")[0]
    return agent in (address, name) or name.startswith(f"{agent}-")
