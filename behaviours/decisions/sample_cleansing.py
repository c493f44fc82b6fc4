"""Cleansing of raw samples, seconds to a minute apart: what is implausible, a spike, or frozen.

Household power is made of steps: a plain Hampel filter takes every kettle for a spike. A value is one here
only if three things hold:

- it is further from the median of its window than the filter allows (SPEC 4.1), the spread being the
  usual one of the windows around it, so that a window full of steps does not hide a spike;
- it sticks out of both its neighbours: what lies between them is a ramp, or an edge caught in the middle;
- nothing else in its window is like it: what comes again is a cycle, not a fault.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.data_quality import GAUSSIAN, THRESHOLD, WINDOW, middle_of, plausible
from behaviours.decisions.series import FloatArray, IntArray
from ontology.measurements import Quantity

__all__ = ["CleansedSamples", "SampleRules", "cleanse_samples", "frozen_since", "spikes"]

POOL = 61
"""Windows whose median spread counts as the usual one."""
STICKS_OUT = 0.3
"""Of what the filter allows: how far beyond both neighbours a spike is."""
ALIKE = 2.0
"""Standard deviations within which another sample of the window confirms a value."""

BoolArray = npt.NDArray[np.bool_]


class SampleRules(NamedTuple):
    """What is known of a sensor: bounds and resolution in its unit, its period, and how it fails.

    `frozen_after_s` is how long a non-zero value may stay exactly the same; 0 is for ever.
    """

    quantity: Quantity
    low: float
    high: float
    resolution: float = 0.0
    period_s: int = 60
    frozen_after_s: int = 0

    @property
    def is_register(self) -> bool:
        """Whether the sensor counts energy and never goes back."""
        return self.quantity is Quantity.ENERGY_WH


class CleansedSamples(NamedTuple):
    """Samples in order of time, the believed ones marked."""

    time_s: IntArray
    values: FloatArray
    believed: BoolArray


def cleanse_samples(time_s: npt.ArrayLike, values: npt.ArrayLike, rules: SampleRules) -> CleansedSamples:
    """Judge samples by bounds, Hampel filter and frozen sensor; a register by never going back.

    Args:
        time_s: epoch seconds, ascending, each once.
        values: in the unit of the sensor.
        rules: of the sensor.

    Source: SPEC 4.1.
    """
    times = np.asarray(time_s, dtype=np.int64)
    given = np.asarray(values, dtype=np.float64)
    believed = plausible(given, rules.low, rules.high)
    kept = np.flatnonzero(believed)
    if rules.is_register:
        believed[kept] = rising(given[kept])
        return CleansedSamples(times, given, believed)
    believed[kept] = ~spikes(given[kept], resolution=rules.resolution)
    believed &= ~frozen_since(times, given, rules.frozen_after_s)
    return CleansedSamples(times, given, believed)


def spikes(values: npt.ArrayLike, *, resolution: float = 0.0) -> BoolArray:
    """Tell which values stand alone, away from their neighbours and from all else in their window.

    Args:
        values: the series, without gaps.
        resolution: differences up to this are never spikes.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.size <= WINDOW // 2:
        return np.zeros(given.size, dtype=np.bool_)
    windows = around(given, WINDOW)
    ordered = np.sort(windows, axis=1)
    middle = middle_of(ordered)
    spread = usual(middle_of(np.sort(np.abs(ordered - middle[:, None]), axis=1)))
    allowed = np.maximum(THRESHOLD * GAUSSIAN * spread, resolution)
    alike = np.maximum(ALIKE * GAUSSIAN * spread, resolution / THRESHOLD)
    confirmed = np.count_nonzero(np.abs(windows - given[:, None]) <= alike[:, None], axis=1) > 1
    far, alone = np.abs(given - middle) > allowed, beyond_neighbours(given) > STICKS_OUT * allowed
    return np.asarray(far & alone & ~confirmed)


def around(values: FloatArray, width: int) -> FloatArray:
    """Return the window around each value, NaN beyond the ends."""
    padded = np.pad(values, width // 2, constant_values=np.nan)
    windows: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, width)
    return windows


def usual(spread: FloatArray) -> FloatArray:
    """Return the median spread of the windows around each one."""
    return middle_of(np.sort(around(spread, POOL), axis=1))


def beyond_neighbours(values: FloatArray) -> FloatArray:
    """Return how far each value is above the higher or below the lower of its two neighbours."""
    neighbours = np.stack([np.append(np.nan, values[:-1]), np.append(values[1:], np.nan)])
    above = values - np.fmax(*neighbours)
    below = np.fmin(*neighbours) - values
    return np.asarray(np.maximum(above, below))


def rising(values: FloatArray) -> BoolArray:
    """Tell which readings of a register can be true: the most that never go back.

    A reading that went astray contradicts many, and many true ones only it.
    """
    kept = np.zeros(values.size, dtype=np.bool_)
    if values.size and np.all(np.diff(values) >= 0):
        return ~kept
    kept[longest_rising(values)] = True
    return kept


def longest_rising(values: FloatArray) -> list[int]:
    """Return the indices of the longest subsequence that never falls, by patience sorting."""
    tails: list[float] = []
    tops: list[int] = []
    before = np.full(values.size, -1, dtype=np.int64)
    for index, value in enumerate(values.tolist()):
        pile = int(np.searchsorted(tails, value, side="right"))
        before[index] = tops[pile - 1] if pile else -1
        if pile == len(tails):
            tails.append(value)
            tops.append(index)
        else:
            tails[pile], tops[pile] = value, index
    chain: list[int] = []
    index = tops[-1] if tops else -1
    while index >= 0:
        chain.append(index)
        index = int(before[index])
    return chain[::-1]


def frozen_since(time_s: npt.ArrayLike, values: npt.ArrayLike, after_s: int) -> BoolArray:
    """Tell which samples come later than a time after their non-zero value last changed; 0 is never."""
    times = np.asarray(time_s, dtype=np.int64)
    given = np.asarray(values, dtype=np.float64)
    if after_s <= 0 or given.size == 0:
        return np.zeros(given.size, dtype=np.bool_)
    changed = np.append(True, given[1:] != given[:-1])
    since_s = np.maximum.accumulate(np.where(changed, times, times[0]))
    return np.asarray((times - since_s > after_s) & (given != 0))
