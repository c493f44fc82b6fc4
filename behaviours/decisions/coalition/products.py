"""What a virtual power plant is to deliver, from wherever the demand for flexibility comes (SPEC 5.3)."""

from collections.abc import Mapping

from ontology.base import INTERVAL_S
from ontology.coalition import FlexProduct, ProductKind
from ontology.flexibility_trading import Disposition, DRSignal, FlexOrder, FlexRequest
from ontology.market import ExternalActivation, ExternalBid, ExternalBidResult

__all__ = [
    "product_of_activation",
    "product_of_order",
    "product_of_request",
    "product_of_sale",
    "product_of_signal",
]

W_PER_WH = 3600 // INTERVAL_S


def product_of_request(request: FlexRequest, price_ticks_per_kwh: int) -> FlexProduct | None:
    """Return what a DSO's request asks for; None when every interval is merely available.

    In each interval the smaller of the bounds that ask for a deviation is the target; intervals that are
    only available want nothing.

    Source: UFTP, FlexRequest; SPEC 2.5.
    """
    intervals = sorted(request.intervals, key=lambda each: each.start_s)
    steps = range(intervals[0].start_s, intervals[-1].start_s + 1, INTERVAL_S)
    wanted = {
        each.start_s: each.power_min_w if each.power_max_w <= 0 else each.power_max_w
        for each in intervals
        if each.disposition is Disposition.REQUESTED
    }
    target_w = [wanted.get(start_s, 0) for start_s in steps]
    if not any(target_w):
        return None
    return FlexProduct(
        product_id=f"request-{request.congestion_point}-{request.period_start_s}-{request.revision}",
        kind=ProductKind.FLEX_REQUEST,
        segment_id=request.congestion_point,
        start_s=steps[0],
        target_w=target_w,
        price_ticks_per_kwh=price_ticks_per_kwh,
        deadline_s=min(request.expiration_s, steps[0]),
    )


def product_of_order(order: FlexOrder, ordered_w: Mapping[int, int], fee: float) -> FlexProduct:
    """Return what a DSO has bought; the members get its price but for the aggregator's fee.

    Args:
        order: whose price is for all that was ordered.
        ordered_w: deviation by start of interval, in W, as activated.
        fee: share of the price that the aggregator keeps.

    Source: UFTP, FlexOrder; SPEC 2.5.
    """
    starts = range(min(ordered_w), max(ordered_w) + 1, INTERVAL_S)
    energy_wh = max(1, sum(map(abs, ordered_w.values())) // W_PER_WH)
    return FlexProduct(
        product_id=order.order_reference,
        kind=ProductKind.FLEX_REQUEST,
        segment_id=order.congestion_point,
        start_s=starts[0],
        target_w=[ordered_w.get(start_s, 0) for start_s in starts],
        price_ticks_per_kwh=round(order.price_ticks * (1 - fee) * 1000 / energy_wh),
        deadline_s=starts[0],
    )


def product_of_sale(bid: ExternalBid, result: ExternalBidResult) -> FlexProduct:
    """Return what was sold outside: an interval's deviation at the clearing price (SPEC 2.6)."""
    return FlexProduct(
        product_id=bid.bid_id,
        kind=ProductKind.EXTERNAL,
        segment_id=bid.shares[0].segment_id if len(bid.shares) == 1 else "",
        start_s=bid.start_s,
        target_w=[bid.energy_wh * W_PER_WH],
        price_ticks_per_kwh=result.price_ticks_per_kwh,
        deadline_s=bid.start_s,
    )


def product_of_activation(activation: ExternalActivation, price_ticks_per_kwh: int) -> FlexProduct:
    """Return what is called for of a reserve that was sold: an interval's deviation (SPEC 2.6, mFRR)."""
    return FlexProduct(
        product_id=f"{activation.bid_id}-called",
        kind=ProductKind.EXTERNAL,
        segment_id=activation.shares[0].segment_id if len(activation.shares) == 1 else "",
        start_s=activation.start_s,
        target_w=[activation.energy_wh * W_PER_WH],
        price_ticks_per_kwh=price_ticks_per_kwh,
        deadline_s=activation.start_s,
    )


def product_of_signal(signal: DRSignal, price_ticks_per_kwh: int) -> FlexProduct | None:
    """Return the change of power that a signal calls for, in whole intervals; None when it sets a limit.

    Source: OpenADR 3.1 DISPATCH_SETPOINT_RELATIVE; SPEC 2.7.
    """
    if signal.delta_w is None or not signal.delta_w:
        return None
    start_s = -(-signal.start_s // INTERVAL_S) * INTERVAL_S
    steps = max(1, -(-signal.duration_s // INTERVAL_S))
    return FlexProduct(
        product_id=f"signal-{signal.signal_id}",
        kind=ProductKind.DEMAND_RESPONSE,
        segment_id=signal.segment_id,
        start_s=start_s,
        target_w=[signal.delta_w] * steps,
        price_ticks_per_kwh=price_ticks_per_kwh,
        deadline_s=start_s,
    )
