"""Which flexibility offers to buy: time and price of the choice, exact and greedy."""

import time

import numpy as np

from behaviours.decisions.flexibility_market.selection import (
    EXACT,
    Bid,
    chosen_offers,
    cost_ticks,
    greedy_offers,
)
from ontology.flexibility_trading import FlexOffer, OfferOption, PowerInterval

__all__ = ["rows"]

SIZES = ((2, 1), (10, 1), (100, 1), (200, 1), (2, 16), (10, 16), (12, 16), (50, 16), (100, 16))
"""Offers, and intervals of the request."""
OPTIONS = (1.0, 0.6, 0.3)
"""Of each offer: shares of what its seller could do. The largest may be ordered in part."""
WILLINGNESS_TICKS_PER_KWH = 3000
START_S = 1_750_000_500
REPEATS = 5


def rows() -> list[dict[str, object]]:
    """Choose among random offers that together could do twice what is needed."""
    return [_row(offers, intervals) for offers, intervals in SIZES]


def _row(offers: int, intervals: int) -> dict[str, object]:
    need_w, dearer, exact_s, greedy_s = {}, [], [], []
    for seed in range(REPEATS):
        need_w, bids = _market(offers, intervals, seed)
        began_s = time.process_time()
        best = chosen_offers(need_w, bids, WILLINGNESS_TICKS_PER_KWH)
        exact_s.append(time.process_time() - began_s)
        began_s = time.process_time()
        greedy = greedy_offers(need_w, bids, WILLINGNESS_TICKS_PER_KWH)
        greedy_s.append(time.process_time() - began_s)
        costs = [cost_ticks(need_w, each, WILLINGNESS_TICKS_PER_KWH) for each in (best, greedy)]
        dearer.append(costs[1] / costs[0] - 1)
    return {
        "offers": offers,
        "intervals": intervals,
        "options": offers * len(OPTIONS),
        "exact": "yes" if offers * len(OPTIONS) * intervals <= EXACT else "within 1 %",
        "selection, ms": 1000 * float(np.median(exact_s)),
        "greedily, ms": 1000 * float(np.median(greedy_s)),
        "greedily dearer, %": 100 * float(np.mean(dearer)),
    }


def _market(offers: int, intervals: int, seed: int) -> tuple[dict[int, int], list[Bid]]:
    """Return a need that rises and falls, and offers of sellers of different size and price."""
    rng = np.random.default_rng([offers, intervals, seed])
    starts = [START_S + i * 900 for i in range(intervals)]
    shape = 0.5 + 0.5 * np.sin(np.pi * (np.arange(intervals) + 0.5) / intervals)
    able_w = rng.integers(500, 5000, offers)
    need_w = {s: -round(able_w.sum() / 2 * each) for s, each in zip(starts, shape, strict=True)}
    bids = [
        Bid(f"seller {i}", f"offer {i}", float(i), _offer(starts, shape, int(able_w[i]), rng))
        for i in range(offers)
    ]
    return need_w, bids


def _offer(starts: list[int], shape: np.ndarray, able_w: int, rng: np.random.Generator) -> FlexOffer:
    options = []
    for number, share in enumerate(OPTIONS):
        power_w = [-max(1, round(able_w * share * each * rng.uniform(0.7, 1.0))) for each in shape]
        energy_wh = sum(map(abs, power_w)) / 4
        price = rng.uniform(800, 3500) * (1 + 0.2 * share)
        options.append(
            OfferOption(
                option_reference=f"option-{number}",
                price_ticks=max(1, round(energy_wh * price / 1000)),
                activation_min=0.2 if number == 0 else 1.0,
                intervals=[PowerInterval(start_s=s, power_w=w) for s, w in zip(starts, power_w, strict=True)],
            )
        )
    return FlexOffer(
        period_start_s=starts[0],
        period_end_s=starts[-1] + 900,
        congestion_point="segment-001",
        expiration_s=starts[0],
        request_message_id="request",
        options=options,
    )
