"""What comes from a monitoring system: checked, counted, kept in order until it is asked for."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import structlog

from environments.monitoring.frames import MeasurementFrame, measurement_from
from environments.wire.frames import frame_of, iso, read_frame
from ontology.errors import InvalidInput, Problem, Unavailable, problem
from ontology.grid import GridMeasurement

__all__ = ["ANY_NODE", "Intake", "IntakeRules"]

log = structlog.get_logger()

_LOGGED = 20
"""Frames with problems that are logged; the rest is counted."""


class IntakeRules(NamedTuple):
    """What is taken: from which nodes (None: from any), how much is kept, and which times are plausible."""

    nodes: Collection[str] | None = None
    capacity: int = 100_000
    stale_s: int = 180
    """A node is stale when its newest measurement is older; the system is, when all are."""
    ahead_s: int = 60
    """How far a clock outside may be ahead of ours."""


ANY_NODE = IntakeRules()


class Intake:
    """Takes frames from a system outside, whatever they are, and holds the good ones by time and node.

    A frame that is not taken is counted by its reason (`malformed`, `unknown nodes`, `from the future`,
    `not good`, `duplicates`); the oldest is dropped where there is no room, and `dropped` counts those that
    nobody had asked for. `late` are those taken that are older than what was handed out already.
    """

    def __init__(self, rules: IntakeRules = ANY_NODE) -> None:
        self.rules = rules
        self.counts: Counter[str] = Counter()
        self._held: dict[tuple[int, str], GridMeasurement] = {}
        self._order: list[tuple[int, str]] = []
        self._newest_s: dict[str, int] = {}
        self._asked: tuple[int, str] | None = None
        self._stale: frozenset[str] = frozenset()

    def take(self, frame: bytes | object, now_s: float) -> GridMeasurement | None:
        """Take a frame as JSON, or decoded; return what it says where that is good and new."""
        try:
            read = (
                read_frame(MeasurementFrame, frame)
                if isinstance(frame, bytes)
                else frame_of(MeasurementFrame, frame)
            )
            measurement = measurement_from(read)
        except InvalidInput as error:
            self._reject("malformed", error)
            return None
        reason = self._why_not(measurement, read.quality, now_s)
        if reason is not None:
            self._reject(*reason)
            return None
        return self._keep(measurement)

    def since(self, since_s: int, now_s: float) -> list[GridMeasurement]:
        """Return what is held of a time on, by time and node.

        Raises: Unavailable when the newest measurement of all nodes is stale: the system is silent.
        """
        self._look_for_stale(now_s)
        if self._newest_s and self._stale == self._newest_s.keys():
            silent_s = int(now_s) - max(self._newest_s.values())
            raise Unavailable(f"the monitoring system has been silent for {silent_s} s")
        found = self._order[bisect_left(self._order, (since_s, "")) :]
        if self._order:
            self._asked = self._order[-1]
        return [self._held[key] for key in found]

    def stale_nodes(self, now_s: float) -> list[str]:
        """Return the nodes that have told nothing for too long."""
        return sorted(node for node, at_s in self._newest_s.items() if now_s - at_s > self.rules.stale_s)

    def _why_not(
        self, measurement: GridMeasurement, quality: str, now_s: float
    ) -> tuple[str, Problem] | None:
        """Return why a well-formed measurement is not taken, and what was expected."""
        if self.rules.nodes is not None and measurement.node_id not in self.rules.nodes:
            return "unknown nodes", problem("node", measurement.node_id, "a node of the network")
        if measurement.time_s > now_s + self.rules.ahead_s:
            return "from the future", problem("time", iso(measurement.time_s), "a time that has come")
        if quality != "good":
            return "not good", problem("quality", quality, "good")
        return None

    def _keep(self, measurement: GridMeasurement) -> GridMeasurement | None:
        key = (measurement.time_s, measurement.node_id)
        if key in self._held:
            self.counts["duplicates"] += 1
            return None
        self._held[key] = measurement
        insort(self._order, key)
        self._newest_s[key[1]] = max(key[0], self._newest_s.get(key[1], 0))
        self.counts["taken"] += 1
        if self._asked is not None and key < self._asked:
            self.counts["late"] += 1
        if len(self._order) > self.rules.capacity:
            oldest = self._order.pop(0)
            del self._held[oldest]
            if self._asked is None or oldest > self._asked:
                self.counts["dropped"] += 1
        return measurement

    def _reject(self, reason: str, found: object) -> None:
        self.counts[reason] += 1
        if sum(self.counts.values()) - self.counts["taken"] <= _LOGGED:
            log.warning("measurement not taken", reason=reason, found=str(found))

    def _look_for_stale(self, now_s: float) -> None:
        stale = frozenset(self.stale_nodes(now_s))
        for node in sorted(stale - self._stale):
            self.counts["nodes gone stale"] += 1
            log.warning("node is stale", node=node, newest_s=self._newest_s[node])
        self._stale = stale
