"""The repository in memory: what offline runs and tests use; it may forget what is long past."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from operator import itemgetter
from typing import Any

from behaviours.repository_port import DEFAULT_MARKET, Comparison, Filter, Page, Selection
from environments.repository.columns import facts_from_columns
from environments.repository.fields import OPERATORS, checked
from environments.repository.keys import is_timeless, key_of, require_entity
from environments.repository.selecting import Moment, moment_of, pointed_at
from environments.repository.store import checked_market, checked_page
from ontology.base import Concept

__all__ = ["MemoryRepository"]

Order = tuple[int, str, str]
"""Time, subject and variant: what orders the facts of a type."""
Place = tuple[int, str]
"""Time and variant: what orders the facts about a subject."""
Entities = defaultdict[str, dict[str, "_Series"]]


class MemoryRepository:
    """The `Repository` port in memory.

    Facts are kept as they come (letters are validated on arrival).

    Args:
        retention_s: by message type, how long before a subject's newest fact older ones are kept at least
            (seconds); types that are not named are kept for ever.
        market: whose facts these are.

    Raises: InvalidInput when the market is no name of one.
    """

    def __init__(self, retention_s: Mapping[str, int] | None = None, market: str = DEFAULT_MARKET) -> None:
        self.market = checked_market(market)
        self._retention_s = dict(retention_s or {})
        self._markets: defaultdict[str, Entities] = defaultdict(lambda: defaultdict(dict))
        self._series = self._markets[market]

    def of_market(self, market: str) -> "MemoryRepository":
        """Return the same store as another market sees it.

        Raises: InvalidInput when it is no name of a market.
        """
        view = copy(self)
        view.market = checked_market(market)
        view._series = self._markets[market]
        return view

    async def store(self, items: Sequence[Concept]) -> None:
        """Store facts; one with the same type, subject, time and variant replaces the older.

        Raises: InvalidInput when an item is of a type that is not stored.
        """
        for key, item in [(key_of(item), item) for item in items]:
            entity, subject, time_s, variant = key
            of_entity = self._series[entity]
            series = of_entity.get(subject)
            if series is None:
                series = of_entity[subject] = _Series(self._retention_s.get(entity))
            series.put((time_s, variant), item)

    async def ingest(self, entity: str, columns: Mapping[str, Any]) -> int:
        """Store facts of one type given as columns and return how many they were.

        Raises: InvalidInput naming rows and fields that break the schema.
        """
        facts = facts_from_columns(entity, columns)
        await self.store(facts)
        return len(facts)

    async def query(self, entity: str, subject: str, start_s: int, end_s: int) -> list[Concept]:
        """Return the facts of a message type about a subject in [start_s, end_s), ascending.

        An empty subject means every subject; timeless facts are found at any time.

        Raises: InvalidInput when the type is not stored.
        """
        span = (0, 1) if is_timeless(entity) else (start_s, end_s)
        if subject:
            series = self._series[entity].get(subject)
            return [item for _, item in series.between(*span)] if series else []
        return [item for _, item in self._between(self._series[entity], *span)]

    async def latest(self, entity: str, subject: str) -> Concept | None:
        """Return the newest fact of a message type about a subject, or about any when it is empty.

        Raises: InvalidInput when the type is not stored.
        """
        require_entity(entity)
        if subject:
            series = self._series[entity].get(subject)
            return series.items[-1] if series else None
        newest = max(
            ((series.moments[-1][0], name) for name, series in self._series[entity].items()), default=None
        )
        return self._series[entity][newest[1]].items[-1] if newest else None

    async def select(self, selection: Selection) -> list[Concept]:
        """Return all facts of a selection, ascending.

        Raises: InvalidInput with everything that is wrong with the selection.
        """
        return [item for _, item in self._selected(checked(selection))]

    async def page(self, selection: Selection, limit: int, cursor: str = "") -> Page:
        """Return at most `limit` facts of a selection, ascending, after where a cursor points.

        Raises: InvalidInput with everything that is wrong with selection, limit or cursor.
        """
        selected = self._selected(checked_page(selection, limit))
        if cursor:
            behind = moment_of(cursor)
            selected = [(moment, item) for moment, item in selected if moment > behind]
        items = [item for _, item in selected[:limit]]
        return Page(items, pointed_at(Moment(*selected[limit - 1][0])) if len(selected) > limit else "")

    async def count(self, selection: Selection) -> int:
        """Return how many facts a selection has.

        Raises: InvalidInput with everything that is wrong with the selection.
        """
        return len(self._selected(checked(selection)))

    async def subjects(self, entity: str) -> list[str]:
        """Return about whom there are facts of a message type, ascending.

        Raises: InvalidInput when the type is not stored.
        """
        require_entity(entity)
        return sorted(self._series[entity])

    async def delete(self, selection: Selection) -> int:
        """Delete the facts of a selection and return how many they were.

        Raises: InvalidInput with everything that is wrong with the selection.
        """
        selected = self._selected(checked(selection))
        of_entity = self._series[selection.entity]
        for (time_s, subject, variant), _ in selected:
            series = of_entity[subject]
            series.take((time_s, variant))
            if not series.items:
                del of_entity[subject]
        return len(selected)

    def _selected(self, selection: Selection) -> list[tuple[Order, Concept]]:
        entity, subjects = selection.entity, selection.subjects
        of_entity = self._series[entity]
        span = (0, 1) if is_timeless(entity) else (selection.start_s, selection.end_s)
        chosen = {s: of_entity[s] for s in subjects if s in of_entity} if subjects else of_entity
        found = self._between(chosen, *span)
        return [(moment, item) for moment, item in found if all(passes(item, f) for f in selection.filters)]

    @staticmethod
    def _between(chosen: Mapping[str, "_Series"], start_s: int, end_s: int) -> list[tuple[Order, Concept]]:
        """Return the facts about some subjects, with their moments, ascending."""
        found = (
            ((time_s, name, variant), item)
            for name, series in chosen.items()
            for (time_s, variant), item in series.between(start_s, end_s)
        )
        return sorted(found, key=itemgetter(0))


def passes(fact: Concept, given: Filter) -> bool:
    """Return whether a fact passes a checked filter; a field without a value passes none."""
    value = getattr(fact, given.field)
    if value is None:
        return False
    if given.comparison is Comparison.ONE_OF:
        return value in given.value
    return bool(OPERATORS[given.comparison](value, given.value))


class _Series:
    """The facts of one type about one subject, in order."""

    __slots__ = ("items", "moments", "retention_s")

    def __init__(self, retention_s: int | None) -> None:
        self.moments: list[Place] = []
        self.items: list[Concept] = []
        self.retention_s = retention_s

    def put(self, moment: Place, item: Concept) -> None:
        if not self.moments or moment > self.moments[-1]:
            self.moments.append(moment)
            self.items.append(item)
            if self.retention_s is not None:
                self._forget(moment[0], self.retention_s)
            return
        at = bisect_left(self.moments, moment)
        if self.moments[at] == moment:
            self.items[at] = item
        else:
            self.moments.insert(at, moment)
            self.items.insert(at, item)

    def take(self, moment: Place) -> None:
        """Let go of the fact at a moment, which is there."""
        at = bisect_left(self.moments, moment)
        del self.moments[at], self.items[at]

    def between(self, start_s: int, end_s: int) -> list[tuple[Place, Concept]]:
        first = bisect_left(self.moments, (start_s, ""))
        last = bisect_left(self.moments, (end_s, ""), first)
        return list(zip(self.moments[first:last], self.items[first:last], strict=True))

    def _forget(self, now_s: int, retention_s: int) -> None:
        """Drop what is past retention, seldom enough to cost nothing."""
        if now_s - self.moments[0][0] > 2 * retention_s:
            past = bisect_left(self.moments, (now_s - retention_s, ""))
            del self.moments[:past], self.items[:past]
