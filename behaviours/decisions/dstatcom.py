"""How a four-leg D-STATCOM shifts power between phases and supports their voltage."""

from cmath import exp, pi
from collections.abc import Sequence
from math import sqrt

from ontology.base import require

__all__ = ["balancing_power_w", "neutral_current_a", "supporting_reactive_var", "within_rating"]

DEADBAND_PU = 0.02
FULL_PU = 0.08
PHASES = 3
ROUNDING_W = 2


def balancing_power_w(load_w: Sequence[int], rated_va: int, gain: float = 1.0) -> list[int]:
    """Return the power that the unit takes from each phase so that their loads become alike, in W.

    It gives to the loaded phases (negative) what it takes from the others: the sum is exactly 0. Where a
    phase would exceed its third of the rating all are reduced alike.

    Args:
        load_w: power of each phase at the connection, consumption positive.
        rated_va: rating of the whole unit.
        gain: share of the imbalance that is removed, 0 to 1.

    Raises: InvalidInput when there are not three phases.
    Source: SPEC 4.11 (balance law).
    """
    require(len(load_w) == PHASES, "load_w", len(load_w), "3 phases")
    mean = sum(load_w) / PHASES
    wanted = [-gain * (load - mean) for load in load_w]
    limit = max(0, rated_va // PHASES - ROUNDING_W)
    largest = max(abs(power) for power in wanted)
    scale = min(1.0, limit / largest) if largest > 0 else 0.0
    first, second = int(wanted[0] * scale), int(wanted[1] * scale)
    return [first, second, -first - second]


def supporting_reactive_var(
    voltage_pu: Sequence[float], rated_va: int, reference_pu: float = 1.0
) -> list[int]:
    """Return the reactive power of each phase in var: negative (capacitive) where the voltage is low.

    Nothing within 2 % of the reference, a third of the rating from 8 % on, linear between.

    Args:
        voltage_pu: voltage of each phase.
        rated_va: rating of the whole unit.
        reference_pu: voltage to support.

    Source: SPEC 4.11 (volt law).
    """
    limit = rated_va // PHASES
    return [round(limit * droop(voltage - reference_pu)) for voltage in voltage_pu]


def within_rating(
    power_w: Sequence[int], reactive_var: Sequence[int], rated_va: int, *, power_first: bool = True
) -> tuple[list[int], list[int]]:
    """Return power and reactive power reduced so that each phase keeps its third of the rating.

    With power first only reactive power gives way, and power only beyond the rating itself; otherwise
    the other way round, all phases' power by one factor so that its sum stays 0.

    Source: SPEC 4.11 (saturation with configurable priority).
    """
    limit = rated_va // PHASES
    if power_first:
        power = fitted(power_w, [limit] * PHASES)
        reactive = [
            clipped(q, int(sqrt(limit * limit - p * p))) for p, q in zip(power, reactive_var, strict=True)
        ]
    else:
        reactive = [clipped(q, limit) for q in reactive_var]
        power = fitted(power_w, [int(sqrt(limit * limit - q * q)) for q in reactive])
    return power, reactive


def neutral_current_a(power_w: Sequence[float], voltage_v: Sequence[float]) -> float:
    """Return the neutral current of three phases at unity power factor, in A."""
    turned = (
        p / v * exp(-2j * pi * k / PHASES) for k, (p, v) in enumerate(zip(power_w, voltage_v, strict=True))
    )
    return abs(sum(turned))


def droop(deviation_pu: float) -> float:
    """Return the share of the rating for a deviation of voltage, -1 to 1."""
    beyond = max(0.0, abs(deviation_pu) - DEADBAND_PU) / (FULL_PU - DEADBAND_PU)
    return min(1.0, beyond) * (1 if deviation_pu > 0 else -1)


def fitted(power_w: Sequence[int], limits_w: Sequence[int]) -> list[int]:
    """Scale powers by one factor into their limits; whole watts that sum to 0 if they did before."""
    if all(abs(power) <= limit for power, limit in zip(power_w, limits_w, strict=True)):
        return list(power_w)
    inner = [max(0, limit - ROUNDING_W) for limit in limits_w]
    scale = min(limit / abs(power) for power, limit in zip(power_w, inner, strict=True) if power)
    first, second = int(power_w[0] * scale), int(power_w[1] * scale)
    third = -first - second if sum(power_w) == 0 else int(power_w[2] * scale)
    return [first, second, third]


def clipped(value: int, limit: int) -> int:
    """Return a value within plus and minus a limit."""
    return max(-limit, min(limit, value))
