"""The cheapest way through a tube: how one flexible device runs against prices, exactly.

A device takes an amount x_t in every step at a cost that is convex and piecewise linear, and the sum of
its amounts must stay between two bounds after every step. The cheapest cost to have a content c after
step t is then a convex piecewise-linear function too; its slopes are those of the steps so far, merged in
order. Adding a step merges its slopes; a bound cuts slopes off: below the lower bound they are taken, above
the upper bound they are given up. So one ordered list of slopes, cut at both ends, holds the whole dynamic
programme and remembers from which step each piece came. A battery, a vehicle, a building and a tank
differ in their slopes and bounds only.
"""

from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["Piece", "cheapest_path"]

Piece = tuple[float, float]
"""Marginal cost of an amount, and the amount at which it holds."""


def cheapest_path(
    least: Sequence[float],
    pieces: Sequence[Sequence[Piece]],
    content_min: Sequence[float],
    content_max: Sequence[float],
    end_value: float = 0.0,
) -> list[float]:
    """Return the amounts of all steps that cost least while the running sum stays within bounds.

    Where the bounds cannot be kept the amounts come as near as they can.

    Args:
        least: smallest amount of each step (negative when the device may give).
        pieces: what each step may take beyond its least, marginal costs ascending within a step.
        content_min: least running sum after each step.
        content_max: greatest running sum after each step.
        end_value: what a unit left at the end is worth, in the unit of the marginal costs.

    Source: convex dynamic programming by slopes ("slope trick"); optimal for nested bounds.
    """
    taken = list(least)
    costs: list[float] = []
    offers: list[tuple[int, float]] = []
    low = high = 0.0
    rows = zip(least, pieces, content_min, content_max, strict=True)
    for step, (at_least, offered, floor, ceiling) in enumerate(rows):
        if at_least:
            low += at_least
            high += at_least
        for cost, amount in offered:
            if costs and cost >= costs[-1]:
                room = ceiling - high
                if room < amount:
                    if room <= 0:
                        break
                    amount = room
                costs.append(cost)
                offers.append((step, amount))
            else:
                place = bisect_right(costs, cost)
                costs.insert(place, cost)
                offers.insert(place, (step, amount))
            high += amount
        if high > ceiling:
            excess, high = high - ceiling, ceiling
            while costs:
                dearest, amount = offers.pop()
                if amount > excess:
                    offers.append((dearest, amount - excess))
                    break
                excess -= amount
                costs.pop()
            else:
                high += excess
        if low < floor:
            missing, low = floor - low, floor
            while costs:
                cheapest, amount = offers[0]
                if amount > missing:
                    offers[0] = (cheapest, amount - missing)
                    taken[cheapest] += missing
                    break
                missing -= amount
                taken[cheapest] += amount
                del costs[0], offers[0]
            else:
                low -= missing
    for cost, (cheapest, amount) in zip(costs, offers, strict=True):
        if cost >= end_value:
            break
        taken[cheapest] += amount
    return taken
