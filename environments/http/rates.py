"""How often a token may call: a bucket that refills steadily and holds some seconds' worth."""

from collections.abc import Callable

from environments.http.answers import TooMany

__all__ = ["BURST_S", "Rates"]

BURST_S = 2.0
"""A caller that was quiet may catch up on so many seconds at once."""
MOST_BUCKETS = 10_000


class Rates:
    """Counts calls by caller; forgets those that have been quiet longest.

    Args: requests_per_s: what a caller without a rate of its own is granted; now_s: the time.
    """

    def __init__(self, requests_per_s: float, now_s: Callable[[], float]) -> None:
        self._usual = requests_per_s
        self._now_s = now_s
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, who: str, requests_per_s: float | None = None) -> None:
        """Count a call.

        Raises: TooMany when it comes too early, with how long to wait.
        """
        rate = requests_per_s or self._usual
        most, now_s = max(rate * BURST_S, 1.0), self._now_s()
        left, since_s = self._buckets.pop(who, (most, now_s))
        left = min(most, left + max(now_s - since_s, 0.0) * rate)
        granted = left >= 1
        self._buckets[who] = (left - granted, now_s)
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        if not granted:
            raise TooMany((1 - left) / rate)
