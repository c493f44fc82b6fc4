"""Pseudo-measurements: what unmetered sites are taken to draw, phase by phase, and how wrong that may be.

The best that is known counts: the meter reading of the interval, else the site's own forecast, else the
standard profile of a household. Deviations are standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.node_readings import BUSBAR, LEAST_W, NodeReadings
from behaviours.decisions.grid.power_flow import over_phases, own_phase

__all__ = [
    "REACTIVE_SURPRISE",
    "Expectation",
    "ExpectedLoads",
    "expected_loads",
    "from_forecast",
    "from_meter",
    "from_profile",
    "of_minutes",
]

Array = NDArray[np.float64]

HOUSEHOLD_W = 400.0
"""What a household draws on average, 3 500 kWh a year."""
SHAPE = (
    *(0.73, 0.63, 0.59, 0.58, 0.60, 0.67, 0.82, 0.92, 0.95, 0.98, 1.01, 1.10),
    *(1.12, 1.08, 1.04, 1.04, 1.13, 1.31, 1.47, 1.50, 1.42, 1.29, 1.14, 0.91),
)
"""Of a household's day by local hours, its mean is 1 (BDEW H25, mean of a year)."""
HOUSEHOLD_DEVIATION_W = 700.0
"""By which a household's quarter of an hour differs from it, with a heat pump or car here and there."""
FORECAST_DEVIATION_W, FORECAST_SHARE = 300.0, 0.3
"""Of a forecast without quantiles: some W, and a share of its value."""
METER_SHARE = 0.01
REACTIVE_SURPRISE = 0.5
"""var that may come with an unexpected W."""
CONNECTION_W = 43_000.0
"""What a usual connection carries, 3 × 63 A: as much may be drawn where no meter is read."""
MINUTE_DEVIATION_W = 300.0
"""By which a minute differs from its quarter of an hour: kettles and hobs."""
QUANTILES = 2.563
"""Distance between the 10 and 90 % quantiles of a normal distribution, in standard deviations."""
PHASE_DOUBT = 0.1
"""Share of a total of which one does not know on which phase it is."""


@dataclass(frozen=True)
class ExpectedLoads:
    """What sites are expected to draw at T instants, and how wrong that usually is (standard deviations)."""

    power_w: Array
    """(T, sites, 3)"""
    reactive_var: Array
    """(T, sites, 3)"""
    deviation_w: Array
    """(T, sites, 3)"""
    deviation_var: Array
    """(T, sites, 3)"""
    surprise_w: Array
    """(T, sites, 3): how much else sites could draw against all expectations. It does not move the estimate,
    but a meter that tells of an evening that nobody expected must not be taken for broken"""
    compensation_va: NDArray[np.complex128] | None = None
    """What D-STATCOMs say that they draw, (T, units, 3); nothing by default."""

    def with_meters(self, network: Network, meters: Sequence[NodeReadings]) -> "ExpectedLoads":
        """Return expectations in which the sites of metered nodes draw together what was measured there."""
        power, reactive = self.power_w.copy(), self.reactive_var.copy()
        surprise_w, deviation_w = self.surprise_w.copy(), np.maximum(self.deviation_w, LEAST_W)
        deviation_var = np.maximum(self.deviation_var, LEAST_W)
        for meter in meters:
            behind, known = np.flatnonzero(network.site_node == meter.node), np.flatnonzero(meter.has_power)
            if meter.node == BUSBAR or not len(behind) or not len(known):
                continue
            errors = meter.power_deviations()
            at = np.ix_(known, behind)
            surprise_w[at] = 0.0
            _share_out(power, deviation_w, at, meter.power_w[known], errors[0][known])
            _share_out(reactive, deviation_var, at, meter.reactive_var[known], errors[1][known])
        return replace(
            self,
            power_w=power,
            reactive_var=reactive,
            deviation_w=deviation_w,
            deviation_var=deviation_var,
            surprise_w=surprise_w,
        )

    def widened(self, misfit: Array) -> "ExpectedLoads":
        """Return expectations that were further off than usual, less sure by that and up to all surprises.

        Else a street of sites, each a little sure of itself, would outvote the transformer's meter.

        Args:
            misfit: (T,), squares over what is usual.
        """
        factor = np.sqrt(np.maximum(1.0, misfit))[:, None, None]
        most_w = np.hypot(self.deviation_w, self.surprise_w)
        most_var = np.hypot(self.deviation_var, REACTIVE_SURPRISE * self.surprise_w)
        return replace(
            self,
            deviation_w=np.minimum(factor * self.deviation_w, most_w),
            deviation_var=np.minimum(factor * self.deviation_var, most_var),
        )


@dataclass(frozen=True)
class Expectation:
    """What sites draw in total and how wrong that may be; all (T, sites) or (sites,) in W."""

    net_w: Array
    deviation_w: Array
    surprise_w: Array
    """How much else they could draw against all expectations"""

    def of(self, sites: slice) -> "Expectation":
        """Return the same of some sites only."""
        return Expectation(self.net_w[..., sites], self.deviation_w[..., sites], self.surprise_w[..., sites])

    def where(self, is_known: NDArray[np.bool_], other: "Expectation") -> "Expectation":
        """Return this where it is known, and another elsewhere."""
        return Expectation(
            np.where(is_known, self.net_w, other.net_w),
            np.where(is_known, self.deviation_w, other.deviation_w),
            np.where(is_known, self.surprise_w, other.surprise_w),
        )

    def repeated(self, instants: int) -> "Expectation":
        """Return the same of one instant for many, (instants, sites)."""
        once = (self.net_w, self.deviation_w, self.surprise_w)
        return Expectation(*(np.tile(each, (instants, 1)) for each in once))


def from_meter(net_w: Array) -> Expectation:
    """Return what meter readings of the same interval say: nearly the truth."""
    return Expectation(net_w, METER_SHARE * np.abs(net_w), np.zeros_like(net_w))


def from_forecast(net_w: Array, low_w: Array, high_w: Array) -> Expectation:
    """Return what forecasts say, with 10 and 90 % quantiles that are equal where there are none."""
    spread = (high_w - low_w) / QUANTILES
    usual = FORECAST_DEVIATION_W + FORECAST_SHARE * np.abs(net_w)
    return Expectation(net_w, np.where(spread > 0, spread, usual), np.full_like(net_w, CONNECTION_W))


def from_profile(local_hour: float, sites: int) -> Expectation:
    """Return what households of the standard profile draw at a local hour of the day, (sites,)."""
    share = SHAPE[int(local_hour) % 24]
    net_w, deviation_w = np.full(sites, HOUSEHOLD_W * share), np.full(sites, HOUSEHOLD_DEVIATION_W)
    return Expectation(net_w, deviation_w, np.full(sites, CONNECTION_W))


def of_minutes(quarter: Expectation) -> Expectation:
    """Return what a minute of a quarter of an hour is expected to be: the same, less surely."""
    deviation_w = np.hypot(quarter.deviation_w, MINUTE_DEVIATION_W)
    return Expectation(quarter.net_w, deviation_w, np.full_like(quarter.net_w, CONNECTION_W))


def expected_loads(
    expectation: Expectation,
    site_phase: NDArray[np.int64],
    reactive_share: float,
    compensation_va: NDArray[np.complex128] | None = None,
    three_phase_w: Array | None = None,
) -> ExpectedLoads:
    """Return the pseudo-measurements of state estimation, as (T, sites, 3).

    The deviation of a total is on the phases of the site; a share of the total may be on any phase.

    Args:
        expectation: totals of sites, (T, sites) in W.
        site_phase: 0, 1, 2 or 3 for all three, by site.
        reactive_share: var that a consumed W brings with it; how much is known as badly as it is large.
        compensation_va: what D-STATCOMs draw, (T, units, 3).
        three_phase_w: what each site's three-phase equipment draws at least and at most, (sites, 2).
    """
    power_w = over_phases(expectation.net_w, site_phase, three_phase_w)
    reactive_var = np.maximum(power_w, 0.0) * reactive_share
    shares = own_phase(site_phase)
    own_w = expectation.deviation_w[..., None] * np.where(site_phase == 3, 3**-0.5, shares.T).T
    deviation_w = np.hypot(own_w, PHASE_DOUBT * np.abs(expectation.net_w)[..., None])
    deviation_var = reactive_share * (deviation_w + np.abs(power_w))
    surprise_w = expectation.surprise_w[..., None] / 3 * np.ones(3)
    return ExpectedLoads(power_w, reactive_var, deviation_w, deviation_var, surprise_w, compensation_va)


def _share_out(values: Array, deviations: Array, at: tuple[Any, ...], sums: Array, errors: Array) -> None:
    """Let values of several sites have a known sum; who was known worst differs most from before.

    Args:
        values: (T, sites, 3), changed in place, as are their deviations.
        deviations: (T, sites, 3).
        at: which instants and sites.
        sums: (instants, 3).
        errors: deviations of the sums, (instants, 3).
    """
    variance = deviations[at] ** 2
    share = variance / variance.sum(axis=1, keepdims=True)
    values[at] += share * (sums - values[at].sum(axis=1))[:, None]
    deviations[at] = np.broadcast_to(errors[:, None] / variance.shape[1] ** 0.5, variance.shape)
