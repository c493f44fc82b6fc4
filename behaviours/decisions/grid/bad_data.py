"""Bad data: readings of meters that contradict the others and what is expected.

They are found by the chi-square test of what all readings differ by, and named by their largest normalised
residual (Abur, Gómez Expósito: Power System State Estimation, chapter 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from behaviours.decisions.grid.node_readings import BUSBAR, NodeReadings, Quantity
from behaviours.decisions.grid.power_flow import FlowResult

__all__ = ["Discarded", "Innovations", "Row", "implausible", "rows_of", "without"]

Array = NDArray[np.float64]

CONFIDENCE = 0.999
"""With which readings that fit are not suspected (chi-square test)."""
SUSPICIOUS = 4.0
"""Normalised residual from which a reading is discarded."""
PLAUSIBLE_PU = (0.5, 1.5)
"""Voltages outside are no voltages of a network that carries load."""
PLAUSIBLE_LOADING = 4.0
"""No phase of a transformer carries more of its rating for a minute."""


@dataclass(frozen=True)
class Discarded:
    """A reading that contradicts the others too much to be one."""

    instant: int
    node: int
    quantity: Quantity
    residual: float
    """Difference from the others over its standard deviation; infinite where the value is impossible"""


@dataclass(frozen=True)
class Row:
    """A channel and phase of a meter: how it differs from what is expected, and its variance, each (T,)."""

    node: int
    quantity: Quantity
    phase: int
    is_reactive: bool
    difference: Array
    variance: Array


class Innovations:
    """What readings say beyond what was expected, ν, and its covariance S = R + H P Hᵀ.

    The least sum of weighted squares of all residuals is νᵀ S⁻¹ ν; the normalised residual of a reading is
    (S⁻¹ν)ᵢ / √(S⁻¹)ᵢᵢ.
    """

    def __init__(self, rows: Sequence[Row], expected: Array) -> None:
        """Take the rows of R and ν, and H P Hᵀ (T, rows, rows)."""
        self._rows = rows
        instants = len(expected)
        difference = np.array([row.difference for row in rows]).reshape(len(rows), instants).T
        known = np.isfinite(difference)
        variance = np.array([row.variance for row in rows]).reshape(len(rows), instants).T
        both = known[:, :, None] & known[:, None, :]
        total = np.where(both, expected, 0.0) + np.eye(len(rows)) * np.where(known, variance, 1.0)[:, None, :]
        inverse = np.linalg.inv(total)
        difference = np.where(known, difference, 0.0)
        weighted = np.einsum("trs,ts->tr", inverse, difference)
        own = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2))
        self._normalised = np.where(known, np.abs(weighted) / own, 0.0)
        self._squares = np.einsum("tr,tr->t", weighted, difference)
        self._freedom = known.sum(axis=1)

    @property
    def misfit(self) -> Array:
        """The sum of squares over its degrees of freedom (T,)."""
        found: Array = self._squares / np.maximum(self._freedom, 1)
        return found

    def suspects(self) -> list[Discarded]:
        """Return the worst reading of each instant at which readings do not fit."""
        if not self._rows:
            return []
        limit = 2 * gammaincinv(np.maximum(self._freedom, 1) / 2, CONFIDENCE)  # quantile of chi-square
        worst = self._normalised.argmax(axis=1)
        largest = self._normalised.max(axis=1)
        wrong = (self._squares > limit) & (largest > SUSPICIOUS)
        return [
            Discarded(int(instant), self._rows[row].node, self._rows[row].quantity, float(largest[instant]))
            for instant in np.flatnonzero(wrong)
            for row in [int(worst[instant])]
        ]


def rows_of(meters: Sequence[NodeReadings], flow: FlowResult) -> list[Row]:
    """Return how meters differ from a flow, a row a channel and phase: voltages, and powers at the busbar."""
    rows = []
    for meter in meters:
        rated_v = flow.phase_voltage_v
        differs_v = meter.voltage_v - flow.voltage_pu[:, meter.node] * rated_v
        variance = np.full_like(differs_v, meter.voltage_deviation_v(rated_v) ** 2)
        rows += [Row(meter.node, "voltage", p, False, differs_v[:, p], variance[:, p]) for p in range(3)]
        if meter.node == BUSBAR:
            differs = (meter.power_w - flow.busbar_w, meter.reactive_var - flow.busbar_var)
            for number, (each, deviation) in enumerate(zip(differs, meter.power_deviations(), strict=True)):
                rows += [
                    Row(BUSBAR, "power", p, bool(number), each[:, p], deviation[:, p] ** 2) for p in range(3)
                ]
    return rows


def implausible(meters: Sequence[NodeReadings], rated_v: float, rated_va: float) -> list[Discarded]:
    """Return the voltages and powers that cannot be, by the rated voltage and the transformer's rating."""
    low, high = (limit * rated_v for limit in PLAUSIBLE_PU)
    most_va = PLAUSIBLE_LOADING * rated_va / 3
    found = []
    for meter in meters:
        wrong: dict[Quantity, NDArray[np.bool_]] = {
            "voltage": (meter.voltage_v < low) | (meter.voltage_v > high),
            "power": np.hypot(meter.power_w, meter.reactive_var) > most_va,
        }
        for quantity, phases in wrong.items():
            instants = np.flatnonzero(phases.any(axis=1)).tolist()
            found += [Discarded(instant, meter.node, quantity, float("inf")) for instant in instants]
    return found


def without(meters: Sequence[NodeReadings], discarded: Sequence[Discarded]) -> list[NodeReadings]:
    """Return what meters say without what is discarded."""
    kept = []
    for meter in meters:
        left = meter
        quantities: tuple[Quantity, ...] = ("voltage", "power")
        for quantity in quantities:
            at = [d.instant for d in discarded if (d.node, d.quantity) == (meter.node, quantity)]
            left = left.without(quantity, at) if at else left
        kept.append(left)
    return kept
