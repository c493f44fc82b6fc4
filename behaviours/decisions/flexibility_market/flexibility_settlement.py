"""What was delivered of an order, and what is paid for it (UFTP worked table, PYFM; SPEC 2.5).

Deviations are negative where less is to be consumed; everything is computed as if they were reductions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from behaviours.decisions.flexibility_market.selection import powers_of
from ontology.base import INTERVAL_S
from ontology.flexibility_trading import (
    FlexOrder,
    FlexSettlement,
    OfferOption,
    OrderSettlement,
    OrderStatus,
    OrderVerdict,
    SettlementInterval,
)

__all__ = [
    "TolerantTerms",
    "delivered_share",
    "ordered_powers",
    "settled_interval",
    "settled_order",
    "tolerant_payment",
    "verdicts",
]


def ordered_powers(order: FlexOrder) -> dict[int, int]:
    """Return the deviation that an order calls for, in W by start of interval: the option's, as activated."""
    option = OfferOption(
        option_reference=order.option_reference, price_ticks=order.price_ticks, intervals=order.intervals
    )
    return {
        start_s: round(power_w * order.activation_factor) for start_s, power_w in powers_of(option).items()
    }


def settled_interval(
    start_s: int, baseline_w: int, ordered_w: int, actual_w: int, duration_s: int = INTERVAL_S
) -> SettlementInterval:
    """Return what was delivered of an interval's order and what is missing.

    More than was ordered is not counted; what goes the other way is missing in addition (single-sided).

    Source: UFTP, settlement: delivered = clip(baseline - actual, 0, F), deficiency = max(0, actual -
    (baseline - F)); SPEC 2.5.
    """
    sign = -1 if ordered_w < 0 else 1
    wanted_w = abs(ordered_w)
    realised_w = sign * (actual_w - baseline_w)
    return SettlementInterval(
        start_s=start_s,
        duration_s=duration_s,
        baseline_w=baseline_w,
        ordered_w=ordered_w,
        actual_w=actual_w,
        delivered_w=sign * min(max(realised_w, 0), wanted_w),
        deficiency_w=max(0, wanted_w - realised_w),
    )


def settled_order(
    order: FlexOrder, intervals: Sequence[SettlementInterval], penalty_ticks_per_kwh: int
) -> OrderSettlement:
    """Return what an order is worth: its price for the share delivered, less a penalty for what is missing.

    Args:
        order: its price is for the whole of what was ordered.
        intervals: what was delivered and what is missing, by interval.
        penalty_ticks_per_kwh: of missing energy.
    """
    ordered_wh, delivered_wh, missing_wh = (
        sum(
            Fraction(abs(power_w) * each.duration_s, 3600)
            for each, power_w in zip(intervals, powers, strict=True)
        )
        for powers in (
            [each.ordered_w for each in intervals],
            [each.delivered_w for each in intervals],
            [each.deficiency_w for each in intervals],
        )
    )
    price = round(order.price_ticks * delivered_wh / ordered_wh) if ordered_wh else 0
    penalty = round(missing_wh * penalty_ticks_per_kwh / 1000)
    return OrderSettlement(
        order_reference=order.order_reference,
        congestion_point=order.congestion_point,
        contract_id=order.contract_id,
        baseline_reference=order.baseline_reference,
        price_ticks=price,
        penalty_ticks=penalty,
        net_ticks=price - penalty,
        intervals=list(intervals),
    )


def delivered_share(intervals: Sequence[SettlementInterval]) -> float:
    """Return which share of an order was delivered, 0 to 1; what was never ordered is delivered in full."""
    ordered = sum(abs(each.ordered_w) for each in intervals)
    return sum(abs(each.delivered_w) for each in intervals) / ordered if ordered else 1.0


@dataclass(frozen=True)
class TolerantTerms:
    """Terms of the tolerant payment; the defaults are those of PYFM's simulations."""

    alpha: float = 1.0
    """Of the price, for what is missing beyond the tolerance."""
    beta: float = 0.0
    """Of the price, for what is delivered beyond the tolerance."""
    gamma: float = 0.0
    """Of the price, for what was bid and not ordered, beyond its tolerance."""
    tolerance: float = 0.1
    bid_tolerance: float = 0.25


PYFM_TERMS = TolerantTerms()


def tolerant_payment(
    ordered: float, delivered: float, bid: float, price: float, terms: TolerantTerms = PYFM_TERMS
) -> float:
    """Return what a seller gets where some deviation is tolerated.

    Args:
        ordered: what was allocated to this seller (not the buyer's whole request).
        delivered: what this seller delivered, in the same unit of energy.
        bid: what it had offered.
        price: of that unit.
        terms: weights and tolerances.

    Source: PYFM; SPEC 2.5: R = p·min(q,d) - α·p·max(q-d-θq,0) + β·p·max(d-q-θq,0) - γ·p·max(b-q-θb·b,0).
    """
    band = terms.tolerance * ordered
    missing = max(ordered - delivered - band, 0.0)
    excess = max(delivered - ordered - band, 0.0)
    unsold = max(bid - ordered - terms.bid_tolerance * bid, 0.0)
    worth = min(ordered, delivered) - terms.alpha * missing + terms.beta * excess - terms.gamma * unsold
    return price * worth


def verdicts(
    settlement: FlexSettlement,
    orders: Mapping[str, FlexOrder],
    baselines_w: Mapping[str, Mapping[int, int]],
    metered_w: Mapping[str, Mapping[int, int]],
    penalty_ticks_per_kwh: int,
) -> list[OrderStatus]:
    """Return what a seller says of each order in a settlement: accepted, or disputed with the reason.

    Args:
        settlement: what the buyer proposes.
        orders: what was ordered, by reference.
        baselines_w: what the seller had foreseen for each order, by start of interval; where it is not
            known, the baseline proposed is taken as it is.
        metered_w: what the seller has measured for each order, by start of interval.
        penalty_ticks_per_kwh: of missing energy, as agreed.
    """
    statuses = []
    for proposed in settlement.orders:
        order = orders.get(proposed.order_reference)
        objections = (
            list(_objections(proposed, order, baselines_w, metered_w, penalty_ticks_per_kwh))
            if order
            else ["no such order"]
        )
        statuses.append(
            OrderStatus(
                order_reference=proposed.order_reference,
                verdict=OrderVerdict.DISPUTED if objections else OrderVerdict.ACCEPTED,
                reason="; ".join(objections),
            )
        )
    return statuses


def _objections(
    proposed: OrderSettlement,
    order: FlexOrder,
    baselines_w: Mapping[str, Mapping[int, int]],
    metered_w: Mapping[str, Mapping[int, int]],
    penalty_ticks_per_kwh: int,
) -> Iterator[str]:
    """Yield what is wrong in the settlement of an order: powers first, then the sums."""
    ordered_w = ordered_powers(order)
    foreseen_w = baselines_w.get(order.order_reference, {})
    measured_w = metered_w.get(order.order_reference, {})
    if [each.start_s for each in proposed.intervals] != sorted(ordered_w):
        yield f"intervals {[each.start_s for each in proposed.intervals]}, ordered were {sorted(ordered_w)}"
        return
    for each in proposed.intervals:
        expected = {
            "ordered_w": ordered_w[each.start_s],
            "baseline_w": foreseen_w.get(each.start_s, each.baseline_w),
            "actual_w": measured_w.get(each.start_s, each.actual_w),
        }
        for name, power_w in expected.items():
            if getattr(each, name) != power_w:
                yield f"{name} of {each.start_s} is {getattr(each, name)}, not {power_w}"
    again = [
        settled_interval(each.start_s, each.baseline_w, each.ordered_w, each.actual_w, each.duration_s)
        for each in proposed.intervals
    ]
    right = settled_order(order, again, penalty_ticks_per_kwh)
    for name in ("price_ticks", "penalty_ticks", "net_ticks"):
        if getattr(proposed, name) != getattr(right, name):
            yield f"{name} is {getattr(proposed, name)}, not {getattr(right, name)}"
