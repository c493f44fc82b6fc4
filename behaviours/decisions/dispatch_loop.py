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
    goal_w: int = 0
    """What those who worked were to deliver together."""
    limits_w: Mapping[str, int] = field(default_factory=dict)
    """How far those that missed what they were asked went beyond their promises: their room for now."""

    def renewed(self) -> "DispatchState":
        """Return what is remembered in the next interval, in which promises are others: who has failed."""
        failed = {who: missed for who, missed in self.misses.items() if missed >= FAILED_CYCLES}
        return DispatchState(misses=failed)


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
    limits_w = dict(before.limits_w)
    for each in everyone:
        if misses[each.member] >= FAILED_CYCLES:
            limits_w[each.member] = reached_w(each, before)
            misses[each.member] *= not limits_w[each.member]
    working = [each for each in everyone if misses[each.member] < FAILED_CYCLES]
    goal_w = order_w - sum(each.delivered_w or 0 for each in everyone if misses[each.member] >= FAILED_CYCLES)
    error_w = shortfall_w(everyone, misses, before)
    able = [within_limit(each, limits_w) for each in working]
    least_w, most_w = sum(each.least_w for each in able), sum(each.most_w for each in able)
    integral_w = min(most_w, max(least_w, before.integral_w + INTEGRAL * error_w))
    promised_w = sum(each.promised_w for each in working)
    wanted_w = round(goal_w - promised_w + PROPORTIONAL * error_w + integral_w)
    ranges = [MemberRange(m.member, m.least_w, m.most_w, m.cost_ticks_per_kwh) for m in able]
    beyond_w = dict.fromkeys((each.member for each in everyone), 0) | disaggregate(wanted_w, ranges)
    asked_w = {each.member: each.promised_w + beyond_w[each.member] for each in everyone}
    return beyond_w, DispatchState(asked_w, misses, integral_w, goal_w, limits_w)


def misses_of(member: Responder, before: DispatchState) -> int:
    """Return how many cycles in a row a member has missed what it was asked.

    A member that failed is back as soon as it keeps its own promise.
    """
    asked_w = before.asked_w.get(member.member)
    if asked_w is None:
        return before.misses.get(member.member, 0)
    if member.delivered_w is not None and abs(asked_w - member.delivered_w) <= tolerated_w(asked_w):
        return 0
    return min(FAILED_CYCLES, before.misses.get(member.member, 0) + 1)


def reached_w(member: Responder, before: DispatchState) -> int:
    """Return how far a member went beyond its promise where it was asked to, but not so far; else 0."""
    if member.delivered_w is None or member.member not in before.asked_w:
        return 0
    asked_w = before.asked_w[member.member] - member.promised_w
    did_w = member.delivered_w - member.promised_w
    return did_w if asked_w * did_w > 0 and abs(did_w) < abs(asked_w) else 0


def within_limit(member: Responder, limits_w: Mapping[str, int]) -> Responder:
    """Return a member with the room that it has shown to have."""
    limit_w = limits_w.get(member.member)
    if limit_w is None:
        return member
    return member._replace(
        least_w=max(member.least_w, min(0, limit_w)), most_w=min(member.most_w, max(0, limit_w))
    )


def tolerated_w(asked_w: int) -> float:
    """Return by how much a delivery may differ from what was asked."""
    return max(TOLERANCE_W, TOLERANCE * abs(asked_w))


def shortfall_w(members: Iterable[Responder], misses: Mapping[str, int], before: DispatchState) -> int:
    """Return by how much those who worked in the cycle before did less than they were to do together, in W.

    Who has missed it for the first time is taken to have done what it was asked: it may fail, and is then
    replaced rather than corrected.
    """
    did_w = 0
    for each in members:
        asked_w = before.asked_w.get(each.member)
        if asked_w is None:
            return 0
        if before.misses.get(each.member, 0) < FAILED_CYCLES:
            did_w += asked_w if misses[each.member] or each.delivered_w is None else each.delivered_w
    return before.goal_w - did_w


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
