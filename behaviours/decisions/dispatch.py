"""Who contributes what when an aggregator's order or limit is divided among its members."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from ontology.base import require

__all__ = ["MemberRange", "disaggregate", "divide", "limits_of_members", "missing_w"]


class MemberRange(NamedTuple):
    """How far a member can deviate from its plan, in W (consumption positive), and what a kWh of it costs."""

    member: str
    least_w: int
    most_w: int
    cost_ticks_per_kwh: int = 0


def disaggregate(ordered_w: int, members: Iterable[MemberRange]) -> dict[str, int]:
    """Divide an ordered deviation: cheapest members first, equally cheap ones in proportion to their room.

    The shares are whole watts, never leave a member's range and sum exactly to the order, or to all that
    the members can do.

    Args:
        ordered_w: deviation from the plan in W; positive consumes more.
        members: what each member can do; ranges contain 0.

    Raises: InvalidInput when a range does not contain 0.
    Source: SPEC 4.9 (DER Dispatch: merit order, then proportional).
    """
    able = sorted(members, key=lambda each: (each.cost_ticks_per_kwh, each.member))
    for each in able:
        require(
            each.least_w <= 0 <= each.most_w, each.member, (each.least_w, each.most_w), "a range around 0"
        )
    left = abs(ordered_w)
    sign = 1 if ordered_w >= 0 else -1
    shares = {each.member: 0 for each in able}
    for _, group in groupby(able, key=lambda each: each.cost_ticks_per_kwh):
        equals = list(group)
        room = [each.most_w if sign > 0 else -each.least_w for each in equals]
        taken = min(left, sum(room))
        for each, share in zip(equals, divide(taken, room), strict=True):
            shares[each.member] = sign * share
        left -= taken
        if not left:
            break
    return shares


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number in proportion to weights; the parts are whole and sum to it exactly.

    No part exceeds its weight as long as the total does not exceed their sum. Largest remainders are
    rounded up, the earlier of equal ones first.

    Raises: InvalidInput when a weight or the total is negative, or a total meets no weight.
    """
    whole = sum(weights)
    require(total >= 0 and all(weight >= 0 for weight in weights), "weights", total, "nothing negative")
    require(whole > 0 or total == 0, "weights", whole, "a positive sum")
    if not whole:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


def limits_of_members(
    limit_w: int, planned_w: Mapping[str, int], members: Iterable[MemberRange]
) -> dict[str, int]:
    """Return how much each member may import so that together they keep a limit, as far as they can.

    Args:
        limit_w: most that the members may import together.
        planned_w: what each member plans to import (export negative).
        members: how far each can deviate.
    """
    excess = max(0, sum(planned_w.values()) - limit_w)
    shares = disaggregate(-excess, members)
    return {member: planned + shares.get(member, 0) for member, planned in planned_w.items()}


def missing_w(ordered_w: int, shares: Mapping[str, int]) -> int:
    """Return the part of an order that nobody could take."""
    return ordered_w - sum(shares.values())
