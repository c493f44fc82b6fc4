"""Indicators of sites and communities (SPEC 2.9); one that cannot be evaluated is None."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "CATALOGUE",
    "Evidence",
    "Kpi",
    "Metric",
    "availability",
    "baseline_error",
    "charging_service",
    "delivery_ratio",
    "drawn_energy_wh",
    "forecast_error",
    "highest",
    "lowest",
    "peak_import_w",
    "response_time_s",
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


def forecast_error(actual: npt.ArrayLike, forecast: npt.ArrayLike) -> float | None:
    """Return the mean absolute error of a forecast as a share of the mean actual value (K_FCE, SPEC 2.9)."""
    real = np.asarray(actual, dtype=np.float64)
    deviation = np.abs(np.asarray(forecast, dtype=np.float64) - real)
    return share(float(deviation.sum()), float(np.abs(real).sum()))


def highest(values: npt.ArrayLike) -> float | None:
    """Return the highest value, such as of an indoor temperature (K_TMAX, SPEC 2.9)."""
    found = np.asarray(values, dtype=np.float64)
    return float(found.max()) if found.size else None


def lowest(values: npt.ArrayLike) -> float | None:
    """Return the lowest value, such as of an indoor temperature (K_TMIN, SPEC 2.9)."""
    found = np.asarray(values, dtype=np.float64)
    return float(found.min()) if found.size else None


def response_time_s(signals_s: npt.ArrayLike, responses_s: npt.ArrayLike) -> float | None:
    """Return the longest time from a demand-response signal to its effect, in s (K_RESP, SPEC 2.9)."""
    return highest(np.asarray(responses_s, dtype=np.float64) - np.asarray(signals_s, dtype=np.float64))


def charging_service(delivered_wh: npt.ArrayLike, requested_wh: npt.ArrayLike) -> float | None:
    """Return the share of the energy that drivers asked for and got (K_EVS, SPEC 2.9)."""
    return share(total(delivered_wh), total(requested_wh))


def drawn_energy_wh(consumed_wh: npt.ArrayLike) -> float | None:
    """Return the energy drawn in a period, in Wh, as prepaid quotas count it (K_ENERGY, SPEC 2.9)."""
    return total(consumed_wh) if np.asarray(consumed_wh).size else None


class Metric(StrEnum):
    """What is measured of a player, for the indicators that need it (D8.1 3.4, SLA Manager)."""

    READINGS = "readings"
    PRODUCTION = "own production"
    BASELINE = "baseline"
    FORECASTS = "forecasts"
    INDOOR = "indoor temperature"
    FLEXIBILITY = "flexibility ordered and delivered"
    RESPONSES = "responses to signals"
    SESSIONS = "charging sessions"


class Evidence(NamedTuple):
    """What indicators of one player and period are computed from; what nobody has is empty.

    A value an interval, but of flexibility one a plant, of responses one a signal, of charging one a
    session. Load and generation are a site's own, behind its meter. What was forecast and what a baseline
    says stand beside the power that came.
    """

    expected: int = 0
    consumed_wh: npt.ArrayLike = ()
    produced_wh: npt.ArrayLike = ()
    net_w: npt.ArrayLike = ()
    load_wh: npt.ArrayLike = ()
    generated_wh: npt.ArrayLike = ()
    ordinary: int = 0
    ordinary_w: npt.ArrayLike = ()
    baseline_w: npt.ArrayLike = ()
    foreseen_w: npt.ArrayLike = ()
    forecast_w: npt.ArrayLike = ()
    indoor_degc: npt.ArrayLike = ()
    ordered_wh: npt.ArrayLike = ()
    delivered_wh: npt.ArrayLike = ()
    signals_s: npt.ArrayLike = ()
    responses_s: npt.ArrayLike = ()
    requested_wh: npt.ArrayLike = ()
    charged_wh: npt.ArrayLike = ()


def readings_share(e: Evidence) -> float:
    """Return how many of the intervals have a valid reading."""
    return availability(np.size(e.net_w), e.expected) or 0.0


def whole(e: Evidence) -> float:
    """Return 1: what happened is all that there is of it."""
    return 1.0


class Kpi(NamedTuple):
    """An indicator of the catalogue: its unit, how it is computed, of what, and how much of that there is."""

    unit: str
    of: Callable[[Evidence], float | None]
    metrics: frozenset[Metric] = frozenset({Metric.READINGS})
    completeness: Callable[[Evidence], float] = readings_share


CATALOGUE: Mapping[str, Kpi] = {
    "K_PMAX": Kpi("W", lambda e: peak_import_w(e.net_w)),
    "K_SCR": Kpi(
        "1",
        lambda e: self_consumption(e.load_wh, e.generated_wh),
        frozenset({Metric.READINGS, Metric.PRODUCTION}),
        lambda e: availability(np.size(e.load_wh), e.expected) or 0.0,
    ),
    "K_SSR": Kpi(
        "1",
        lambda e: self_sufficiency(e.load_wh, e.generated_wh),
        frozenset({Metric.READINGS, Metric.PRODUCTION}),
        lambda e: availability(np.size(e.load_wh), e.expected) or 0.0,
    ),
    "K_TMAX": Kpi(
        "degC",
        lambda e: highest(e.indoor_degc),
        frozenset({Metric.INDOOR}),
        lambda e: availability(np.size(e.indoor_degc), e.expected) or 0.0,
    ),
    "K_TMIN": Kpi(
        "degC",
        lambda e: lowest(e.indoor_degc),
        frozenset({Metric.INDOOR}),
        lambda e: availability(np.size(e.indoor_degc), e.expected) or 0.0,
    ),
    "K_FDR": Kpi(
        "1", lambda e: delivery_ratio(e.delivered_wh, e.ordered_wh), frozenset({Metric.FLEXIBILITY}), whole
    ),
    "K_BLE": Kpi(
        "1",
        lambda e: baseline_error(e.ordinary_w, e.baseline_w),
        frozenset({Metric.READINGS, Metric.BASELINE, Metric.FLEXIBILITY}),
        lambda e: availability(np.size(e.ordinary_w), e.ordinary) or 0.0,
    ),
    "K_FCE": Kpi(
        "1",
        lambda e: forecast_error(e.foreseen_w, e.forecast_w),
        frozenset({Metric.READINGS, Metric.FORECASTS}),
        lambda e: availability(np.size(e.foreseen_w), e.expected) or 0.0,
    ),
    "K_RESP": Kpi(
        "s", lambda e: response_time_s(e.signals_s, e.responses_s), frozenset({Metric.RESPONSES}), whole
    ),
    "K_EVS": Kpi(
        "1", lambda e: charging_service(e.charged_wh, e.requested_wh), frozenset({Metric.SESSIONS}), whole
    ),
    "K_AVAIL": Kpi("1", lambda e: availability(np.size(e.net_w), e.expected), completeness=whole),
    "K_ENERGY": Kpi("Wh", lambda e: drawn_energy_wh(e.consumed_wh)),
}
"""The indicators of SPEC 2.9 by id."""


def shared_wh(consumed_wh: npt.ArrayLike, produced_wh: npt.ArrayLike) -> float:
    """Return what was produced and consumed in the same interval."""
    return float(np.minimum(np.asarray(consumed_wh), np.asarray(produced_wh)).sum())


def total(values: npt.ArrayLike) -> float:
    """Return the sum of a series."""
    return float(np.asarray(values, dtype=np.float64).sum())


def share(part: float, whole: float) -> float | None:
    """Return part of a whole, None when there is no whole."""
    return part / whole if whole > 0 else None
