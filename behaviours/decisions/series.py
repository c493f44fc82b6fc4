"""Series in equal steps: windows of them, and errors between them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ontology.base import require

__all__ = ["FloatArray", "IntArray", "aligned", "coverage", "nmae", "nrmse", "pinball", "skill"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def aligned(
    values: Sequence[float], values_start_s: int, start_s: int, steps: int, step_s: int
) -> FloatArray:
    """Return the window of a series that begins at another time; its ends are prolonged.

    Raises: InvalidInput when the series is empty.
    """
    series = np.asarray(values, dtype=np.float64)
    skipped = (start_s - values_start_s) // step_s
    if skipped == 0 and series.size >= steps:
        return series[:steps]
    require(series.size > 0, "values", series.size, "at least one value")
    window: FloatArray = series[np.clip(np.arange(skipped, skipped + steps), 0, series.size - 1)]
    return window


def nmae(actual: npt.ArrayLike, forecast: npt.ArrayLike, scale: float | None = None) -> float:
    """Return the mean absolute error, as a share of a scale (default: mean absolute actual)."""
    actual_, error = errors(actual, forecast)
    return float(np.abs(error).mean() / norm(actual_, scale))


def nrmse(actual: npt.ArrayLike, forecast: npt.ArrayLike, scale: float | None = None) -> float:
    """Return the root mean square error, as a share of a scale (default: mean absolute actual)."""
    actual_, error = errors(actual, forecast)
    return float(np.sqrt((error * error).mean()) / norm(actual_, scale))


def pinball(actual: npt.ArrayLike, forecast: npt.ArrayLike, quantile: float) -> float:
    """Return the mean pinball loss of a quantile forecast, in the unit of the series."""
    _, error = errors(actual, forecast)
    return float(np.maximum(quantile * error, (quantile - 1) * error).mean())


def coverage(actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> float:
    """Return the share of actual values that lie within their bounds."""
    _, above_low = errors(actual, low)
    _, above_high = errors(actual, high)
    return float(((above_low >= 0) & (above_high <= 0)).mean())


def skill(actual: npt.ArrayLike, forecast: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Return by which share a forecast's mean absolute error is below that of a reference."""
    of_reference = nmae(actual, reference, scale=1.0)
    return 1.0 - nmae(actual, forecast, scale=1.0) / of_reference if of_reference > 0 else 0.0


def errors(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the actual series and actual minus forecast.

    Raises: InvalidInput when the series are empty or differ in length.
    """
    first = np.asarray(actual, dtype=np.float64)
    second = np.asarray(forecast, dtype=np.float64)
    require(first.size > 0, "actual", first.size, "at least one value")
    require(first.shape == second.shape, "forecast", second.shape, f"shape {first.shape}")
    return first, first - second


def norm(actual: FloatArray, scale: float | None) -> float:
    """Return the scale given, or the mean absolute actual value (1 when that is zero)."""
    return scale if scale is not None else float(np.abs(actual).mean()) or 1.0
