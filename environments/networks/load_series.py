"""What sites draw over time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LoadSeries"]


class LoadSeries(NamedTuple):
    """Powers of sites over time: epoch seconds (T,) and (T, sites) W, consumption positive."""

    times_s: NDArray[np.int64]
    power_w: NDArray[np.float64]
    reactive_var: NDArray[np.float64] | None = None
    """(T, sites) var; without it a power factor decides"""
