"""What was done in the registry, by whom: rows are added, never changed."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from environments.repository.engines import Engines
from environments.repository.people_tables import actions

__all__ = ["Action", "AuditLog"]


class Action(NamedTuple):
    """Something that was done, or refused."""

    time_s: int
    actor: str
    action: str
    about: str
    outcome: str


class AuditLog:
    """The table of actions."""

    def __init__(self, engines: Engines) -> None:
        """Write to a database."""
        self._engines = engines

    def note(self, time_s: float, actor: str, action: str, about: str, outcome: str = "done") -> None:
        """Add a row."""
        with self._engines.writing(durable=True) as connection:
            connection.execute(
                sa.insert(actions).values(
                    time_s=int(time_s), actor=actor, action=action, about=about, outcome=outcome
                )
            )

    def about(self, subject: str = "", since_s: int = 0) -> list[Action]:
        """Return what was done to somebody, or to anybody, since a time, in order."""
        found = sa.select(actions).where(actions.c.time_s >= since_s).order_by(actions.c.number)
        if subject:
            found = found.where(actions.c.about == subject)
        with self._engines.reading() as connection:
            return [_action(row) for row in connection.execute(found).mappings()]


def _action(row: Any) -> Action:
    return Action(row["time_s"], row["actor"], row["action"], row["about"], row["outcome"])
