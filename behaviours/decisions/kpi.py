"""Indicators of sites and communities; one that cannot be evaluated is None."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "availability",
    "baseline_error",
    "delivery_ratio",
    "peak_import_w",
    "self_consumption",
    "self_sufficiency",
]


def self_consumption(consumed_wh: npt.ArrayLike, produced_wh: npt.ArrayLike) -> float | None:
    """Return the share of production that was consumed in the same interval (K_SCR, SPEC 2.9).

    Args:
        consumed_wh: consumption of the site or community in each interval, in Wh.
        produced_wh: production in each interval, in Wh.
    """
    return share(shared_wh(consumed_wh, produced_wh), total(produced_wh))


def self_sufficiency(consumed_wh: npt.ArrayLike, produced_wh: npt.ArrayLike) -> float | None:
    """Return the share of consumption that was produced in the same interval (K_SSR, SPEC 2.9)."""
    return share(shared_wh(consumed_wh, produced_wh), total(consumed_wh))


def peak_import_w(net_w: npt.ArrayLike) -> float | None:
    """Return the highest mean import of an interval in W, 0 for a pure exporter (K_PMAX, SPEC 2.9)."""
    net = np.asarray(net_w, dtype=np.float64)
    return max(0.0, float(net.max())) if net.size else None


def delivery_ratio(delivered: npt.ArrayLike, ordered: npt.ArrayLike) -> float | None:
    """Return the share of ordered flexibility that was delivered (K_FDR, SPEC 2.9)."""
    return share(total(delivered), total(ordered))


def baseline_error(actual: npt.ArrayLike, baseline: npt.ArrayLike) -> float | None:
    """Return the absolute deviation from a baseline as a share of it (K_BLE, SPEC 2.9)."""
    expected = np.asarray(baseline, dtype=np.float64)
    deviation = np.abs(np.asarray(actual, dtype=np.float64) - expected)
    return share(float(deviation.sum()), float(np.abs(expected).sum()))


def availability(valid: int, expected: int) -> float | None:
    """Return the share of intervals with a valid reading (K_AVAIL, SPEC 2.9)."""
    return share(valid, expected)


def shared_wh(consumed_wh: npt.ArrayLike, produced_wh: npt.ArrayLike) -> float:
    """Return what was produced and consumed in the same interval."""
    return float(np.minimum(np.asarray(consumed_wh), np.asarray(produced_wh)).sum())


def total(values: npt.ArrayLike) -> float:
    """Return the sum of a series."""
    return float(np.asarray(values, dtype=np.float64).sum())


def share(part: float, whole: float) -> float | None:
    """Return part of a whole, None when there is no whole."""
    return part / whole if whole > 0 else None
