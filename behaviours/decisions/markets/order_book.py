"""Double auctions over sealed orders: matched as bid, or cleared at one price.

Priority is price, then time, then name, so that ties are stable. Nobody trades with itself. Cost grows
with n log n: offers wait in a heap of traders, each trader's own in order.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from ontology.base import require

__all__ = ["Order", "Trade", "pay_as_bid", "pay_as_clear"]


class Order(NamedTuple):
    """An offer to buy or to sell energy up to a limit price; `partners` are served before others."""

    name: str
    trader: str
    energy_wh: int
    price_ticks: int
    time_s: float = 0.0
    partners: frozenset[str] = frozenset()


class Trade(NamedTuple):
    """Energy that changes hands between two orders, and its price in ticks per kWh."""

    bid: Order
    offer: Order
    energy_wh: int
    price_ticks: int


def pay_as_bid(
    bids: Iterable[Order], offers: Iterable[Order], *, price_min: int = 0, price_max: int = 2**31
) -> list[Trade]:
    """Match the dearest bids with the cheapest offers, each trade at the price of its bid.

    A bid that names partners is first matched with their offers, as far as those are not dearer than it.

    Args:
        bids: orders to buy, sealed.
        offers: orders to sell, sealed.
        price_min: least price of an order, in ticks per kWh.
        price_max: greatest price of an order.

    Raises: InvalidInput for energies that are not positive, prices out of bounds, or names given twice.
    Source: gsy-framework's pay-as-bid matching, with preferred partners; order-book priority is price–time.
    """
    wanted, stock = _checked(bids, offers, price_min, price_max)
    book = _Book(stock)
    trades: list[Trade] = []
    for bid in wanted:
        left_wh = bid.energy_wh
        for partner in sorted(bid.partners - {bid.trader}):
            left_wh -= book.take(bid, left_wh, trades, partner)
        book.take(bid, left_wh, trades)
    return trades


def pay_as_clear(
    bids: Iterable[Order], offers: Iterable[Order], *, price_min: int = 0, price_max: int = 2**31
) -> list[Trade]:
    """Clear all orders that cross at one price between the last bid and the last offer that trade.

    Orders of one trader that cross each other are netted first: that part is nobody else's business.

    Raises: InvalidInput as `pay_as_bid`.
    Source: uniform-price call auction, as in day-ahead markets.
    """
    wanted, stock = _checked(bids, offers, price_min, price_max)
    wanted, stock = _netted(wanted, stock)
    trades: list[Trade] = []
    place = used_wh = 0
    for bid in wanted:
        left_wh = bid.energy_wh
        while left_wh and place < len(stock) and stock[place].price_ticks <= bid.price_ticks:
            energy_wh = min(left_wh, stock[place].energy_wh - used_wh)
            trades.append(Trade(bid, stock[place], energy_wh, 0))
            left_wh, used_wh = left_wh - energy_wh, used_wh + energy_wh
            if used_wh == stock[place].energy_wh:
                place, used_wh = place + 1, 0
        if left_wh:
            break
    price = _price_between(trades, wanted, stock)
    return [trade._replace(price_ticks=price) for trade in trades]


class _Book:
    """Offers that are left: a heap of traders by their best offer, and each trader's own in order."""

    def __init__(self, offers: Sequence[Order]) -> None:
        self._own: dict[str, list[tuple[Order, int]]] = defaultdict(list)
        for offer in reversed(offers):
            self._own[offer.trader].append((offer, offer.energy_wh))
        self._heap = [(_rank(own[-1][0]), trader) for trader, own in self._own.items()]
        heapify(self._heap)

    def take(self, bid: Order, wanted_wh: int, trades: list[Trade], partner: str = "") -> int:
        """Match up to an energy with the best offers (of a partner), and return how much was matched."""
        left_wh = wanted_wh
        while left_wh and (seller := partner or self._best_but(bid.trader)):
            own = self._own.get(seller)
            if not own or own[-1][0].price_ticks > bid.price_ticks:
                break
            offer, available_wh = own.pop()
            energy_wh = min(left_wh, available_wh)
            trades.append(Trade(bid, offer, energy_wh, bid.price_ticks))
            left_wh -= energy_wh
            if energy_wh < available_wh:
                own.append((offer, available_wh - energy_wh))
            elif own:
                heappush(self._heap, (_rank(own[-1][0]), seller))
        return wanted_wh - left_wh

    def _best_but(self, trader: str) -> str:
        """Return who else has the best offer; entries that partners have overtaken are dropped."""
        aside = None
        while self._heap:
            rank, seller = self._heap[0]
            own = self._own[seller]
            if not own or _rank(own[-1][0]) != rank:
                heappop(self._heap)
            elif seller == trader:
                aside = heappop(self._heap)
            else:
                break
        best = self._heap[0][1] if self._heap else ""
        if aside is not None:
            heappush(self._heap, aside)
        return best


def _price_between(trades: Sequence[Trade], bids: Sequence[Order], offers: Sequence[Order]) -> int:
    """Return the middle of the prices at which the traded orders gain and the others do not cross."""
    if not trades:
        return 0
    last_bid, last_offer = trades[-1].bid, trades[-1].offer
    sold: dict[str, int] = defaultdict(int)
    for trade in trades:
        sold[trade.bid.name] += trade.energy_wh
        sold[trade.offer.name] += trade.energy_wh
    bid_left = next((bid.price_ticks for bid in bids if sold[bid.name] < bid.energy_wh), 0)
    offer_left = next((o.price_ticks for o in offers if sold[o.name] < o.energy_wh), last_bid.price_ticks)
    lower = max(last_offer.price_ticks, min(bid_left, last_bid.price_ticks))
    upper = min(last_bid.price_ticks, max(offer_left, last_offer.price_ticks))
    return (lower + upper) // 2


def _netted(bids: Sequence[Order], offers: Sequence[Order]) -> tuple[list[Order], list[Order]]:
    """Take out what a trader would trade with itself."""
    wanted, stock = _by_trader(bids), _by_trader(offers)
    taken: dict[str, int] = defaultdict(int)
    for trader in wanted.keys() & stock.keys():
        _net_out(wanted[trader], stock[trader], taken)
    return _less(bids, taken), _less(offers, taken)


def _by_trader(orders: Sequence[Order]) -> dict[str, list[Order]]:
    """Return each trader's own orders, in the order given."""
    own: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        own[order.trader].append(order)
    return own


def _net_out(bids: Sequence[Order], offers: Sequence[Order], taken: dict[str, int]) -> None:
    place = 0
    for bid in bids:
        while place < len(offers) and offers[place].price_ticks <= bid.price_ticks:
            offer = offers[place]
            energy_wh = min(bid.energy_wh - taken[bid.name], offer.energy_wh - taken[offer.name])
            taken[bid.name] += energy_wh
            taken[offer.name] += energy_wh
            if taken[offer.name] < offer.energy_wh:
                break
            place += 1


def _less(orders: Sequence[Order], taken: dict[str, int]) -> list[Order]:
    if not taken:
        return list(orders)
    left = (
        order._replace(energy_wh=order.energy_wh - taken[order.name]) if order.name in taken else order
        for order in orders
    )
    return [order for order in left if order.energy_wh]


def _checked(
    bids: Iterable[Order], offers: Iterable[Order], price_min: int, price_max: int
) -> tuple[list[Order], list[Order]]:
    """Return bids from the dearest and offers from the cheapest on."""
    wanted, stock = list(bids), list(offers)
    names = [order.name for order in (*wanted, *stock)]
    require(len(set(names)) == len(names), "orders", len(names), "names that are each given once")
    for order in (*wanted, *stock):
        require(order.energy_wh > 0, f"{order.name}.energy_wh", order.energy_wh, "positive")
        within = price_min <= order.price_ticks <= price_max
        require(within, f"{order.name}.price_ticks", order.price_ticks, f"{price_min} to {price_max}")
    return sorted(wanted, key=lambda bid: (-bid.price_ticks, bid.time_s, bid.name)), sorted(stock, key=_rank)


def _rank(offer: Order) -> tuple[int, float, str]:
    return offer.price_ticks, offer.time_s, offer.name
