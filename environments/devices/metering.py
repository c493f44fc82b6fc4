"""Interval readings of a meter of ours: what its counters said at the quarters, kept over a restart."""

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from behaviours.decisions.register_intervals import Counters, at_quarter, intervals_between
from behaviours.ports import AgentStore
from ontology.base import INTERVAL_S
from ontology.measurements import IntervalReading

__all__ = ["CounterMemory", "IntervalMetering", "StoreNow"]

StoreNow = Callable[[], AgentStore | None]
"""Returns the site's store, or None while there is none."""

_NAME = "counters at the quarter"
_KEPT = 200
_CLOSE_S = 60


class CounterMemory:
    """Where the counters of a meter are kept: the site's store, or nowhere."""

    def __init__(self, asset_id: str, store: StoreNow = lambda: None) -> None:
        """Keep the counters of an asset in a store, once there is one, under a name that no agent has."""
        self._store, self._who = store, f"device {asset_id}"

    def load(self) -> Counters | None:
        """Return what was kept, if anything readable was."""
        store = self._store()
        raw = None if store is None else store.load(self._who).get(_NAME)
        try:
            return None if raw is None else msgspec.json.decode(raw, type=Counters)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def save(self, counters: Counters) -> None:
        """Keep counters instead of those from before."""
        if (store := self._store()) is not None:
            store.commit(self._who, {_NAME: msgspec.json.encode(counters)})


class IntervalMetering:
    """Makes interval readings of counters that are read now and then; each can be asked for again."""

    def __init__(self, subject: str, memory: CounterMemory) -> None:
        """Meter a subject, from where it was left."""
        self._subject, self._memory = subject, memory
        self._since: Counters | None = None
        self._made: deque[tuple[float, IntervalReading]] = deque(maxlen=_KEPT)

    def note(self, counters: Counters) -> Sequence[IntervalReading]:
        """Take the counters of now, and return the readings that the gateway should have.

        That is the interval that has ended, and for a quarter of an hour those before it that could only be
        made now: the gateway reads once a quarter, and must not miss them.
        """
        if self._since is None:
            self._since = self._memory.load()
        if self._since is None:
            self._begin(counters)
        elif counters.time_s > self._since.time_s:
            self._go_on(self._since, counters)
        return [reading for until_s, reading in self._made if counters.time_s < until_s]

    def _begin(self, counters: Counters) -> None:
        self._since = counters
        self._memory.save(counters)

    def _go_on(self, since: Counters, counters: Counters) -> None:
        made = intervals_between(self._subject, since, counters)
        self._made += [(_until_s(each.start_s, counters.time_s), each) for each in made]
        after = at_quarter(since, counters)
        if after != since:
            self._begin(after)


def _until_s(start_s: int, made_s: float) -> float:
    """Return until when a reading is told: to the end of the next interval, or of the one it was made in."""
    quarter_s = made_s // INTERVAL_S * INTERVAL_S
    is_in_time = made_s - quarter_s <= _CLOSE_S
    return max(start_s + 2 * INTERVAL_S, quarter_s + INTERVAL_S + (0 if is_in_time else _CLOSE_S))
