"""The closed loop of dispatch: what is asked of members next, from what they were asked and what they did.

Who misses what it was asked twice has failed: the others are asked for what it leaves undone, the cheapest
first. What those who work give too much or too little, a proportional-integral term corrects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from behaviours.decisions.dispatch import MemberRange, disaggregate
from ontology.control import Priority

__all__ = ["DispatchOrder", "DispatchState", "Responder", "dispatched", "room_left"]

PROPORTIONAL, INTEGRAL = 0.2, 0.4
"""Gains a cycle: stable with answers one and two cycles late."""
FAILED_CYCLES = 2
TOLERANCE = 0.2
"""Share of what was asked that may be missing, and at least so many W."""
TOLERANCE_W = 100


class Responder(NamedTuple):
    """A member: what it promised, how far it could go beyond and at what cost, and what it does, in W."""

    member: str
    promised_w: int
    least_w: int
    most_w: int
    cost_ticks_per_kwh: int = 0
    delivered_w: int | None = None
    """None where it does not say."""


class DispatchOrder(NamedTuple):
    """A deviation that is to be delivered, and whose will it is."""

    name: str
    power_w: int
    priority: Priority


@dataclass(frozen=True)
class DispatchState:
    """What the loop remembers: what was asked, how often each member has missed it, and the integral term."""

    asked_w: Mapping[str, int] = field(default_factory=dict)
    misses: Mapping[str, int] = field(default_factory=dict)
    integral_w: float = 0.0

    def has_failed(self, member: str) -> bool:
        """Tell whether a member is not counted on."""
        return self.misses.get(member, 0) >= FAILED_CYCLES


def dispatched(
    order_w: int, members: Iterable[Responder], before: DispatchState
) -> tuple[dict[str, int], DispatchState]:
    """Return by how much each member shall go beyond its promise, in W, and what to remember.

    What is asked beyond the promises stays within the members' ranges; those that failed are asked nothing.

    Args:
        order_w: deviation ordered of all together; consumption positive.
        members: who takes part, each with its range beyond its promise, which contains 0.
        before: the state of the cycle before; a new one at first.

    Source: SPEC 4.9 (DER Dispatch: merit order, PI correction, members replaced within two cycles).
    """
    everyone = list(members)
    misses = {each.member: misses_of(each, before) for each in everyone}
    working = [each for each in everyone if misses[each.member] < FAILED_CYCLES]
    undone_w = order_w - sum(each.promised_w for each in working)
    undone_w -= sum(each.delivered_w or 0 for each in everyone if misses[each.member] >= FAILED_CYCLES)
    error_w = sum(shortfall_w(each, before) for each in working if misses[each.member] == 0)
    least_w, most_w = sum(each.least_w for each in working), sum(each.most_w for each in working)
    integral_w = min(most_w, max(least_w, before.integral_w + INTEGRAL * error_w))
    wanted_w = round(undone_w + PROPORTIONAL * error_w + integral_w)
    ranges = [MemberRange(m.member, m.least_w, m.most_w, m.cost_ticks_per_kwh) for m in working]
    beyond_w = dict.fromkeys((each.member for each in everyone), 0) | disaggregate(wanted_w, ranges)
    asked_w = {each.member: each.promised_w + beyond_w[each.member] for each in everyone}
    return beyond_w, DispatchState(asked_w, misses, integral_w)


def misses_of(member: Responder, before: DispatchState) -> int:
    """Return how many cycles in a row a member has missed what it was asked.

    A member that failed is back as soon as it keeps its own promise.
    """
    asked_w = before.asked_w.get(member.member)
    if asked_w is None:
        return 0
    if member.delivered_w is not None and abs(asked_w - member.delivered_w) <= tolerated_w(asked_w):
        return 0
    return min(FAILED_CYCLES, before.misses.get(member.member, 0) + 1)


def tolerated_w(asked_w: int) -> float:
    """Return by how much a delivery may differ from what was asked."""
    return max(TOLERANCE_W, TOLERANCE * abs(asked_w))


def shortfall_w(member: Responder, before: DispatchState) -> int:
    """Return by how much a member does less than it was asked, in W; nothing where that is not known."""
    if member.delivered_w is None or member.member not in before.asked_w:
        return 0
    return before.asked_w[member.member] - member.delivered_w


def room_left(members: Iterable[Responder], taken_w: Mapping[str, int]) -> list[Responder]:
    """Return members with the room that orders of higher priority have left them.

    Args:
        members: with all their room.
        taken_w: what is asked of each beyond its promises by those orders.
    """
    return [
        each._replace(
            least_w=min(0, each.least_w - min(0, taken_w.get(each.member, 0))),
            most_w=max(0, each.most_w - max(0, taken_w.get(each.member, 0))),
        )
        for each in members
    ]
