"""The audit log: who called what, about whom, and with which outcome. Pseudonyms only, and append only."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from behaviours.decisions.pseudonyms import pseudonym
from environments.http.access_database import AccessDatabase
from environments.http.tables import audit

__all__ = ["AuditLog", "Entry"]

MOST_WAITING = 200
"""Entries about reading that may wait to be written together; changes and refusals never wait."""
LONGEST_S = 1.0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    time_s: float
    token_id: str = ""
    role: str = ""
    method: str
    route: str
    entity: str = ""
    about: str = ""
    status: int
    duration_ms: float = 0.0


class AuditLog:
    """Writes calls down: what changes something, or is refused, before its answer leaves.

    What only reads is written within a second, many at once. A process that is killed may lose those.
    """

    def __init__(self, database: AccessDatabase, now_s: Callable[[], float]) -> None:
        self._database = database
        self._now_s = now_s
        self._waiting: list[Entry] = []

    def name(self, subject: str) -> str:
        """Return the pseudonym under which the log knows a subject."""
        return pseudonym(subject, self._database.audit_key) if subject else ""

    def note(self, entry: Entry) -> None:
        """Write a call down.

        Raises: Unavailable when the database does not take what must not wait.
        """
        self._waiting.append(entry)
        only_read = entry.method in ("GET", "HEAD", "OPTIONS") and entry.status < 400
        young = entry.time_s - self._waiting[0].time_s < LONGEST_S
        if not only_read or not young or len(self._waiting) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write down what waits.

        Raises: Unavailable when the database does not take it; it goes on waiting then.
        """
        if self._waiting:
            rows = [msgspec.structs.asdict(each) for each in self._waiting]
            self._database.run(lambda connection: connection.execute(audit.insert(), rows))
            self._waiting.clear()

    def last(self, most: int = 100, token_id: str = "", before: int = 0) -> Sequence[dict[str, Any]]:
        """Return entries, the newest first, of a token or all, from before a number on."""
        self.flush()
        asked = sa.select(audit).order_by(audit.c.number.desc()).limit(most)
        if token_id:
            asked = asked.where(audit.c.token_id == token_id)
        if before:
            asked = asked.where(audit.c.number < before)
        return [dict(row) for row in self._database.run(lambda c: c.execute(asked).mappings().all())]
