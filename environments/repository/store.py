"""The repository in an SQL database: an SQLite file or memory, or PostgreSQL, addressed by URL."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from behaviours.repository_port import DEFAULT_MARKET, Page, Selection
from environments.repository import reading
from environments.repository.columns import facts_from_columns
from environments.repository.engines import Engines
from environments.repository.fields import checked
from environments.repository.keys import require_entity
from environments.repository.packing import packed
from environments.repository.versions import prepare
from environments.repository.writing import Writer
from ontology.base import Concept
from ontology.errors import InvalidInput, problem

__all__ = ["MAX_PAGE", "SqlRepository", "checked_market", "checked_page"]

MAX_PAGE = 100_000
"""As many facts as one page may have."""
MARKET = re.compile("[a-z0-9][a-z0-9_-]{0,62}")


class SqlRepository:
    """The `Repository` port on SQLite and PostgreSQL; calls complete inline, from any thread.

    Args:
        url: such as `sqlite:///facts.sqlite`, `sqlite://` for memory, or
            `postgresql://user@host/database?passfile=/path` (`engines.py`).
        market: whose facts these are.

    Raises: InvalidInput when URL or market are none, Unavailable when the database cannot be reached,
        Conflict when its tables are of another version.
    """

    def __init__(self, url: str = "sqlite://", market: str = DEFAULT_MARKET) -> None:
        self.market = checked_market(market)
        self.engines = Engines(url)
        prepare(self.engines)
        self._writer = Writer(self.engines)

    def of_market(self, market: str) -> "SqlRepository":
        """Return the same store as another market sees it.

        Raises: InvalidInput when it is no name of a market.
        """
        view = copy(self)
        view.market = checked_market(market)
        return view

    async def store(self, items: Sequence[Concept]) -> None:
        """Store facts, all or none; one with the same type, subject, time and variant replaces the older.

        Raises: InvalidInput when items are of a type that is not stored or break their schema.
        """
        if items:
            self._writer.write(self.market, packed(items))

    async def ingest(self, entity: str, columns: Mapping[str, Any]) -> int:
        """Store facts of one type given as columns, all or none, and return how many they were.

        Raises: InvalidInput naming rows and fields that break the schema.
        """
        facts = facts_from_columns(entity, columns)
        if facts:
            self._writer.write(self.market, packed(facts, are_valid=True))
        return len(facts)

    async def query(self, entity: str, subject: str, start_s: int, end_s: int) -> list[Concept]:
        """Return the facts of a message type about a subject in [start_s, end_s), ascending.

        An empty subject means every subject; timeless facts are found at any time.

        Raises: InvalidInput when the type is not stored.
        """
        require_entity(entity)
        if end_s <= start_s:
            return []
        return await self.select(Selection(entity, (subject,) if subject else (), start_s, end_s))

    async def latest(self, entity: str, subject: str) -> Concept | None:
        """Return the newest fact of a message type about a subject, or about any when it is empty.

        Raises: InvalidInput when the type is not stored.
        """
        selection = checked(Selection(entity, (subject,) if subject else ()))
        with self.engines.reading() as connection:
            return reading.newest(connection, self.market, selection)

    async def select(self, selection: Selection) -> list[Concept]:
        """Return all facts of a selection, ascending.

        Raises: InvalidInput with everything that is wrong with the selection.
        """
        selection = checked(selection)
        with self.engines.reading() as connection:
            return reading.found(connection, self.market, selection)

    async def page(self, selection: Selection, limit: int, cursor: str = "") -> Page:
        """Return at most `limit` facts of a selection, ascending, after where a cursor points.

        Raises: InvalidInput with everything that is wrong with selection, limit or cursor.
        """
        selection = checked_page(selection, limit)
        with self.engines.reading() as connection:
            return reading.page_of(connection, self.market, selection, limit, cursor)

    async def count(self, selection: Selection) -> int:
        """Return how many facts a selection has.

        Raises: InvalidInput with everything that is wrong with the selection.
        """
        selection = checked(selection)
        with self.engines.reading() as connection:
            return reading.count_of(connection, self.market, selection)

    async def subjects(self, entity: str) -> list[str]:
        """Return about whom there are facts of a message type, ascending.

        Raises: InvalidInput when the type is not stored.
        """
        require_entity(entity)
        with self.engines.reading() as connection:
            return reading.subjects_of(connection, self.market, entity)

    async def delete(self, selection: Selection) -> int:
        """Delete the facts of a selection, all or none, and return how many they were.

        Raises: InvalidInput with everything that is wrong with the selection.
        """
        selection = checked(selection)
        with self.engines.writing(durable=True) as connection:
            return reading.deleted(connection, self.market, selection)

    def close(self) -> None:
        """Let go of the database."""
        self.engines.close()


def checked_market(market: str) -> str:
    """Return the name of a market.

    Raises: InvalidInput when it is none.
    """
    if not MARKET.fullmatch(market):
        raise InvalidInput(problem("market", market, "1 to 63 of a-z, 0-9, _ and -, not first _ or -"))
    return market


def checked_page(selection: Selection, limit: int) -> Selection:
    """Return a checked selection of which pages are asked for.

    Raises: InvalidInput with everything that is wrong with selection and limit.
    """
    problems = [] if 1 <= limit <= MAX_PAGE else [problem("limit", limit, f"1 to {MAX_PAGE}")]
    try:
        selection = checked(selection)
    except InvalidInput as error:
        raise InvalidInput([*error.problems, *problems]) from error
    if problems:
        raise InvalidInput(problems)
    return selection
