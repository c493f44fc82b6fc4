"""What a D-STATCOM aims at: even phases (voltage unbalance), a small neutral current, or a good voltage."""

import numpy as np

from behaviours.decisions.dstatcom.least_neutral import least_neutral_va
from behaviours.decisions.dstatcom.rating import NOMINAL_V, Complex, Priority, Rating, limited
from ontology.grid import DstatcomObjective

__all__ = [
    "balancing_va",
    "compensating_va",
    "supporting_va",
]

DEADBAND_PU = 0.02
FULL_PU = 0.08


def compensating_va(
    objective: DstatcomObjective,
    load_va: Complex,
    voltage_v: Complex,
    rating: Rating,
    priority: Priority = Priority.ACTIVE,
) -> Complex:
    """Return the powers (3,) that serve an objective best within the rating.

    Args:
        objective: what to make small.
        load_va: power of each phase without the unit, where the objective is measured.
        voltage_v: phasors there.
        rating: what the unit can carry.
        priority: what a leg that is asked for too much keeps.
    """
    match objective:
        case DstatcomObjective.UNBALANCE:
            wanted = balancing_va(load_va)
        case DstatcomObjective.NEUTRAL:
            wanted = least_neutral_va(load_va, voltage_v, rating)
        case DstatcomObjective.VOLTAGE:
            wanted = supporting_va(voltage_v, rating)
    return limited(rating, wanted, voltage_v, priority)


def balancing_va(load_va: Complex, gain: float = 1.0) -> Complex:
    """Return the power to take from each phase so that their loads become alike; it sums to 0.

    Source: SPEC 4.11 (balance law, p* = -g (P - mean P)); reactive power likewise, as far as legs have room.
    """
    return np.asarray(-gain * (load_va - np.mean(load_va)), dtype=np.complex128)


def supporting_va(voltage_v: Complex, rating: Rating, reference_pu: float = 1.0) -> Complex:
    """Return the reactive power of each phase: negative (capacitive) where the voltage is low.

    Nothing within 2 % of the reference, all that a leg has from 8 % on, linear between.

    Source: SPEC 4.11 (volt law).
    """
    shares = [droop(float(each) / NOMINAL_V - reference_pu) for each in np.abs(voltage_v)]
    return 1j * rating.leg_va * np.array(shares)


def droop(deviation_pu: float) -> float:
    """Return the share of the rating for a deviation of voltage, -1 to 1."""
    beyond = max(0.0, abs(deviation_pu) - DEADBAND_PU) / (FULL_PU - DEADBAND_PU)
    return min(1.0, beyond) * (1 if deviation_pu > 0 else -1)
