"""How the D-STATCOMs of one feeder share one objective: one controller, whose answer is split by rating.

Units that each react to the same measurement would each remove the whole imbalance, and swing. Here their
sum is one controlled quantity, and what they really give, not what they were told, is where the next step
starts: a unit at its limit winds nothing up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from behaviours.decisions.dstatcom.laws import compensating_va
from behaviours.decisions.dstatcom.rating import Complex, Priority, Rating
from ontology.base import require
from ontology.grid import DstatcomObjective

__all__ = ["Unit", "corrected", "fleet", "planned", "whole"]

GAIN = 0.8
"""Share of the remaining way that one correction goes; less than 1 bears a wrong model without overshoot."""


@dataclass(frozen=True)
class Unit:
    """A D-STATCOM as its operator knows it."""

    asset_id: str
    segment_id: str
    rating: Rating
    priority: Priority = Priority.ACTIVE


def fleet(units: Sequence[Unit]) -> Rating:
    """Return the rating of units that share everything by their ratings; the tightest neutral leg binds.

    Raises: InvalidInput when there are no units.
    """
    require(len(units) > 0, "units", len(units), "at least one")
    total_va = sum(unit.rating.rated_va for unit in units)
    return Rating(total_va, min(unit.rating.neutral_a * total_va / unit.rating.rated_va for unit in units))


def planned(
    objective: DstatcomObjective, load_va: Complex, voltage_v: Complex, units: Sequence[Unit]
) -> list[Complex]:
    """Return the powers (3,) of each unit that serve an objective for a known load.

    Args:
        objective: what to make small.
        load_va: power of each phase at the head of the feeder without the units.
        voltage_v: phasors there.
        units: all that take part.
    """
    together = fleet(units)
    total = compensating_va(objective, load_va, voltage_v, together, _priority(units))
    return [total * unit.rating.rated_va / together.rated_va for unit in units]


def corrected(
    objective: DstatcomObjective,
    head_va: Complex,
    voltage_v: Complex,
    units: Sequence[Unit],
    given_va: Sequence[Complex],
    gain: float = GAIN,
) -> list[Complex]:
    """Return the next powers (3,) of each unit after a measurement at the head of the feeder.

    Args:
        objective: what to make small.
        head_va: measured power of each phase, the units at work.
        voltage_v: phasors there.
        units: all that take part.
        given_va: what each of them drew as that was measured.
        gain: share of the remaining way to go, above 0, at most 1.
    """
    require(0 < gain <= 1, "gain", gain, "above 0, at most 1")
    load_va = head_va - np.sum(given_va, axis=0)
    targets = planned(objective, load_va, voltage_v, units)
    # what is moved between phases goes on from there; what the converter consumes is not commanded
    moved_va = [given - np.real(given).mean() for given in given_va]
    return [moved + gain * (target - moved) for moved, target in zip(moved_va, targets, strict=True)]


def whole(power_va: Complex) -> tuple[list[int], list[int]]:
    """Return whole W and var of powers that sum to 0, each phase towards 0; the W sum to exactly 0."""
    power = [int(each) for each in np.real(power_va)]
    largest = max(range(len(power)), key=lambda k: abs(power[k]))
    # the other two have the opposite sign, so that the phase with most power can only get smaller by this
    power[largest] = -sum(power[:largest] + power[largest + 1 :])
    return power, [int(each) for each in np.imag(power_va)]


def _priority(units: Sequence[Unit]) -> Priority:
    """Return what all units keep: reactive power only where every one of them does."""
    reactive = all(unit.priority is Priority.REACTIVE for unit in units)
    return Priority.REACTIVE if reactive else Priority.ACTIVE
