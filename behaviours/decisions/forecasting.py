"""What a site will consume without its flexible devices, as told by its own past days or by a profile."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.series import FloatArray, IntArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import Quality

__all__ = ["DAYS_KEPT", "LoadHistory", "Outlook", "load_outlook"]

DAYS_KEPT = 7
"""Days of a slot that the median is taken over."""
SHRINKAGE_SLOTS = 4.0
"""How many slots of its profile a site's own level must outweigh."""
LEVEL_BOUNDS = (0.2, 5.0)
PRIOR_LOW, PRIOR_HIGH = 0.5, 1.8
"""The 10 % and 90 % quantiles of a single household around its profile, as shares."""


class Outlook(NamedTuple):
    """Expected power in W in equal steps, with its 10 % and 90 % quantiles; consumption positive."""

    power_w: IntArray
    low_w: IntArray
    high_w: IntArray

    def as_forecast(
        self,
        subject: str,
        kind: ForecastKind,
        issued_at_s: int,
        start_s: int,
        step_s: int = INTERVAL_S,
        quality: Quality = Quality.VALID,
    ) -> Forecast:
        """Return the outlook as the concept that agents exchange."""
        return Forecast(
            subject=subject,
            kind=kind,
            issued_at_s=issued_at_s,
            start_s=start_s,
            step_s=step_s,
            power_w=self.power_w.tolist(),
            low_w=self.low_w.tolist(),
            high_w=self.high_w.tolist(),
            quality=quality,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LoadHistory:
    """The last seven readings of every quarter-hour of the day; adding one returns a new history."""

    readings_w: FloatArray
    """One row a slot, one column a day, in no particular order."""
    counts: IntArray
    median_w: FloatArray
    low_w: FloatArray
    high_w: FloatArray
    last_start_s: int = -1

    @classmethod
    def empty(cls) -> "LoadHistory":
        """Return the history of a site that has just begun."""
        none = np.zeros(INTERVALS_A_DAY)
        table = np.zeros((INTERVALS_A_DAY, DAYS_KEPT))
        return cls(table, np.zeros(INTERVALS_A_DAY, dtype=np.int64), none, none, none)

    @classmethod
    def of(cls, readings: Iterable[tuple[int, float]]) -> "LoadHistory":
        """Return the history of readings (interval start in epoch seconds, power in W), in any order."""
        history = cls.empty()
        for start_s, power_w in sorted(readings):
            history = history.after(start_s, power_w)
        return history

    def after(self, start_s: int, power_w: float) -> "LoadHistory":
        """Return the history with one more interval; one that is not newer changes nothing."""
        if start_s <= self.last_start_s:
            return self
        slot = start_s // INTERVAL_S % INTERVALS_A_DAY
        readings, counts = self.readings_w.copy(), self.counts.copy()
        median, low, high = self.median_w.copy(), self.low_w.copy(), self.high_w.copy()
        count = int(counts[slot])
        readings[slot, count % DAYS_KEPT] = power_w
        counts[slot] = count + 1
        ordered = sorted(readings[slot, : min(count + 1, DAYS_KEPT)].tolist())
        low[slot], high[slot] = ordered[0], ordered[-1]
        median[slot] = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        return LoadHistory(readings, counts, median, low, high, start_s)


def load_outlook(history: LoadHistory, start_s: int, prior_w: npt.ArrayLike) -> Outlook:
    """Forecast a site's base load: median of its last seven days, blended with a profile until it has them.

    The profile is scaled to the site's own level as far as that is known. Of seven like days about one in
    eight is below all and one in eight above all, so lowest and highest serve as the quantiles.

    Args:
        history: the site's own readings of base load.
        start_s: start of the first step in epoch seconds.
        prior_w: a typical profile in W from `start_s` on; its length is that of the outlook.

    Source: SPEC 2.5 (SAME_SLOT_7D), DESIGN 5 (forecasts).
    """
    prior = np.asarray(prior_w, dtype=np.float64)
    slots = slots_from(start_s, prior.size)
    counts, median = history.counts[slots], history.median_w[slots]
    low, high = history.low_w[slots], history.high_w[slots]
    own_share = np.minimum(counts, DAYS_KEPT) * (1.0 / DAYS_KEPT)
    if own_share.min() < 1.0:
        rest = (1.0 - own_share) * prior * own_level(counts, median, prior)
        median = own_share * median + rest
        low = own_share * low + PRIOR_LOW * rest
        high = own_share * high + PRIOR_HIGH * rest
    return Outlook(integers(median), integers(low), integers(high))


def own_level(counts: IntArray, median_w: FloatArray, prior_w: FloatArray) -> float:
    """Return by which factor a site consumes more than its profile, drawn towards one while unsure."""
    seen = counts > 0
    anchor = SHRINKAGE_SLOTS * float(prior_w.mean())
    expected = float(prior_w @ seen) + anchor
    if expected < 1.0:
        return 1.0
    return min(LEVEL_BOUNDS[1], max(LEVEL_BOUNDS[0], (float(median_w @ seen) + anchor) / expected))


def slots_from(start_s: int, steps: int) -> IntArray:
    """Return the quarter-hours of the day (UTC) of consecutive steps."""
    first = start_s // INTERVAL_S % INTERVALS_A_DAY
    if steps <= INTERVALS_A_DAY:
        return SLOTS[first : first + steps]
    return (first + np.arange(steps)) % INTERVALS_A_DAY


def integers(values: FloatArray) -> IntArray:
    """Round to whole watts."""
    return np.rint(values).astype(np.int64)


SLOTS: IntArray = np.tile(np.arange(INTERVALS_A_DAY, dtype=np.int64), 2)
