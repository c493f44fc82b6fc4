"""How a device's link does: when it was heard last, how fast it answers, what went wrong."""

from collections import Counter, deque
from typing import NamedTuple

__all__ = ["DeviceHealth", "HealthReport"]

_LATENCIES = 100


class HealthReport(NamedTuple):
    """Of a device: epoch seconds when it was heard last (None: never), latencies in ms, counts by name."""

    last_heard_s: float | None
    median_ms: float | None
    slowest_ms: float | None
    counts: dict[str, int]
    why_down: str
    """Empty while it answers."""

    @property
    def is_up(self) -> bool:
        """Whether the last exchange with it succeeded."""
        return self.last_heard_s is not None and not self.why_down


class DeviceHealth:
    """Counts exchanges with a device; latencies are of the last hundred."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._last_heard_s: float | None = None
        self._latencies_s: deque[float] = deque(maxlen=_LATENCIES)
        self._why_down = "not asked yet"

    def heard(self, now_s: float, took_s: float) -> None:
        """Note an answer."""
        self._last_heard_s, self._why_down = now_s, ""
        self._latencies_s.append(took_s)
        self.counts["answers"] += 1

    def failed(self, kind: str, why: str) -> None:
        """Note an exchange that failed: what kind of failure, and why."""
        self.counts[kind] += 1
        self._why_down = why

    def report(self) -> HealthReport:
        """Return how it does now."""
        ordered = sorted(self._latencies_s)
        median = ordered[len(ordered) // 2] * 1000 if ordered else None
        slowest = ordered[-1] * 1000 if ordered else None
        return HealthReport(self._last_heard_s, median, slowest, dict(self.counts), self._why_down)
