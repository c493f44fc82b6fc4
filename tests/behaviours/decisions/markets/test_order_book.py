"""Double auctions: who trades with whom, how much, at what price."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.markets.order_book import Order, pay_as_bid, pay_as_clear
from ontology.errors import InvalidInput
from tests.behaviours.decisions.quick import quick

TRADERS = st.sampled_from("abcde")
BOTH = pytest.mark.parametrize("auction", [pay_as_bid, pay_as_clear])


def orders(side):
    parts = st.tuples(TRADERS, st.integers(1, 500), st.integers(0, 40), st.integers(0, 3))
    return st.lists(parts, max_size=25).map(
        lambda drawn: [
            Order(f"{side}{i}", who, wh, price, time) for i, (who, wh, price, time) in enumerate(drawn)
        ]
    )


def bid(name, energy_wh, price, trader="", time_s=0, partners=()):
    return Order(name, trader or name, energy_wh, price, time_s, frozenset(partners))


def said(trades):
    return [(t.bid.name, t.offer.name, t.energy_wh, t.price_ticks) for t in trades]


# -- as bid ------------------------------------------------------------------------------------------


def test_the_dearest_bid_gets_the_cheapest_offer_and_pays_what_it_bid():
    bids = [bid("low", 100, 15), bid("high", 100, 20)]
    offers = [bid("dear", 100, 14), bid("cheap", 150, 8)]
    assert said(pay_as_bid(bids, offers)) == [
        ("high", "cheap", 100, 20),
        ("low", "cheap", 50, 15),
        ("low", "dear", 50, 15),
    ]


def test_at_one_price_the_earlier_order_goes_first_and_then_the_name_decides():
    offers = [bid("c", 1, 5, time_s=2), bid("b", 1, 5, time_s=1), bid("a", 1, 5, time_s=2)]
    assert [t.offer.name for t in pay_as_bid([bid("x", 3, 9)], offers)] == ["b", "a", "c"]


def test_nobody_trades_with_itself_and_the_next_best_offer_is_taken():
    offers = [bid("own", 10, 1, trader="ann"), bid("other", 10, 7, trader="bob")]
    assert said(pay_as_bid([bid("x", 10, 9, trader="ann")], offers)) == [("x", "other", 10, 9)]
    later = [bid("x", 10, 9, trader="ann"), bid("y", 10, 3, trader="eve")]
    assert said(pay_as_bid(later, offers)) == [("x", "other", 10, 9), ("y", "own", 10, 3)]


def test_preferred_partners_are_served_first_where_their_price_allows():
    offers = [bid("cheap", 10, 1), bid("friend", 6, 8), bid("dear friend", 9, 30)]
    wish = bid("x", 10, 9, partners=["friend", "dear friend"])
    assert said(pay_as_bid([wish], offers)) == [("x", "friend", 6, 9), ("x", "cheap", 4, 9)]


# -- at one price ------------------------------------------------------------------------------------


def test_all_trade_at_one_price_between_the_last_that_trade():
    bids = [bid("a", 10, 30), bid("b", 10, 20), bid("c", 10, 9)]
    offers = [bid("x", 10, 5), bid("y", 10, 12), bid("z", 10, 25)]
    assert said(pay_as_clear(bids, offers)) == [("a", "x", 10, 16), ("b", "y", 10, 16)]


def test_an_order_that_is_filled_in_part_sets_the_price():
    trades = pay_as_clear([bid("a", 15, 30)], [bid("x", 10, 5), bid("y", 50, 12)])
    assert {trade.price_ticks for trade in trades} == {12}
    assert sum(trade.energy_wh for trade in trades) == 15


def test_orders_of_one_trader_that_cross_are_netted():
    bids = [bid("mine", 10, 30, trader="ann"), bid("b", 5, 20)]
    offers = [bid("also mine", 8, 5, trader="ann"), bid("y", 10, 12)]
    trades = pay_as_clear(bids, offers)
    assert {(t.bid.trader, t.offer.trader) for t in trades} == {("ann", "y"), ("b", "y")}
    assert sum(t.energy_wh for t in trades if t.bid.trader == "ann") == 2


# -- of both -----------------------------------------------------------------------------------------


@BOTH
@quick
@given(bids=orders("b"), offers=orders("o"))
def test_nobody_gives_or_takes_more_than_ordered_or_at_a_worse_price(auction, bids, offers):
    moved = defaultdict(int)
    for trade in auction(bids, offers):
        assert trade.energy_wh > 0
        assert trade.offer.price_ticks <= trade.price_ticks <= trade.bid.price_ticks
        assert trade.bid.trader != trade.offer.trader
        moved[trade.bid.name] += trade.energy_wh
        moved[trade.offer.name] += trade.energy_wh
    assert all(moved[order.name] <= order.energy_wh for order in (*bids, *offers))


@BOTH
@quick
@given(bids=orders("b"), offers=orders("o"))
def test_nothing_that_crosses_is_left_uncleared(auction, bids, offers):
    if auction is pay_as_clear:  # what a trader would trade with itself is not in the market
        offers = [order._replace(trader=order.trader.upper()) for order in offers]
    left = {order.name: order.energy_wh for order in (*bids, *offers)}
    for trade in auction(bids, offers):
        left[trade.bid.name] -= trade.energy_wh
        left[trade.offer.name] -= trade.energy_wh
    for b in bids:
        for o in offers:
            crosses = b.price_ticks >= o.price_ticks and b.trader != o.trader
            assert not (crosses and left[b.name] and left[o.name])


@quick
@given(bids=orders("b"), offers=orders("o"))
def test_at_one_price_nobody_who_would_have_paid_more_goes_empty(bids, offers):
    offers = [order._replace(trader=order.trader.upper()) for order in offers]
    trades = pay_as_clear(bids, offers)
    assert len({trade.price_ticks for trade in trades}) <= 1
    for price in {trade.price_ticks for trade in trades}:
        bought = defaultdict(int)
        for trade in trades:
            bought[trade.bid.name] += trade.energy_wh
            bought[trade.offer.name] += trade.energy_wh
        assert all(bought[b.name] == b.energy_wh for b in bids if b.price_ticks > price)
        assert all(bought[o.name] == o.energy_wh for o in offers if o.price_ticks < price)


@BOTH
@quick
@given(bids=orders("b"), offers=orders("o"), seed=st.randoms())
def test_the_order_in_which_they_arrive_changes_nothing(auction, bids, offers, seed):
    known = auction(bids, offers)
    shuffled = sorted(bids, key=lambda _: seed.random()), sorted(offers, key=lambda _: seed.random())
    assert auction(*shuffled) == known


@BOTH
@pytest.mark.parametrize(
    ("orders", "field"),
    [
        ([bid("a", 0, 5)], "a.energy_wh"),
        ([bid("a", 1, 99)], "a.price_ticks"),
        ([bid("a", 1, 5), bid("a", 2, 5)], "orders"),
    ],
)
def test_orders_that_are_none_are_refused(auction, orders, field):
    with pytest.raises(InvalidInput, match=field):
        auction(orders, [], price_min=1, price_max=50)
