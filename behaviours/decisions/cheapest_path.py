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
    steps: list[int] = []
    amounts: list[float] = []
    low = high = 0.0
    for step, offered in enumerate(pieces):
        low += least[step]
        high += least[step]
        ceiling = content_max[step]
        for cost, amount in offered:
            if costs and cost >= costs[-1]:
                room = ceiling - high
                if room < amount:
                    if room <= 0:
                        continue
                    amount = room
                costs.append(cost)
                steps.append(step)
                amounts.append(amount)
            else:
                place = bisect_right(costs, cost)
                costs.insert(place, cost)
                steps.insert(place, step)
                amounts.insert(place, amount)
            high += amount
        while high > ceiling and costs:
            excess = high - ceiling
            if amounts[-1] > excess:
                amounts[-1] -= excess
                high = ceiling
            else:
                high -= amounts.pop()
                costs.pop()
                steps.pop()
        missing = content_min[step] - low
        while missing > 0 and costs:
            if amounts[0] > missing:
                amounts[0] -= missing
                taken[steps[0]] += missing
                low += missing
                break
            taken[steps[0]] += amounts[0]
            low += amounts[0]
            missing -= amounts[0]
            del costs[0], steps[0], amounts[0]
    for cost, step, amount in zip(costs, steps, amounts, strict=True):
        if cost >= end_value:
            break
        taken[step] += amount
    return taken
