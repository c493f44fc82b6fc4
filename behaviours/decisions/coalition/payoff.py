"""Who gets what of the price of a product, in whole ticks that sum to what the buyer pays (SPEC 5.3 D)."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from ontology.coalition import MemberPayoff

__all__ = ["Delivery", "accuracy", "payoffs", "price_of", "reliability_after"]

ACCURACY_SPAN = Fraction(1, 5)
"""Deviation, as a share of what was promised, that costs all of the surplus (SPEC 5.3 D)."""
MEMORY = 0.9
"""Weight of the past in a member's reliability (SPEC 5.3 F)."""


class Delivery(NamedTuple):
    """What a member promised and delivered in the wanted direction (Wh), and what it asked for (ticks)."""

    member: str
    committed_wh: int
    delivered_wh: int
    cost_ticks: int


def price_of(deliveries: Sequence[Delivery], price_ticks_per_kwh: int, wanted_wh: int) -> int:
    """Return what the buyer pays in ticks: for what was delivered, never for more than it wanted."""
    delivered_wh = sum(_credited(each) for each in deliveries)
    return min(delivered_wh, wanted_wh) * price_ticks_per_kwh // 1000


def payoffs(deliveries: Sequence[Delivery], paid_ticks: int) -> tuple[list[MemberPayoff], int]:
    """Return each member's payoff and what is left to the initiator; all of them sum to what is paid.

    A member gets its cost in proportion to what it delivered of its promise, and of what is left over a
    share by accuracy times contribution. Where the price does not reach, costs are cut in proportion.
    """
    earned = [
        each.cost_ticks * _credited(each) // each.committed_wh if each.committed_wh > 0 else 0
        for each in deliveries
    ]
    total = sum(earned)
    if total > paid_ticks:
        earned = [cost * paid_ticks // total for cost in earned]
    surplus = paid_ticks - sum(earned)
    merits = [accuracy(each) * _credited(each) for each in deliveries]
    merit = sum(merits)
    extra = [int(surplus * each / merit) if merit else 0 for each in merits]
    members = [
        MemberPayoff(
            member=each.member,
            committed_wh=each.committed_wh,
            delivered_wh=each.delivered_wh,
            accuracy=float(accuracy(each)),
            cost_ticks=cost,
            surplus_ticks=more,
        )
        for each, cost, more in zip(deliveries, earned, extra, strict=True)
    ]
    return members, surplus - sum(extra)


def accuracy(delivery: Delivery) -> Fraction:
    """Return how true a member was to its promise: 1 exactly, 0 at a fifth more or less."""
    if delivery.committed_wh <= 0:
        return Fraction(0)
    deviation = Fraction(abs(delivery.delivered_wh - delivery.committed_wh), delivery.committed_wh)
    return max(Fraction(0), 1 - deviation / ACCURACY_SPAN)


def reliability_after(reliability: float, delivery: Delivery) -> float:
    """Return a member's reliability after a delivery; who promised nothing keeps it."""
    if delivery.committed_wh <= 0:
        return reliability
    share = min(1.0, max(0.0, delivery.delivered_wh / delivery.committed_wh))
    return MEMORY * reliability + (1 - MEMORY) * share


def _credited(delivery: Delivery) -> int:
    """Return what counts as delivered: not more than was promised."""
    return max(0, min(delivery.delivered_wh, delivery.committed_wh))
