"""What a four-leg converter can carry: three legs of a third of the rating each, and a neutral leg.

Powers of the three phases are complex arrays `*_va` (3,): W drawn plus j times var, inductive positive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ontology.errors import InvalidInput, problem

__all__ = ["Complex", "Priority", "Rating", "limited", "neutral_current_a", "phase_voltages", "rating_of"]

Complex = NDArray[np.complex128]

PHASES = 3
ROUNDING = 1e-9
NOMINAL_V = 400 / sqrt(3)
NEUTRAL_LEGS = 2.0
"""Rated current of the neutral leg over that of a phase leg, where nothing else is said."""
STANDBY_LOSS, LOAD_LOSS = 0.002, 0.007
"""Losses over rating: whenever the converter runs, and what full load adds (silicon carbide, 99 %)."""


class Priority(StrEnum):
    """What a leg that is asked for too much keeps."""

    ACTIVE = "active"
    REACTIVE = "reactive"


@dataclass(frozen=True)
class Rating:
    """Limits of a unit: apparent power of all three legs together in VA, neutral current in A."""

    rated_va: float
    neutral_a: float

    @property
    def leg_va(self) -> float:
        """What a leg carries beside its part of the losses, at most."""
        return self.rated_va / PHASES * (1 - STANDBY_LOSS - LOAD_LOSS)

    def losses_w(self, power_va: Complex) -> float:
        """Return what the running converter itself consumes, in W: constant and quadratic in the load."""
        load = float(np.mean(np.abs(power_va) ** 2)) / (self.rated_va / PHASES) ** 2
        return self.rated_va * (STANDBY_LOSS + LOAD_LOSS * load)


def rating_of(rated_va: float, neutral_a: float | None = None) -> Rating:
    """Return a unit's limits; a neutral leg of which nothing is known carries twice a phase leg's current.

    Raises: InvalidInput when a rating is not positive.
    """
    if neutral_a is None:
        neutral_a = NEUTRAL_LEGS * rated_va / PHASES / NOMINAL_V
    problems = [
        problem(name, value, "must be positive")
        for name, value in (("rated_va", rated_va), ("neutral_a", neutral_a))
        if not value > 0
    ]
    if problems:
        raise InvalidInput(problems)
    return Rating(rated_va, neutral_a)


def phase_voltages(magnitude_v: ArrayLike = NOMINAL_V) -> Complex:
    """Return phasors to neutral of given magnitudes in V, each 120 degrees behind the one before."""
    turned = np.exp(-2j * np.pi / PHASES * np.arange(PHASES))
    return np.asarray(magnitude_v * turned, dtype=np.complex128)


def neutral_current_a(power_va: ArrayLike, voltage_v: Complex) -> float:
    """Return the current that powers drawn from three phases drive through the neutral, in A."""
    return float(abs(np.sum(np.conj(np.asarray(power_va) / voltage_v))))


def limited(
    rating: Rating, wanted_va: Complex, voltage_v: Complex, priority: Priority = Priority.ACTIVE
) -> Complex:
    """Return what the converter can carry of the powers wanted, the active ones shifted to sum 0.

    What has priority gives way only to the rating itself, the other to what is left of each leg and of the
    neutral leg; active power is reduced by one factor in all phases, so that its sum stays 0.

    Source: SPEC 4.11 (saturation with configurable priority).
    """
    active = np.real(wanted_va) - np.mean(np.real(wanted_va))
    reactive = np.imag(wanted_va)
    leg = np.full(PHASES, rating.leg_va)
    if priority is Priority.ACTIVE:
        active = scaled(active, leg)
        reactive = np.clip(reactive, *band(np.sqrt(np.maximum(leg**2 - active**2, 0))))
        kept_va, rest_va = active + 0j, 1j * reactive
    else:
        reactive = np.clip(reactive, *band(leg))
        active = scaled(active, np.sqrt(np.maximum(leg**2 - reactive**2, 0)))
        kept_va, rest_va = 1j * reactive, active + 0j
    return within_neutral(
        np.asarray(kept_va, np.complex128), np.asarray(rest_va, np.complex128), voltage_v, rating.neutral_a
    )


def within_neutral(kept_va: Complex, rest_va: Complex, voltage_v: Complex, most_a: float) -> Complex:
    """Return what is kept and as much of the rest, 0 to 1, as the neutral leg carries.

    Where no share of the rest is enough all is scaled, with the rest if that relieves the neutral leg.
    """
    kept, rest = (complex(np.sum(np.conj(each / voltage_v))) for each in (kept_va, rest_va))
    if abs(kept + rest) <= most_a * (1 + ROUNDING):
        return kept_va + rest_va
    # |kept + share rest|² = most², a parabola in the share; its larger root is the most that fits
    square, linear, constant = abs(rest) ** 2, (kept.conjugate() * rest).real, abs(kept) ** 2 - most_a**2
    inside = linear**2 - square * constant
    if square > 0 and inside >= 0:
        share = (-linear + sqrt(inside)) / square
        if 0 <= share <= 1:
            return kept_va + share * rest_va
    if abs(kept + rest) < abs(kept):
        return np.asarray((kept_va + rest_va) * most_a / abs(kept + rest))
    return np.asarray(kept_va * min(1.0, most_a / abs(kept)))


def scaled(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values reduced by one factor into plus and minus their limits."""
    excess = np.abs(values) > limits
    if not excess.any():
        return values
    return values * float(np.min(limits[excess] / np.abs(values[excess])))


def band(limits: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    """Return lower and upper limits."""
    return -limits, limits
