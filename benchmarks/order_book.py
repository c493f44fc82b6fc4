"""Double auctions: orders cleared in a heap of traders, beside a matcher that looks through all offers."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from behaviours.decisions.markets.order_book import Order, Trade, pay_as_bid, pay_as_clear

__all__ = ["rows"]

ORDERS = (1_000, 8_000, 64_000)
NAIVE_MOST = 8_000


def rows() -> list[dict[str, object]]:
    """Clear growing numbers of orders, half bids and half offers of a tenth as many traders."""
    return [_row(orders) for orders in ORDERS]


def _row(number: int) -> dict[str, object]:
    bids, offers = _orders(number)
    as_bid_s, matched = _timed(pay_as_bid, bids, offers)
    as_clear_s, _ = _timed(pay_as_clear, bids, offers)
    naive_s = _timed(_naive, bids, offers)[0] if number <= NAIVE_MOST else float("nan")
    return {
        "orders": number,
        "trades": len(matched),
        "pay as bid, s": as_bid_s,
        "pay as clear, s": as_clear_s,
        "all offers, s": naive_s,
        "times faster": naive_s / as_bid_s,
    }


def _orders(number: int) -> tuple[list[Order], list[Order]]:
    rng = np.random.default_rng(number)
    energies, prices = rng.integers(50, 2000, number).tolist(), rng.integers(650, 2000, number).tolist()
    traders = rng.integers(0, max(2, number // 10), number).tolist()
    orders = [Order(f"o{i}", f"t{traders[i]}", energies[i], prices[i], float(i % 900)) for i in range(number)]
    return orders[::2], orders[1::2]


def _timed(
    auction: Callable[[Sequence[Order], Sequence[Order]], list[Trade]],
    bids: Sequence[Order],
    offers: Sequence[Order],
) -> tuple[float, list[Trade]]:
    began_s = time.process_time()
    trades = auction(bids, offers)
    return time.process_time() - began_s, trades


def _naive(bids: Sequence[Order], offers: Sequence[Order]) -> list[Trade]:
    """Look through all offers for each bid, as simple matchers do."""
    left = {offer.name: offer.energy_wh for offer in offers}
    trades = []
    for bid in sorted(bids, key=lambda each: -each.price_ticks):
        wanted = bid.energy_wh
        for offer in sorted(offers, key=lambda each: each.price_ticks):
            crosses = offer.price_ticks <= bid.price_ticks and offer.trader != bid.trader
            if wanted and crosses and left[offer.name]:
                energy_wh = min(wanted, left[offer.name])
                trades.append(Trade(bid, offer, energy_wh, bid.price_ticks))
                wanted, left[offer.name] = wanted - energy_wh, left[offer.name] - energy_wh
    return trades
