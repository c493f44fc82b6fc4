"""What a charging plan is made of: demands of sessions, terms of the site, steps of time, and the plan."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec
import numpy as np

from behaviours.decisions.series import FloatArray, IntArray

__all__ = ["ChargingDemand", "ChargingPlan", "Objective", "SiteTerms", "averaged", "plan_steps"]

SECONDS_AN_HOUR = 3600.0
FINENESS = ((1800, 300), (3 * 3600, 900), (6 * 3600, 1800), (10**9, 3600))
"""Until how many seconds ahead steps end at multiples of how many seconds."""


class Objective(StrEnum):
    """What a plan is for, once the requests are served."""

    COST = "cost"
    PEAK = "peak"


class ChargingDemand(NamedTuple):
    """What a session still needs (Wh) until its departure (epoch seconds), and what it may do (W).

    `spare_wh` is what may be taken from the vehicle now without going below its driver's minimum,
    `regain_w` the power by which it can count on regaining what it gave back, `priority` weighs its
    shortfall, `phases` are those it is connected to (`A`, `B`, `C` or several).
    """

    session_id: str
    remaining_wh: float
    departure_s: int
    power_max_w: float
    discharge_max_w: float = 0.0
    regain_w: float = float("inf")
    spare_wh: float = 0.0
    priority: float = 1.0
    phases: str = "ABC"


class SiteTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The site by step of the plan: limits and loads in W, prices in currency per kWh.

    `starts_s` are the starts of the steps and the end of the last. `base_w` is what the site consumes
    besides, `expected_w` what sessions that are still to come are expected to want, `reserved_w` what they
    may want on a busy day: plans leave that free as far as requests allow. `peak_price_per_kw` is what each
    kW above the highest power observed so far costs. Phases have limits where `phase_max_w` names them.
    `power_min_w` is negative where the site may feed in; `at_least_w` is what the site has been asked to
    draw, as far as it can; `round_trip` is the share of a Wh charged that can be given back.
    """

    starts_s: IntArray
    power_max_w: FloatArray
    base_w: FloatArray
    expected_w: FloatArray
    reserved_w: FloatArray
    charge_price_per_kwh: FloatArray
    discharge_price_per_kwh: FloatArray
    power_min_w: float = 0.0
    at_least_w: FloatArray | None = None
    peak_price_per_kw: float = 0.0
    observed_peak_w: float = 0.0
    phase_max_w: dict[str, float] = {}
    round_trip: float = 1.0

    @property
    def hours(self) -> FloatArray:
        """Length of each step."""
        lengths: FloatArray = np.diff(self.starts_s) / SECONDS_AN_HOUR
        return lengths


class ChargingPlan(msgspec.Struct, frozen=True):
    """Powers in W by session and step while the session lasts, and what each will be missing in Wh."""

    starts_s: IntArray
    power_w: dict[str, FloatArray]
    shortfall_wh: dict[str, float]

    def total_w(self) -> FloatArray:
        """Return the power of all sessions together."""
        total = np.zeros(len(self.starts_s) - 1)
        for power_w in self.power_w.values():
            total = total + power_w
        return total


def plan_steps(
    now_s: int, departures_s: Iterable[int], step_s: int = 300, *, extra_s: Iterable[int] = ()
) -> IntArray:
    """Return the bounds of a plan's steps: fine at first, coarser later, one at each departure.

    Bounds are multiples of the step from the first on; departures are rounded down to them, so that no
    step promises power to a vehicle after it has left.

    Args:
        now_s: start of the first step in epoch seconds.
        departures_s: when sessions end; the last ends the plan.
        step_s: length of the first steps in seconds.
        extra_s: when limits begin and end.
    """
    departures = [each for each in departures_s if each > now_s]
    end_s = max([now_s + step_s, *departures])
    bounds, at_s = {now_s}, now_s
    while at_s < end_s:
        size = max(step_s, next(size for until, size in FINENESS if at_s - now_s < until))
        at_s = (at_s // size + 1) * size
        bounds.add(at_s)
    bounds |= {each // step_s * step_s for each in departures if each // step_s * step_s > now_s}
    bounds |= {each for each in extra_s if now_s < each < end_s}
    return np.array(sorted(bounds))


def averaged(
    values: Sequence[float] | FloatArray, values_start_s: int, values_step_s: int, starts_s: IntArray
) -> FloatArray:
    """Return the means of a series over other steps; its ends are prolonged.

    Args:
        values: one value for each of equal steps, at least one.
        values_start_s: start of the first in epoch seconds.
        values_step_s: length of these steps in seconds.
        starts_s: bounds of the steps that are asked for.
    """
    series = np.asarray(values, dtype=np.float64)
    position = (starts_s - values_start_s) / values_step_s
    integral = np.concatenate([[0.0], series.cumsum()])
    inside = np.interp(position, np.arange(len(series) + 1), integral)
    inside += np.minimum(position, 0.0) * series[0]
    inside += np.maximum(position - len(series), 0.0) * series[-1]
    means: FloatArray = np.diff(inside) / np.diff(position)
    return means
