"""A double auction over what was metered: what all consumed is bid for, what all produced is offered."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from behaviours.decisions.markets.order_book import Order, Trade, pay_as_bid, pay_as_clear
from behaviours.decisions.pricing import LemPrices
from ontology.market import LemParameters, Mechanism

__all__ = ["AuctionOutcome", "MeteredOrder", "auction_outcome", "limits_of_plan"]


class MeteredOrder(NamedTuple):
    """What a player consumed and produced, and what it had said before that it would pay and ask."""

    player: str
    consumed_wh: int
    produced_wh: int
    buy_limit: int | None = None
    sell_limit: int | None = None
    partners: frozenset[str] = frozenset()


class AuctionOutcome(NamedTuple):
    """What each player pays and earns, in Wh times ticks per kWh, and how much was traded among them."""

    paid: Mapping[str, int]
    earned: Mapping[str, int]
    traded_wh: int
    mean_prices: LemPrices


def auction_outcome(rows: Sequence[MeteredOrder], tariff: LemParameters) -> AuctionOutcome:
    """Hold the auction of an interval; what nobody took is bought and sold at usual prices.

    A limit beyond the usual prices counts as the usual price: nobody pays more than the supplier asks.
    """
    lowest, highest = tariff.sell_usual_ticks_per_kwh, tariff.buy_usual_ticks_per_kwh
    bids = [
        Order(
            f"{row.player} buys",
            row.player,
            row.consumed_wh,
            _within(row.buy_limit, highest, tariff),
            partners=row.partners,
        )
        for row in rows
        if row.consumed_wh
    ]
    offers = [
        Order(f"{row.player} sells", row.player, row.produced_wh, _within(row.sell_limit, lowest, tariff))
        for row in rows
        if row.produced_wh
    ]
    auction = pay_as_bid if tariff.mechanism is Mechanism.PAY_AS_BID else pay_as_clear
    return _valued(rows, auction(bids, offers, price_min=lowest, price_max=highest), tariff)


def limits_of_plan(
    buy_ticks: Sequence[int], sell_ticks: Sequence[int], shiftable_share: float, efficiency: float = 0.9
) -> tuple[int, int]:
    """Return what a site would pay for local energy now, and what it asks for its own.

    What must run now is worth the usual price. What could run later is worth what it will cost at the
    cheapest of the hours ahead; what could be stored, what it will save at the dearest, less the loss.

    Args:
        buy_ticks: buying prices ahead in ticks per kWh, now first.
        sell_ticks: selling prices ahead in ticks per kWh, now first.
        shiftable_share: share of the present power that could be shifted, 0 to 1.
        efficiency: of storing energy and taking it out again.
    """
    cheapest, dearest = min(buy_ticks), max(buy_ticks)
    buy = buy_ticks[0] + shiftable_share * (min(cheapest / efficiency, buy_ticks[0]) - buy_ticks[0])
    sell = sell_ticks[0] + shiftable_share * max(0.0, dearest * efficiency - sell_ticks[0])
    return round(buy), round(sell)


def _within(limit: int | None, usual: int, tariff: LemParameters) -> int:
    if limit is None:
        return usual
    return max(tariff.sell_usual_ticks_per_kwh, min(tariff.buy_usual_ticks_per_kwh, limit))


def _valued(rows: Sequence[MeteredOrder], trades: Sequence[Trade], tariff: LemParameters) -> AuctionOutcome:
    """Return what trades and the supplier cost and bring each player."""
    paid: dict[str, int] = {}
    earned: dict[str, int] = {}
    bought_wh: dict[str, int] = defaultdict(int)
    sold_wh: dict[str, int] = defaultdict(int)
    bought: dict[str, int] = defaultdict(int)
    sold: dict[str, int] = defaultdict(int)
    for trade in trades:
        value = trade.energy_wh * trade.price_ticks
        bought_wh[trade.bid.trader] += trade.energy_wh
        sold_wh[trade.offer.trader] += trade.energy_wh
        bought[trade.bid.trader] += value
        sold[trade.offer.trader] += value
    for row in rows:
        rest_in, rest_out = row.consumed_wh - bought_wh[row.player], row.produced_wh - sold_wh[row.player]
        paid[row.player] = bought[row.player] + rest_in * tariff.buy_usual_ticks_per_kwh
        earned[row.player] = sold[row.player] + rest_out * tariff.sell_usual_ticks_per_kwh
    consumed_wh, produced_wh = sum(r.consumed_wh for r in rows), sum(r.produced_wh for r in rows)
    buy = (
        Fraction(sum(paid.values()), consumed_wh) if consumed_wh else Fraction(tariff.buy_usual_ticks_per_kwh)
    )
    sell = (
        Fraction(sum(earned.values()), produced_wh)
        if produced_wh
        else Fraction(tariff.sell_usual_ticks_per_kwh)
    )
    return AuctionOutcome(paid, earned, sum(trade.energy_wh for trade in trades), LemPrices(buy, sell))
