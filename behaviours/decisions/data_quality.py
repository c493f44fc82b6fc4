"""Cleansing of measurements: what is implausible, outlying, frozen or missing, and what stands in for it.

Raw values are kept by the caller; everything replaced carries a quality other than VALID.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.series import FloatArray
from ontology.measurements import Quality

__all__ = ["Cleansed", "cleanse", "frozen", "impute", "outliers", "plausible", "suspicious"]

WINDOW = 13
THRESHOLD = 4.0
"""Scaled median absolute deviations; 3 gives 2.3 % false positives on Gaussian noise, 4 gives 0.9 %."""
GAUSSIAN = 1.4826
"""Makes the median absolute deviation an estimate of the standard deviation."""
FROZEN_STEPS = 4
"""Steps of 15 minutes that a non-zero value may stay the same: one hour."""
LINEAR_STEPS = 2
WEEKLY_STEPS = 96

BoolArray = npt.NDArray[np.bool_]


class Cleansed(NamedTuple):
    """A series with its gaps filled where allowed (else NaN), and how far each value can be trusted."""

    values: FloatArray
    quality: list[Quality]


def cleanse(
    values: npt.ArrayLike,
    low: float,
    high: float,
    *,
    resolution: float = 0.0,
    last_week: npt.ArrayLike | None = None,
) -> Cleansed:
    """Cleanse a series of intervals: bounds, Hampel filter, frozen sensor, imputation.

    Args:
        values: the series, NaN where nothing came.
        low: least plausible value.
        high: greatest plausible value.
        resolution: differences up to this are never outliers.
        last_week: the same slots a week ago, NaN where unknown; none means unknown.

    Source: SPEC 4.1.
    """
    given = np.asarray(values, dtype=np.float64)
    believed = np.where(plausible(given, low, high), given, np.nan)
    rejected = outliers(believed, resolution=resolution) | frozen(believed)
    return impute(np.where(rejected, np.nan, believed), last_week)


def plausible(values: npt.ArrayLike, low: float, high: float) -> BoolArray:
    """Tell which values lie within physical bounds; NaN does not."""
    given = np.asarray(values, dtype=np.float64)
    return np.asarray((given >= low) & (given <= high))


def outliers(
    values: npt.ArrayLike, *, window: int = WINDOW, threshold: float = THRESHOLD, resolution: float = 0.0
) -> BoolArray:
    """Tell which values lie too far from the median of the window around them (Hampel filter).

    Args:
        values: the series; NaN is ignored and never an outlier.
        window: odd number of values, the one judged in the middle.
        threshold: how many scaled median absolute deviations are too far.
        resolution: differences up to this are never too far, as in a series that hardly changes.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.size == 0:
        return np.zeros(0, dtype=np.bool_)
    margin = window // 2
    padded = np.pad(given, margin, constant_values=np.nan)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
    middle = middle_of(ordered)
    spread = middle_of(np.sort(np.abs(ordered - middle[:, None]), axis=1))
    allowed = np.maximum(threshold * GAUSSIAN * spread, resolution)
    return np.asarray(np.abs(given - middle) > allowed)


def middle_of(ordered: FloatArray) -> FloatArray:
    """Return the median of each ordered row, whose NaNs stand last."""
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    rows = np.arange(ordered.shape[0])
    lower, upper = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
    middle: FloatArray = (
        ordered[rows, lower] + ordered[rows, np.minimum(upper, np.maximum(count - 1, 0))]
    ) / 2
    return middle


def suspicious(
    value: float, recent: Sequence[float], low: float, high: float, *, resolution: float = 0.0
) -> bool:
    """Tell whether a new sample is implausible or an outlier among the recent valid ones.

    Fewer than six recent samples judge nobody.
    """
    if not low <= value <= high:
        return True
    window = sorted((*recent[-(WINDOW - 1) :], value))
    if len(window) <= WINDOW // 2:
        return False
    middle = median_of(window)
    spread = median_of(sorted(abs(each - middle) for each in window))
    return abs(value - middle) > max(THRESHOLD * GAUSSIAN * spread, resolution)


def median_of(ordered: Sequence[float]) -> float:
    """Return the median of ordered values."""
    size = len(ordered)
    return (ordered[(size - 1) // 2] + ordered[size // 2]) / 2


def frozen(values: npt.ArrayLike, steps: int = FROZEN_STEPS) -> BoolArray:
    """Tell which values stand in a run of equal non-zero values that is longer than a number of steps."""
    given = np.asarray(values, dtype=np.float64)
    if given.size == 0:
        return np.zeros(0, dtype=np.bool_)
    change = np.concatenate(([True], given[1:] != given[:-1]))
    run = np.cumsum(change) - 1
    length = np.bincount(run)
    return np.asarray((length[run] > steps) & (given != 0) & ~np.isnan(given))


def impute(values: npt.ArrayLike, last_week: npt.ArrayLike | None = None) -> Cleansed:
    """Fill gaps: up to two steps linearly, up to a day from the same slots last week, else not.

    Values interpolated are ESTIMATED, those of last week SUBSTITUTED, the rest stays NaN and is MISSING.
    """
    given = np.asarray(values, dtype=np.float64)
    week_ago = np.full(given.size, np.nan) if last_week is None else np.asarray(last_week, dtype=np.float64)
    filled = given.copy()
    quality = [Quality.VALID] * given.size
    for start, end in gaps(np.isnan(given)):
        inside = start > 0 and end < given.size
        if inside and end - start <= LINEAR_STEPS:
            filled[start:end] = np.interp(
                np.arange(start, end), (start - 1, end), (given[start - 1], given[end])
            )
            quality[start:end] = [Quality.ESTIMATED] * (end - start)
            continue
        for step in range(start, end):
            known = end - start <= WEEKLY_STEPS and not np.isnan(week_ago[step])
            quality[step] = Quality.SUBSTITUTED if known else Quality.MISSING
            if known:
                filled[step] = week_ago[step]
    return Cleansed(filled, quality)


def gaps(missing: BoolArray) -> list[tuple[int, int]]:
    """Return start and end of each run of missing values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
