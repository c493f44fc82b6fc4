"""What an aggregator bids outside its community, and how the emulated external market answers."""

from collections.abc import Iterable

import numpy as np

from behaviours.decisions.market_activity import Market, is_active
from behaviours.decisions.series import IntArray
from ontology.base import INTERVALS_A_DAY
from ontology.flexibility import FlexibilityForecast
from ontology.grid import GridState
from ontology.market import ExternalBid, ExternalBidResult, ExternalProduct

__all__ = ["clearing_prices", "imbalance_ticks", "intraday_bid", "judged"]

MINIMUM_WH = 100
IMBALANCE_FACTOR_PERCENT = 150
MEAN_TICKS_PER_KWH = 1000
WH_PER_KWH = 1000


def intraday_bid(
    flexibility: FlexibilityForecast,
    start_s: int,
    expected_ticks_per_kwh: int,
    states: Iterable[GridState],
    bid_id: str,
    *,
    reliability: float = 0.8,
    margin_ticks_per_kwh: int = 50,
) -> ExternalBid | None:
    """Return the aggregator's sale of up-regulation into the intraday market, or None when none pays.

    Sold energy is negative. The bid asks for its cost and margin: a price taker gets the clearing price.

    Args:
        flexibility: of the portfolio.
        start_s: interval to bid for, in epoch seconds.
        expected_ticks_per_kwh: expected clearing price.
        states: traffic lights of all segments of the portfolio in that interval.
        bid_id: id for the bid.
        reliability: share of the flexibility that is offered.
        margin_ticks_per_kwh: least gain over cost.

    Source: SPEC 2.6, 4.9 (market logic: external markets in GREEN only).
    """
    if not all(is_active(Market.EXTERNAL, state) for state in states):
        return None
    step = (start_s - flexibility.start_s) // flexibility.step_s
    if not 0 <= step < len(flexibility.up_w):
        return None
    energy_wh = int(flexibility.up_w[step] * reliability * flexibility.step_s / 3600)
    asked = flexibility.cost_ticks_per_kwh[step] + margin_ticks_per_kwh
    if energy_wh < MINIMUM_WH or expected_ticks_per_kwh < asked:
        return None
    return ExternalBid(
        bid_id=bid_id,
        product=ExternalProduct.WS_INTRADAY,
        start_s=start_s,
        energy_wh=-energy_wh,
        price_ticks_per_kwh=asked,
    )


def judged(bid: ExternalBid, clearing_ticks_per_kwh: int, states: Iterable[GridState]) -> ExternalBidResult:
    """Return what the emulated market makes of a bid: sales up to the clearing price, purchases from it on.

    Nothing is accepted while a segment of the portfolio is not GREEN.

    Source: SPEC 2.6 (extmkt emulator).
    """
    reason = ""
    if not all(is_active(Market.EXTERNAL, state) for state in states):
        reason = "a segment of the portfolio is not GREEN"
    elif bid.energy_wh <= 0 and bid.price_ticks_per_kwh > clearing_ticks_per_kwh:
        reason = f"asked above the clearing price of {clearing_ticks_per_kwh} ticks/kWh"
    elif bid.energy_wh > 0 and bid.price_ticks_per_kwh < clearing_ticks_per_kwh:
        reason = f"bid below the clearing price of {clearing_ticks_per_kwh} ticks/kWh"
    return ExternalBidResult(
        bid_id=bid.bid_id,
        accepted=not reason,
        price_ticks_per_kwh=clearing_ticks_per_kwh,
        reason=reason,
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
