"""What a plant's own past says of its model: its yield by hour and sky, and how far forecasts err by lead."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from behaviours.decisions.series import FloatArray, IntArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY

__all__ = [
    "DIM",
    "DIM_SHARE",
    "HOURS",
    "SKIES",
    "Factors",
    "Issued",
    "LeadErrors",
    "PlantHistory",
    "YieldTable",
    "lead_bins",
]

HOURS = 24
DIM, OVERCAST, BROKEN, CLEAR = range(4)
SKIES = 4
"""Skies of a forecast: hardly any power, else overcast, broken or clear."""
DIM_SHARE = 0.03
"""Of the peak: what is below is dim, whatever the sky."""
LEAD_STARTS_H = (0, 2, 6, 14)
"""Where the bins of lead begin, in hours."""
DAILY_MEMORY = 0.97
"""What is left of a day's weight after another: a month by and large."""
PRIOR_HOURS, CELL_HOURS = 3.0, 0.2
"""Hours at peak power that plant and cell must have been metered for to outweigh what is assumed."""
TABLE_BOUNDS = (0.1, 1.6)
COMMISSIONING_HOURS = 25.0
"""Hours at peak power until which a plant is new, and may differ from its description."""
NEW_SHARE, HEALTHY_SHARE = 0.3, 0.8
"""A day is learnt from when a plant, new or known, gave at least this share of what it usually gives."""
DAY_S = 86_400
PRIOR_SPREAD = np.array(
    [[0.4, 0.25, 0.2, 0.1], [0.45, 0.35, 0.28, 0.15], [0.5, 0.45, 0.38, 0.18], [0.55, 0.5, 0.42, 0.2]]
)
"""Shares by which 10 % and 90 % quantiles are assumed to lie below and above, by lead and sky."""
ERROR_MEMORY = 0.999
ERROR_WEIGHT = 8.0
QUANTILE_RATE = 0.006
QUANTILES = (0.1, 0.9)
LEARNT_SHARE = 0.001
"""Of the peak: what is below is night, or nearly so."""
SCORED_EVERY_H = 3
STEPS_AN_HOUR = 3600 // INTERVAL_S
KEPT_STEPS = 2 * INTERVALS_A_DAY


class Factors(NamedTuple):
    """By how much modelled power is multiplied in each step: expected, and both quantiles."""

    expected: FloatArray
    low: FloatArray
    high: FloatArray


class Issued(NamedTuple):
    """A forecast as it was issued: modelled power after the yield table, in W, and the sky of each step."""

    start_s: int
    base_w: FloatArray
    sky: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class YieldTable:
    """Measured and modelled generation, in hours at peak power, by hour of the day (UTC) and sky."""

    measured: FloatArray
    modelled: FloatArray

    @classmethod
    def empty(cls) -> "YieldTable":
        """Return the table of a plant that nothing is known of."""
        return cls(np.zeros((HOURS, SKIES)), np.zeros((HOURS, SKIES)))

    def after(
        self, hour: IntArray, sky: IntArray, measured: FloatArray, modelled: FloatArray
    ) -> "YieldTable":
        """Return the table with more intervals (each in hours at peak power), those before counting less."""
        given, expected = DAILY_MEMORY * self.measured, DAILY_MEMORY * self.modelled
        np.add.at(given, (hour, sky), measured)
        np.add.at(expected, (hour, sky), modelled)
        return YieldTable(given, expected)

    def ratios(self) -> FloatArray:
        """Return (hours, skies) measured over modelled, drawn towards that of the plant, and that to one."""
        overall = (self.measured.sum() + PRIOR_HOURS) / (self.modelled.sum() + PRIOR_HOURS)
        found: FloatArray = (self.measured + CELL_HOURS * overall) / (self.modelled + CELL_HOURS)
        return np.clip(found, *TABLE_BOUNDS)


@dataclass(frozen=True, slots=True, eq=False)
class LeadErrors:
    """How measured power lay to what was foreseen so long before under such a sky: (leads, skies) each."""

    measured: FloatArray
    foreseen: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def assumed(cls) -> "LeadErrors":
        """Return what is assumed of a weather forecast that is not known yet."""
        ones = np.full(PRIOR_SPREAD.shape, ERROR_WEIGHT)
        return cls(ones, ones, 1.0 - PRIOR_SPREAD, 1.0 + PRIOR_SPREAD)

    def after(
        self, lead: IntArray, sky: IntArray, measured_w: FloatArray, base_w: FloatArray
    ) -> "LeadErrors":
        """Return the errors with what was measured for a forecast, all flat and of equal length.

        Quantiles move by a little of how often they were missed beyond what they should be.

        Source: Gibbs & Candes 2021 (adaptive conformal inference), by stochastic approximation.
        """
        cell = (lead, sky)
        measured, foreseen = ERROR_MEMORY * self.measured, ERROR_MEMORY * self.foreseen
        level = base_w.mean()
        np.add.at(measured, cell, measured_w / level)
        np.add.at(foreseen, cell, base_w / level)
        ratio = measured_w / base_w
        low, high = self.low.copy(), self.high.copy()
        np.add.at(low, cell, QUANTILE_RATE * (QUANTILES[0] - (ratio < self.low[cell])))
        np.add.at(high, cell, QUANTILE_RATE * (QUANTILES[1] - (ratio < self.high[cell])))
        return LeadErrors(measured, foreseen, np.maximum(low, 0.0), np.maximum(high, 0.0))

    def factors(self, lead: IntArray, sky: IntArray) -> Factors:
        """Return the factors of steps by their lead and sky."""
        cell = (lead, sky)
        expected = (self.measured / self.foreseen)[cell]
        return Factors(expected, np.minimum(self.low[cell], expected), np.maximum(self.high[cell], expected))


@dataclass(frozen=True, slots=True, eq=False)
class PlantHistory:
    """All that is learnt of a plant; adding an interval or a forecast returns a new history."""

    peak_w: int
    table: YieldTable
    errors: LeadErrors
    intervals: FloatArray
    """Measured power, modelled power and sky of the last two days by the quarter-hour; measured is nan where
    nothing says what the plant could do."""
    issued: tuple[Issued, ...] = ()
    last_start_s: int = -1

    @classmethod
    def empty(cls, peak_w: int) -> "PlantHistory":
        """Return the history of a plant that has just been built, by its peak power in W."""
        return cls(peak_w, YieldTable.empty(), LeadErrors.assumed(), np.full((3, KEPT_STEPS), np.nan))

    def ratio_of(self, start_s: int, sky: int) -> float:
        """Return how much of its modelled power the plant usually gives at an hour under a sky."""
        return float(self.table.ratios()[start_s // 3600 % HOURS, sky])

    def after(self, start_s: int, measured_w: float, modelled_w: float, sky: int) -> "PlantHistory":
        """Return the history with an interval; one that is not newer changes nothing.

        Args:
            start_s: its start in epoch seconds.
            measured_w: what the plant gave, not negative; nan when it was curtailed or is at fault.
            modelled_w: what the model says of it under the weather as known at the time.
            sky: 0 dim, 1 overcast, 2 broken, 3 clear.
        """
        if start_s <= self.last_start_s:
            return self
        is_new_day = 0 <= self.last_start_s // DAY_S < start_s // DAY_S
        table = self._with_day(self.last_start_s // DAY_S * DAY_S) if is_new_day else self.table
        intervals = self.intervals.copy()
        skipped = np.arange(self.last_start_s // INTERVAL_S + 1, start_s // INTERVAL_S)[-KEPT_STEPS:]
        intervals[:, skipped % KEPT_STEPS] = np.nan
        intervals[:, start_s // INTERVAL_S % KEPT_STEPS] = measured_w, modelled_w, sky
        return replace(self, table=table, intervals=intervals, last_start_s=start_s)

    def _with_day(self, day_s: int) -> YieldTable:
        """Return the table with a day that is over, unless the plant gave so little that it must be ill.

        So a fault is never taken for the plant's nature; a new plant is believed more.
        """
        steps = np.arange(INTERVALS_A_DAY)
        measured, modelled, sky = self.intervals[:, (day_s // INTERVAL_S + steps) % KEPT_STEPS]
        known = ~np.isnan(measured) & (modelled > 0)
        hour, of_sky = steps[known] // STEPS_AN_HOUR, sky[known].astype(np.int64)
        if not known.any():
            return self.table
        usual = modelled[known] @ self.table.ratios()[hour, of_sky]
        is_new = self.table.modelled.sum() < COMMISSIONING_HOURS
        if measured[known].sum() < (NEW_SHARE if is_new else HEALTHY_SHARE) * usual:
            return self.table
        hours = 1.0 / STEPS_AN_HOUR / self.peak_w
        return self.table.after(hour, of_sky, measured[known] * hours, modelled[known] * hours)

    def issuing(self, start_s: int, modelled_w: FloatArray, sky: IntArray) -> "PlantHistory":
        """Return the history with a forecast that has been issued, and with what became of yesterday's.

        Args:
            start_s: start of its first quarter-hour in epoch seconds; only every third hour's is kept.
            modelled_w: a day of modelled power.
            sky: the sky of each step.
        """
        if start_s % (SCORED_EVERY_H * 3600) or (self.issued and self.issued[-1].start_s >= start_s):
            return self
        base = modelled_w * self.table.ratios()[hours_from(start_s, modelled_w.size), sky]
        over = start_s - INTERVALS_A_DAY * INTERVAL_S
        errors = self.errors
        for each in self.issued:
            if each.start_s <= over:
                errors = self._scored(errors, each)
        waiting = tuple(each for each in self.issued if each.start_s > over)
        return replace(self, errors=errors, issued=(*waiting, Issued(start_s, base, sky)))

    def _scored(self, errors: LeadErrors, issued: Issued) -> LeadErrors:
        steps = np.arange(STEPS_AN_HOUR // 2, issued.base_w.size, STEPS_AN_HOUR)
        measured = self.intervals[0, (issued.start_s // INTERVAL_S + steps) % KEPT_STEPS]
        base = issued.base_w[steps]
        told = ~np.isnan(measured) & (base > LEARNT_SHARE * self.peak_w)
        if not told.any():
            return errors
        steps = steps[told]
        lead = lead_bins(issued.base_w.size, INTERVAL_S)[steps]
        return errors.after(lead, issued.sky[steps], measured[told], base[told])

    def factors(self, start_s: int, sky: IntArray, step_s: int = INTERVAL_S) -> Factors:
        """Return by how much a forecast's modelled power is to be multiplied.

        Args:
            start_s: start of its first step in epoch seconds.
            sky: the sky of each step.
            step_s: length of a step in seconds.
        """
        of_plant = self.table.ratios()[hours_from(start_s, sky.size, step_s), sky]
        expected, low, high = self.errors.factors(lead_bins(sky.size, step_s), sky)
        return Factors(of_plant * expected, of_plant * low, of_plant * high)

    def kept(self) -> bytes:
        """Return what is worth keeping over a restart; forecasts still to be scored are not."""
        tables = (self.table.measured, self.table.modelled)
        errors = (self.errors.measured, self.errors.foreseen, self.errors.low, self.errors.high)
        return msgspec.json.encode([np.round(each, 6).tolist() for each in (*tables, *errors)])

    @classmethod
    def recalled(cls, peak_w: int, kept: bytes | None) -> "PlantHistory":
        """Return the history that was kept, or an empty one."""
        empty = cls.empty(peak_w)
        if kept is None:
            return empty
        measured, modelled, *errors = (np.array(each) for each in msgspec.json.decode(kept))
        return replace(empty, table=YieldTable(measured, modelled), errors=LeadErrors(*errors))


def hours_from(start_s: int, steps: int, step_s: int = INTERVAL_S) -> IntArray:
    """Return the hours of the day (UTC) that steps lie in."""
    return np.asarray((start_s + step_s * np.arange(steps)) // 3600 % HOURS)


def lead_bins(steps: int, step_s: int) -> IntArray:
    """Return the bin of lead that each step of a forecast falls into."""
    hours = step_s * np.arange(steps) / 3600
    return np.searchsorted(LEAD_STARTS_H, hours, side="right") - 1
