"""The repository in memory: what offline runs and tests use; it may forget what is long past."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from environments.repository.keys import is_timeless, key_of, require_entity
from ontology.base import Concept

__all__ = ["MemoryRepository"]

Moment = tuple[int, str]
"""Time and variant: what orders the facts about a subject."""


class MemoryRepository:
    """The `Repository` port in memory.

    Facts are kept as they come (letters are validated on arrival).

    Args: retention_s: by message type, how long before a subject's newest fact older ones are kept at least
        (seconds); types that are not named are kept for ever.
    """

    def __init__(self, retention_s: Mapping[str, int] | None = None) -> None:
        self._retention_s = dict(retention_s or {})
        self._series: defaultdict[str, dict[str, _Series]] = defaultdict(dict)

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

    async def query(self, entity: str, subject: str, start_s: int, end_s: int) -> list[Concept]:
        """Return the facts of a message type about a subject in [start_s, end_s), ascending.

        An empty subject means every subject; timeless facts are found at any time.

        Raises: InvalidInput when the type is not stored.
        """
        span = (0, 1) if is_timeless(entity) else (start_s, end_s)
        if subject:
            series = self._series[entity].get(subject)
            return [item for _, item in series.between(*span)] if series else []
        found = [
            (time_s, name, variant, item)
            for name, series in self._series[entity].items()
            for (time_s, variant), item in series.between(*span)
        ]
        return [item for *_, item in sorted(found, key=itemgetter(0, 1, 2))]

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


class _Series:
    """The facts of one type about one subject, in order."""

    __slots__ = ("items", "moments", "retention_s")

    def __init__(self, retention_s: int | None) -> None:
        self.moments: list[Moment] = []
        self.items: list[Concept] = []
        self.retention_s = retention_s

    def put(self, moment: Moment, item: Concept) -> None:
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

    def between(self, start_s: int, end_s: int) -> list[tuple[Moment, Concept]]:
        first = bisect_left(self.moments, (start_s, ""))
        last = bisect_left(self.moments, (end_s, ""), first)
        return list(zip(self.moments[first:last], self.items[first:last], strict=True))

    def _forget(self, now_s: int, retention_s: int) -> None:
        """Drop what is past retention, seldom enough to cost nothing."""
        if now_s - self.moments[0][0] > 2 * retention_s:
            past = bisect_left(self.moments, (now_s - retention_s, ""))
            del self.moments[:past], self.items[:past]
