"""What a grid operator can do about a violation: the means, how far each goes, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.dstatcom.rating import Rating
from behaviours.decisions.grid.traffic_light import Strain, Thresholds

__all__ = [
    "Compensation",
    "Lever",
    "Limits",
    "OperatingPoint",
    "Stage",
    "one_site",
    "scaled_to_head",
    "shared_by_all",
]

Array = NDArray[np.float64]
Phasors = NDArray[np.complex128]

EUR_PER_KVARH = 0.001
"""What a kvar given, or a kW moved between phases, for an hour is taken to cost: the converter's losses."""


class Stage(IntEnum):
    """The order in which means are put to work; each only for what those before cannot remove (SPEC 4.10)."""

    DSTATCOM = 0
    OWN_ASSETS = 1
    FLEXIBILITY = 2
    DIRECT_CONTROL = 3


@dataclass(frozen=True)
class Limits:
    """What a feeder must keep: loading over rating, voltages in p.u., unbalance as a ratio."""

    loading: float = 1.0
    low_pu: float = 0.90
    high_pu: float = 1.10
    unbalance: float = 0.02

    def excess(self, strain: Strain) -> float:
        """Return by how much the worst criterion is beyond its limit, as a ratio; 0 where none is."""
        return max(
            0.0,
            strain.loading - self.loading,
            self.low_pu - strain.voltage_min_pu,
            strain.voltage_max_pu - self.high_pu,
            strain.unbalance - self.unbalance,
        )

    @classmethod
    def red(cls, thresholds: Thresholds, loading: float | None = None) -> "Limits":
        """Return the limits from which on the traffic light is red, with a loading of one's own if given."""
        return cls(
            thresholds.loading_red if loading is None else loading,
            thresholds.low_red_pu,
            thresholds.high_red_pu,
            thresholds.unbalance_red,
        )

    @classmethod
    def relieved(cls, thresholds: Thresholds) -> "Limits":
        """Return the limits at which an emergency is over: loading is yellow, the rest clear of red."""
        calm = thresholds.with_margin()
        return cls(thresholds.loading_yellow, calm.low_red_pu, calm.high_red_pu, calm.unbalance_red)


@dataclass(frozen=True)
class OperatingPoint:
    """What is drawn at one instant, consumption and inductive reactive power positive."""

    power_w: Array
    """(sites, 3)"""
    reactive_var: Array
    """(sites, 3)"""
    compensation_va: Phasors
    """(D-STATCOMs, 3)"""


@dataclass(frozen=True)
class Compensation:
    """A D-STATCOM that may be set anew: its place among the network's units, and what it can carry."""

    unit: int
    rating: Rating
    eur_per_kvarh: float = EUR_PER_KVARH


@dataclass(frozen=True)
class Lever:
    """Power that can be changed, of one asset or of many together.

    `down_w` (at most 0) and `up_w` (at least 0) are the greatest changes of what is drawn; reactive power can
    change by `reactive_max_var` either way. An inverter has a rating that its present power counts towards.
    """

    name: str
    stage: Stage
    pattern: Array
    """(sites, 3): what is drawn more where, for each W of the change; it sums to 1"""
    down_w: float
    up_w: float
    eur_per_kwh: float
    reactive_max_var: float = 0.0
    eur_per_kvarh: float = EUR_PER_KVARH
    reactive_share: float = 0.0
    """var that go along with each W of the change"""
    rated_va: float | None = None
    power_w: float = 0.0
    """drawn by the asset at present, of which only the rating depends"""


def one_site(sites: int, site: int, shares: Sequence[float]) -> Array:
    """Return the pattern of an asset at one site, by the shares (3) of its phases."""
    pattern = np.zeros((sites, 3))
    pattern[site] = shares
    return pattern


def shared_by_all(power_w: Array, *, giving: bool = False) -> Array:
    """Return the pattern of all who draw (or give) changing in proportion, from what is drawn (sites, 3).

    Nothing at all where nobody draws (gives).
    """
    part = np.maximum(-power_w if giving else power_w, 0.0)
    total = part.sum()
    return np.asarray(part / total if total > 0 else np.zeros_like(part))


def scaled_to_head(point: OperatingPoint, head_w: Array) -> OperatingPoint:
    """Return an operating point with the shape of an expected one and the powers (3) measured at the head.

    A phase whose expected power has another sign than the measured one is shifted instead, all sites alike.
    """
    expected_w = point.power_w.sum(axis=0)
    fits = head_w * expected_w > 0
    factor = np.where(fits, head_w / np.where(fits, expected_w, 1.0), 1.0)
    shift_w = np.where(fits, 0.0, head_w - expected_w) / len(point.power_w)
    return OperatingPoint(
        point.power_w * factor + shift_w, point.reactive_var * factor, point.compensation_va
    )
