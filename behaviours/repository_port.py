"""The port to the community's repository, and how its facts are selected.

```python
last_week = Selection("parity:IntervalReading", ("h001",), monday_s, monday_s + 7 * 86_400)
readings = await repository.select(last_week)
page = await repository.page(last_week, limit=100)          # page.cursor leads on, "" ends
estimated = last_week.where("quality", "ne", "VALID")
number = await repository.count(estimated)
```
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from ontology.base import Concept

__all__ = ["DEFAULT_MARKET", "END_OF_TIME_S", "Comparison", "Filter", "Page", "Repository", "Selection"]

DEFAULT_MARKET = "defaultmarket"
"""The namespace of facts that name no other (D8.1's test market, SPEC 4.2)."""
END_OF_TIME_S = 253_402_300_800
"""Later than every time that a fact can have."""


class Comparison(StrEnum):
    """How a field is compared with a value."""

    EQUAL = "eq"
    NOT_EQUAL = "ne"
    LESS = "lt"
    AT_MOST = "le"
    GREATER = "gt"
    AT_LEAST = "ge"
    ONE_OF = "in"


class Filter(NamedTuple):
    """Keeps facts whose field compares so with a value; with ONE_OF the value is a sequence.

    The field is a top-level one with a single value (text, number, truth), not a list. A value may be text,
    as it comes over HTTP: it is read as the field's type.
    """

    field: str
    comparison: Comparison
    value: Any


class Selection(NamedTuple):
    """Which facts: of a message type, about subjects (none: all), in [start_s, end_s), passing all filters.

    Facts without a time of their own are found at any time.
    """

    entity: str
    subjects: Sequence[str] = ()
    start_s: int = 0
    end_s: int = END_OF_TIME_S
    filters: tuple[Filter, ...] = ()

    def where(self, field: str, comparison: str, value: Any) -> "Selection":
        """Return the selection with one more filter: `eq`, `ne`, `lt`, `le`, `gt`, `ge` or `in`.

        Raises: ValueError when there is no such comparison.
        """
        return self._replace(filters=(*self.filters, Filter(field, Comparison(comparison), value)))


class Page(NamedTuple):
    """A piece of what was selected, and the cursor that leads to the next; empty at the end."""

    items: list[Concept]
    cursor: str


class Repository(Protocol):
    """Stores typed facts by subject and time, for one market; answers half-open ranges in ascending order.

    A fact is kept by its key: message type, subject, time and variant (`environments/repository/keys.py`).
    One with the same key replaces the older, so storing again changes nothing. The order is ascending by
    time, then subject, then variant. What is stored by another market is never seen.

    All methods raise Unavailable when the database cannot be reached or does not take it, and InvalidInput
    with every problem when a message type, field, value or cursor is none.
    """

    market: str

    def of_market(self, market: str) -> "Repository":
        """Return the same store as another market sees it."""

    async def store(self, items: Sequence[Concept]) -> None:
        """Store facts of any types, thousands if need be, all or none; once it returns they are kept.

        Raises: InvalidInput when an item is of a type that is not stored or breaks its schema.
        """

    async def ingest(self, entity: str, columns: Mapping[str, Any]) -> int:
        """Store facts of one type given as columns, all or none, and return how many they were.

        Args:
            entity: their message type.
            columns: by field, sequences (or Arrow arrays) of equal lengths; a pyarrow Table will do. A
                missing column leaves the field's default.

        Raises: InvalidInput naming rows and fields that break the schema.
        """

    async def query(self, entity: str, subject: str, start_s: int, end_s: int) -> Sequence[Concept]:
        """Return the facts of a message type about a subject in [start_s, end_s), ascending.

        An empty subject means every subject.
        """

    async def latest(self, entity: str, subject: str) -> Concept | None:
        """Return the newest fact of a message type about a subject, or about any when it is empty."""

    async def select(self, selection: Selection) -> list[Concept]:
        """Return all facts of a selection, ascending."""

    async def page(self, selection: Selection, limit: int, cursor: str = "") -> Page:
        """Return at most `limit` facts of a selection, ascending, after where a cursor points.

        Cursors stay good while facts come and go: each fact that stays is met once.
        """

    async def count(self, selection: Selection) -> int:
        """Return how many facts a selection has."""

    async def subjects(self, entity: str) -> list[str]:
        """Return about whom there are facts of a message type, ascending."""

    async def delete(self, selection: Selection) -> int:
        """Delete the facts of a selection, all or none, and return how many they were."""
