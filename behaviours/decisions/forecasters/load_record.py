"""The last four weeks of a site's load, and the model that is fitted to them when it beats the median."""

from dataclasses import dataclass

import numpy as np

from behaviours.decisions.forecasters.past_days import DAY_S, PastDays
from behaviours.decisions.forecasters.ridge import RidgeModel, fit_ridge
from behaviours.decisions.series import FloatArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY

__all__ = ["ENOUGH_DAYS", "LoadRecord", "better_model"]

DAYS_KEPT = 28
ENOUGH_DAYS = 21
"""So many days must be known before a model is fitted."""
KNOWN_SHARE = 0.9
"""So many of them must have been metered; the rest is filled with the median of the time of day."""
ADVANTAGE = 0.98
"""A model must err by less than this share of the median's error."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadRecord:
    """Readings of four weeks by the quarter-hour (UTC), nan where there is none; adding returns a new one."""

    power_w: FloatArray
    first_start_s: int = -1
    last_start_s: int = -1

    @classmethod
    def empty(cls) -> "LoadRecord":
        """Return the record of a site that has just begun."""
        return cls(np.full(DAYS_KEPT * INTERVALS_A_DAY, np.nan))

    def after(self, start_s: int, power_w: float) -> "LoadRecord":
        """Return the record with one more interval; one that is not newer changes nothing."""
        if start_s <= self.last_start_s:
            return self
        power = self.power_w.copy()
        if self.last_start_s >= 0:
            skipped = np.arange(self.last_start_s // INTERVAL_S + 1, start_s // INTERVAL_S)
            power[skipped[-power.size :] % power.size] = np.nan
        power[start_s // INTERVAL_S % power.size] = power_w
        first_s = self.first_start_s if self.first_start_s >= 0 else start_s
        return LoadRecord(power, first_s, start_s)

    def before(self, start_s: int, most_days: int = DAYS_KEPT) -> PastDays | None:
        """Return the days that end at a time; none where too little of them is known.

        Args:
            start_s: the origin in epoch seconds, at most an interval after the last reading.
            most_days: how many days are wanted.
        """
        days = min(most_days, DAYS_KEPT, (start_s - self.first_start_s) // DAY_S)
        if self.first_start_s < 0 or days <= 0 or start_s - self.last_start_s > DAY_S:
            return None
        intervals = start_s // INTERVAL_S - days * INTERVALS_A_DAY + np.arange((days + 1) * INTERVALS_A_DAY)
        power = self.power_w[intervals[:-INTERVALS_A_DAY] % self.power_w.size].reshape(days, -1)
        unknown = np.isnan(power)
        if unknown.mean() > 1 - KNOWN_SHARE or unknown.all(axis=0).any():
            return None
        if unknown.any():
            power = np.where(unknown, np.nanmedian(power, axis=0), power)
        return PastDays(power, (intervals * INTERVAL_S).reshape(days + 1, -1))


def better_model(record: LoadRecord, start_s: int) -> RidgeModel | None:
    """Return a model that errs less than the seven-day median, or none; it takes a few milliseconds.

    Args:
        record: what is known of the load.
        start_s: the origin in epoch seconds.
    """
    past = record.before(start_s)
    if past is None or past.days < ENOUGH_DAYS:
        return None
    model = fit_ridge(past)
    return model if model.error_w < ADVANTAGE * model.median_error_w else None
