"""What cycles cost a battery in life: depths by rainflow counting, each worth its share of all it has."""

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["cycle_depths", "equivalent_cycles", "life_used", "wear_of"]

CYCLES_AT_FULL_DEPTH = 4_000.0
DEPTH_EXPONENT = 1.3
"""How gentle shallow cycles are: their number until end of life falls with depth to this power."""


def cycle_depths(state_of_charge: Sequence[float]) -> list[tuple[float, float]]:
    """Return the cycles in a course of states of charge: depth (0 to 1), and 1 for a whole or 0.5 for a half.

    Args:
        state_of_charge: values of 0 to 1 in the order of time.

    Source: ASTM E1049-85, 5.4.4 (rainflow counting).
    """
    found: list[tuple[float, float]] = []
    points: list[float] = []
    for point in turning_points(state_of_charge):
        points.append(point)
        while len(points) >= 3 and abs(points[-1] - points[-2]) >= abs(points[-2] - points[-3]):
            depth = abs(points[-2] - points[-3])
            if len(points) == 3:
                found.append((depth, 0.5))
                del points[0]
            else:
                found.append((depth, 1.0))
                del points[-3:-1]
    found += [(abs(after - before), 0.5) for before, after in pairwise(points)]
    return found


def turning_points(values: Sequence[float]) -> list[float]:
    """Return where a course turns, with its first and last value."""
    points: list[float] = []
    for value in values:
        if points and value == points[-1]:
            continue
        if len(points) >= 2 and (points[-1] - points[-2]) * (value - points[-1]) > 0:
            points[-1] = value
        else:
            points.append(value)
    return points


def equivalent_cycles(state_of_charge: Sequence[float]) -> float:
    """Return the number of full cycles that would move as much energy."""
    return sum(depth * count for depth, count in cycle_depths(state_of_charge))


def life_used(
    state_of_charge: Sequence[float],
    cycles_at_full_depth: float = CYCLES_AT_FULL_DEPTH,
    depth_exponent: float = DEPTH_EXPONENT,
) -> float:
    """Return the share of a battery's cycle life that a course of states of charge uses.

    Args:
        state_of_charge: values of 0 to 1 in the order of time.
        cycles_at_full_depth: full cycles until its end of life.
        depth_exponent: of the depth, above 1 where shallow cycles are gentler.

    Source: Palmgren and Miner's rule over a Wöhler curve of the cycle depth.
    """
    used: float = sum(count * depth**depth_exponent for depth, count in cycle_depths(state_of_charge))
    return used / cycles_at_full_depth


def wear_of(
    price_per_kwh: float,
    depth: float = 1.0,
    cycles_at_full_depth: float = CYCLES_AT_FULL_DEPTH,
    depth_exponent: float = DEPTH_EXPONENT,
) -> float:
    """Return what a kWh given costs a battery in life, in the currency of its price.

    Args:
        price_per_kwh: of a new battery, by capacity.
        depth: of its usual cycles, 0 to 1.
        cycles_at_full_depth: full cycles until its end of life.
        depth_exponent: as for `life_used`.
    """
    share: float = depth ** (depth_exponent - 1)
    return price_per_kwh * share / cycles_at_full_depth
