"""From samples to 15-minute intervals by event time: means, energies, and what fills the gaps.

An interval depends on the samples from `CONTEXT_S` before it to `WATERMARK_S` after it and on nothing
else, so the same samples give the same interval, in whatever order and however often they came.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from behaviours.decisions.data_quality import LINEAR_STEPS, WEEKLY_STEPS, gaps, impute
from behaviours.decisions.sample_cleansing import CleansedSamples, SampleRules
from behaviours.decisions.series import FloatArray
from ontology.base import INTERVAL_S
from ontology.measurements import Quality

__all__ = [
    "CONTEXT_S",
    "WATERMARK_S",
    "WEEK_S",
    "IntervalValue",
    "aggregate",
    "fill_energies",
    "fill_means",
    "touched_by",
]

WATERMARK_S = 300
"""How late a sample may be, by event time, without making an interval late (SPEC 4.1)."""
CONTEXT_S = 3_600
"""Samples before an interval that help to judge those in it: an hour, for a frozen sensor."""
WEEK_S = 7 * 86_400
MISSED_PERIODS = 3
"""How many sampling periods without a sample are a gap; the value is taken as linear in between."""
COVERED = 0.95
"""Share of an interval that must be covered for a value to be VALID."""
HALF_COVERED = 0.5
"""Share below which an interval counts as missing."""
REJECTED = 0.10
"""Share of rejected samples above which a value is ESTIMATED."""
LONGEST_LINEAR_S = (LINEAR_STEPS + 1) * INTERVAL_S
"""How far apart a register's readings may be for it to be read in between."""


class IntervalValue(NamedTuple):
    """A sensor's mean over an interval (a register's energy in Wh), and how far it can be trusted."""

    value: float
    quality: Quality


UNKNOWN = IntervalValue(float("nan"), Quality.MISSING)


def aggregate(samples: CleansedSamples, start_s: int, rules: SampleRules) -> IntervalValue:
    """Return the mean of a quantity, or the energy that a register counted, in [start_s, start_s + 900).

    The value is linear between believed samples. MISSING values are NaN.

    Source: SPEC 4.1.
    """
    within = (samples.time_s >= start_s) & (samples.time_s < start_s + INTERVAL_S)
    rejected = float(np.mean(~samples.believed[within])) if within.any() else 0.0
    times, values = samples.time_s[samples.believed].astype(np.float64), samples.values[samples.believed]
    measure = register_energy if rules.is_register else mean
    value = measure(times, values, start_s, MISSED_PERIODS * rules.period_s)
    if value.quality is Quality.VALID and rejected > REJECTED:
        return value._replace(quality=Quality.ESTIMATED)
    return value


def mean(times: FloatArray, values: FloatArray, start_s: int, gap_s: float) -> IntervalValue:
    """Return the mean over what is covered of an interval, of values linear between samples."""
    begin = np.clip(times[:-1], start_s, start_s + INTERVAL_S)
    end = np.clip(times[1:], start_s, start_s + INTERVAL_S)
    lasts_s = (end - begin) * (np.diff(times) <= gap_s)
    share = float(lasts_s.sum()) / INTERVAL_S
    if share < HALF_COVERED:
        return UNKNOWN
    middle = np.interp((begin + end) / 2, times, values)
    value = float((middle * lasts_s).sum() / lasts_s.sum())
    return IntervalValue(value, Quality.VALID if share >= COVERED else Quality.ESTIMATED)


def register_energy(times: FloatArray, values: FloatArray, start_s: int, gap_s: float) -> IntervalValue:
    """Return what a register counted in an interval, linear between readings: intervals add up to it."""
    edges = (start_s, start_s + INTERVAL_S)
    apart_s = max(apart_at(times, edge) for edge in edges)
    if apart_s > LONGEST_LINEAR_S:
        return UNKNOWN
    first, last = np.interp(edges, times, values)
    return IntervalValue(float(last - first), Quality.VALID if apart_s <= gap_s else Quality.ESTIMATED)


def apart_at(times: FloatArray, instant_s: int) -> float:
    """Return how far apart the readings before and after an instant are; infinity at the ends."""
    after = int(np.searchsorted(times, instant_s))
    if after < times.size and times[after] == instant_s:
        return 0.0
    return float(times[after] - times[after - 1]) if 0 < after < times.size else float("inf")


def fill_means(known: Mapping[int, IntervalValue], first_s: int, last_s: int) -> dict[int, IntervalValue]:
    """Return the intervals from one to another with the gaps between and after those known filled.

    Up to two linearly, up to a day from the same slots last week, else MISSING.

    Args: known: aggregated values by start, a week back where there are such; none is MISSING.
    Source: SPEC 4.1.
    """
    starts = range(first_s, last_s + INTERVAL_S, INTERVAL_S)
    cleansed = impute([_value(known, start) for start in starts], [_value(known, s - WEEK_S) for s in starts])
    return {
        start: IntervalValue(
            float(value), known[start].quality if quality is Quality.VALID and start in known else quality
        )
        for start, value, quality in zip(starts, cleansed.values, cleansed.quality, strict=True)
    }


def fill_energies(
    known: Mapping[int, IntervalValue], counted_wh: Mapping[int, float], first_s: int, last_s: int
) -> dict[int, IntervalValue]:
    """Fill a register's gaps of up to a day with what it counted meanwhile, spread as in the week before.

    Args:
        known: energies by start, a week back where there are such.
        counted_wh: by the start of a gap's first interval, what the register counted in the gap.
        first_s: start of the first interval.
        last_s: start of the last interval.
    """
    filled = fill_means(known, first_s, last_s)
    starts = list(filled)
    missing = np.array([np.isnan(_value(known, start)) for start in starts])
    for begin, end in gaps(missing):
        total_wh = counted_wh.get(starts[begin])
        if total_wh is None or end - begin > WEEKLY_STEPS:
            continue
        week_ago = np.array([_value(known, start - WEEK_S) for start in starts[begin:end]])
        shaped = bool(np.all(week_ago >= 0)) and float(week_ago.sum()) > 0
        shares = week_ago / week_ago.sum() if shaped else np.full(end - begin, 1 / (end - begin))
        quality = Quality.SUBSTITUTED if shaped else Quality.ESTIMATED
        for start, share in zip(starts[begin:end], shares, strict=True):
            filled[start] = IntervalValue(float(share * total_wh), quality)
    return filled


def _value(known: Mapping[int, IntervalValue], start_s: int) -> float:
    at = known.get(start_s)
    return float("nan") if at is None or at.quality is Quality.MISSING else at.value


def touched_by(time_s: int) -> range:
    """Return the starts of the intervals that a sample has a part in: its own, one before, some after."""
    first = (time_s - WATERMARK_S) // INTERVAL_S
    return range(first * INTERVAL_S, time_s + CONTEXT_S + 1, INTERVAL_S)
