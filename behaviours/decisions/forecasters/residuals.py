"""Quantiles of a forecast from the errors that it made before, by the time of day."""

import numpy as np

from behaviours.decisions.forecasters.past_days import DayForecast
from behaviours.decisions.series import FloatArray, IntArray

__all__ = ["HIGH", "LOW", "ResidualQuantiles", "residual_quantiles"]

LOW, HIGH = 0.1, 0.9
NEIGHBOURS = 2
"""Steps before and after whose errors count as those of the same time of day."""


class ResidualQuantiles:
    """By how much a forecast errs below and above, in W by step of the local day."""

    def __init__(self, low_w: FloatArray, high_w: FloatArray, floor_w: float) -> None:
        self.low_w = low_w
        self.high_w = high_w
        self.floor_w = floor_w
        """What the series never went below."""

    def around(self, expected_w: FloatArray, slot: IntArray) -> DayForecast:
        """Return a forecast with its quantiles; neither lies on the wrong side, nor below the floor."""
        expected = np.maximum(expected_w, self.floor_w)
        low = np.maximum(expected + np.minimum(self.low_w[slot], 0.0), self.floor_w)
        return DayForecast(expected, low, expected + np.maximum(self.high_w[slot], 0.0))


def residual_quantiles(residuals_w: FloatArray, slot: IntArray, floor_w: float) -> ResidualQuantiles:
    """Return the quantiles of errors by time of day, each with those of its neighbours.

    Args:
        residuals_w: (days, steps) actual minus forecast in W.
        slot: (days, steps) the step of the local day of each.
        floor_w: what the series never went below, in W.
    """
    by_slot = np.empty_like(residuals_w)
    np.put_along_axis(by_slot, slot, residuals_w, axis=1)
    around = [np.roll(by_slot, shift, axis=1) for shift in range(-NEIGHBOURS, NEIGHBOURS + 1)]
    low, high = np.quantile(np.concatenate(around), (LOW, HIGH), axis=0)
    return ResidualQuantiles(low, high, floor_w)
