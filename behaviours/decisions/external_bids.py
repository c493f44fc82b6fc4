"""What an aggregator bids outside its community, and how the emulated external markets answer."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from behaviours.decisions.battery_control import fcr_d_power_w
from behaviours.decisions.market_activity import Market, is_active
from behaviours.decisions.series import IntArray
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.flexibility import FlexibilityForecast
from ontology.grid import GridState
from ontology.grid_coordination import ActivationLimit
from ontology.market import (
    ExternalBid,
    ExternalBidResult,
    ExternalProduct,
    ExternalSettlement,
    SegmentShare,
)

__all__ = [
    "INTERVALS_AN_HOUR",
    "NORDIC",
    "ProductRules",
    "activated_share",
    "bid_of",
    "clearing_prices",
    "imbalance_ticks",
    "is_called",
    "judged",
    "reason_to_refuse",
    "settled_sale",
    "shared_out",
    "spare_power",
    "within_limits",
]

IMBALANCE_FACTOR_PERCENT = 150
MEAN_TICKS_PER_KWH = 1000
WH_PER_KWH = 1000
INTERVALS_AN_HOUR = 3600 // INTERVAL_S
CALLED = 0.3
"""Chance that an mFRR reserve is called for in an interval."""


class ProductRules(NamedTuple):
    """What a bid for a product must keep to."""

    gate_s: int
    """Bids close so long before delivery begins."""
    minimum_w: int
    step_w: int
    is_reserve: bool
    """Whether power held ready is paid, and energy only as far as it is called for."""
    mean_ticks: int
    """About what it clears at: ticks per kWh, of a reserve per kW and hour."""
    consumes: bool = False
    """Whether what is sold is more consumption."""

    def scaled(self, scale: float) -> "ProductRules":
        """Return the same rules with minimum and step scaled down, for a small community to take part."""
        return self._replace(
            minimum_w=max(1, round(self.minimum_w * scale)), step_w=max(1, round(self.step_w * scale))
        )


NORDIC: Mapping[ExternalProduct, ProductRules] = MappingProxyType(
    {
        ExternalProduct.WS_INTRADAY: ProductRules(3600, 100_000, 100_000, False, MEAN_TICKS_PER_KWH),
        ExternalProduct.FCR_D_UP: ProductRules(3600, 100_000, 100_000, True, 200),
        ExternalProduct.FCR_D_DOWN: ProductRules(3600, 100_000, 100_000, True, 150, consumes=True),
        ExternalProduct.MFRR: ProductRules(2700, 100_000, 100_000, True, 100),
    }
)
"""0.1 MW at least and in steps of 0.1 MW (SPEC 2.6); prices are of the emulation."""


def spare_power(flexibility: FlexibilityForecast, start_s: int, *, reliability: float = 0.8) -> int:
    """Return the up-regulation in W that a portfolio can reliably give in an interval, 0 beyond its forecast.

    Args:
        flexibility: of the portfolio.
        start_s: the interval.
        reliability: share of the flexibility that is counted on.
    """
    step = (start_s - flexibility.start_s) // flexibility.step_s
    return int(flexibility.up_w[step] * reliability) if 0 <= step < len(flexibility.up_w) else 0


def bid_of(
    product: ExternalProduct,
    rules: ProductRules,
    power_w: int,
    cost_ticks: int,
    start_s: int,
    states: Iterable[GridState],
    *,
    margin_ticks: int = 50,
) -> ExternalBid | None:
    """Return the aggregator's bid for an interval, in whole steps of the product, or None when none pays.

    It asks for its cost and margin: a price taker gets the clearing price.

    Args:
        product: what is sold.
        rules: gate, minimum and step of the product.
        power_w: power that is free for it, positive.
        cost_ticks: what a kWh of deviation costs; of a reserve, what a kW held ready for an hour does.
        start_s: interval to bid for, in epoch seconds.
        states: traffic lights of all segments of the portfolio.
        margin_ticks: least gain over cost.

    Source: SPEC 2.6, 4.9 (market logic: external markets in GREEN only).
    """
    offered_w = power_w // rules.step_w * rules.step_w
    asked = cost_ticks + margin_ticks
    allowed = all(is_active(Market.EXTERNAL, state) for state in states)
    if not allowed or offered_w < rules.minimum_w or rules.mean_ticks < asked:
        return None
    energy_wh = offered_w // INTERVALS_AN_HOUR
    return ExternalBid(
        bid_id=f"{product.value.lower().replace('_', '-')}-{start_s}",
        product=product,
        start_s=start_s,
        energy_wh=energy_wh if rules.consumes else -energy_wh,
        price_ticks_per_kwh=asked,
    )


def reason_to_refuse(bid: ExternalBid, rules: ProductRules, now_s: int, states: Iterable[GridState]) -> str:
    """Return why the emulated market does not take a bid into its book, or nothing.

    Source: SPEC 2.6 (gate, minimum, step; no bids while a segment of the portfolio is YELLOW or RED).
    """
    power_w = abs(bid.energy_wh) * INTERVALS_AN_HOUR
    if not all(is_active(Market.EXTERNAL, state) for state in states):
        return "a segment of the portfolio is not GREEN"
    if now_s >= bid.start_s - rules.gate_s:
        return f"the gate closed {rules.gate_s} s before delivery"
    if power_w < rules.minimum_w or power_w % rules.step_w:
        return f"at least {rules.minimum_w} W in steps of {rules.step_w} W"
    if rules.is_reserve and (bid.energy_wh > 0) is not rules.consumes:
        return "the wrong direction for this reserve"
    return ""


def judged(bid: ExternalBid, clearing_ticks: int, states: Iterable[GridState]) -> ExternalBidResult:
    """Return what becomes of a bid at the gate: sales up to the clearing price, purchases from it on.

    Reserves are always sold. Nothing is accepted while a segment of the portfolio is not GREEN.

    Source: SPEC 2.6 (extmkt emulator).
    """
    reason = ""
    sells = bid.energy_wh <= 0 or bid.product is not ExternalProduct.WS_INTRADAY
    if not all(is_active(Market.EXTERNAL, state) for state in states):
        reason = "a segment of the portfolio is not GREEN"
    elif sells and bid.price_ticks_per_kwh > clearing_ticks:
        reason = f"asked above the clearing price of {clearing_ticks} ticks"
    elif not sells and bid.price_ticks_per_kwh < clearing_ticks:
        reason = f"bid below the clearing price of {clearing_ticks} ticks"
    return ExternalBidResult(
        bid_id=bid.bid_id, accepted=not reason, price_ticks_per_kwh=clearing_ticks, reason=reason
    )


def shared_out(energy_wh: int, weights: Mapping[str, int]) -> list[SegmentShare]:
    """Divide an energy over segments in proportion to weights, exactly; parts of nothing are left out."""
    total, given, seen = sum(weights.values()), 0, 0
    shares = []
    for segment_id, weight in sorted(weights.items()):
        seen += weight
        up_to_wh = round(energy_wh * seen / total) if total else 0
        if up_to_wh != given:
            shares.append(SegmentShare(segment_id=segment_id, energy_wh=up_to_wh - given))
        given = up_to_wh
    return shares


def within_limits(
    shares: Sequence[SegmentShare], limits: Sequence[ActivationLimit], step_wh: int = 1, least_wh: int = 0
) -> list[SegmentShare]:
    """Return what the DSO's limits leave of a bid by segment, in whole steps; nothing below the least.

    Args:
        shares: where the energy was to be delivered.
        limits: of each segment; one of which nothing is said is closed.
        step_wh: of the product.
        least_wh: of the product.
    """
    known = {each.segment_id: each for each in limits}
    left = {}
    for share in shares:
        limit = known.get(share.segment_id)
        most_w = 0 if limit is None else limit.more_max_w if share.energy_wh > 0 else limit.less_max_w
        left[share.segment_id] = min(abs(share.energy_wh), most_w // INTERVALS_AN_HOUR)
    energy_wh = sum(left.values()) // step_wh * step_wh
    if energy_wh < max(1, least_wh):
        return []
    sign = 1 if shares[0].energy_wh > 0 else -1
    return shared_out(sign * energy_wh, left)


def activated_share(product: ExternalProduct, frequency_hz: float) -> float:
    """Return the share of an FCR-D reserve that a frequency calls for, 0 to 1 (SPEC 4.7, droop)."""
    full_w = 1_000_000
    up_w, down_w = (full_w, 0) if product is ExternalProduct.FCR_D_UP else (0, full_w)
    return abs(fcr_d_power_w(frequency_hz, up_w, down_w)) / full_w


def is_called(rng: np.random.Generator) -> bool:
    """Tell whether the emulated system operator calls for an mFRR reserve, by the generator alone."""
    return bool(rng.random() < CALLED)


def settled_sale(
    bid: ExternalBid,
    price_ticks: int,
    energy_ticks_per_kwh: int,
    ordered_wh: int,
    delivered_wh: int,
) -> ExternalSettlement:
    """Return what a sale comes to after its interval, in whole ticks rounded down.

    Energy ordered is paid; a reserve's power besides. Each kWh of deviation costs one and a half times the
    price of energy.

    Args:
        bid: what was sold.
        price_ticks: clearing price, per kWh, of a reserve per kW and hour.
        energy_ticks_per_kwh: price of energy in the interval.
        ordered_wh: what was to be delivered: all that was sold, or of a reserve what was called for.
        delivered_wh: what was.

    Source: SPEC 2.6.
    """
    is_reserve = NORDIC[bid.product].is_reserve
    return ExternalSettlement(
        bid_id=bid.bid_id,
        start_s=bid.start_s,
        ordered_wh=ordered_wh,
        delivered_wh=delivered_wh,
        capacity_ticks=abs(bid.energy_wh) * price_ticks // WH_PER_KWH if is_reserve else 0,
        energy_ticks=-ordered_wh * (energy_ticks_per_kwh if is_reserve else price_ticks) // WH_PER_KWH,
        imbalance_ticks=imbalance_ticks(ordered_wh, delivered_wh, energy_ticks_per_kwh),
    )


def clearing_prices(
    rng: np.random.Generator, steps: int = INTERVALS_A_DAY, mean_ticks_per_kwh: int = MEAN_TICKS_PER_KWH
) -> IntArray:
    """Return an emulated price series in ticks per kWh: two peaks a day and noise that lasts some hours.

    The first step is midnight; the generator alone decides, so a seed reproduces the series.
    """
    hour = np.arange(steps) / 4.0 % 24
    shape = 0.25 * np.exp(-(((hour - 8) / 2) ** 2)) + 0.4 * np.exp(-(((hour - 19) / 2.5) ** 2))
    shape -= 0.25 * np.exp(-(((hour - 13) / 2.5) ** 2)) + 0.1
    shocks = rng.normal(0.0, 0.05, steps)
    noise = np.empty(steps)
    lasting = 0.0
    for step, shock in enumerate(shocks.tolist()):
        lasting = 0.9 * lasting + shock
        noise[step] = lasting
    prices: IntArray = np.rint(mean_ticks_per_kwh * np.maximum(1.0 + shape + noise, 0.0)).astype(np.int64)
    return prices


def imbalance_ticks(ordered_wh: int, delivered_wh: int, clearing_ticks_per_kwh: int) -> int:
    """Return what a deviation costs: 1.5 times the clearing price on each kWh, in ticks (SPEC 2.6)."""
    deviation = abs(delivered_wh - ordered_wh)
    return deviation * abs(clearing_ticks_per_kwh) * IMBALANCE_FACTOR_PERCENT // (100 * WH_PER_KWH)
