import numpy as np
import pytest

from behaviours.decisions.external_bids import clearing_prices, imbalance_ticks, intraday_bid, judged
from ontology.flexibility import FlexibilityForecast
from ontology.grid import GridState
from ontology.market import ExternalBid, ExternalProduct

GREEN, YELLOW, RED = GridState.GREEN, GridState.YELLOW, GridState.RED


def flexibility(up_w=10_000, cost=300):
    return FlexibilityForecast(
        subject="portfolio",
        start_s=0,
        up_w=[up_w] * 4,
        down_w=[0] * 4,
        duration_max_s=[900] * 4,
        cost_ticks_per_kwh=[cost] * 4,
    )


def bid(energy_wh=-2_000, price=500):
    return ExternalBid(
        bid_id="b1",
        product=ExternalProduct.WS_INTRADAY,
        start_s=900,
        energy_wh=energy_wh,
        price_ticks_per_kwh=price,
    )


def test_reliable_flexibility_is_sold_at_cost_and_margin():
    offered = intraday_bid(flexibility(), 900, 1_000, [GREEN, GREEN], "b1")
    assert offered == bid(energy_wh=-2_000, price=350)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((flexibility(), 900, 1_000, [GREEN, YELLOW]), "a segment is yellow"),
        ((flexibility(), 900, 1_000, [RED]), "a segment is red"),
        ((flexibility(), 900, 340, [GREEN]), "it would not pay"),
        ((flexibility(up_w=100), 900, 1_000, [GREEN]), "it is too little"),
        ((flexibility(), 9_000, 1_000, [GREEN]), "it is beyond the forecast"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_is_bid_when(arguments, why):
    assert intraday_bid(*arguments, "b1") is None


@pytest.mark.parametrize(
    ("offered", "clearing", "states", "accepted"),
    [
        pytest.param(bid(price=500), 500, [GREEN], True, id="a-sale-at-the-clearing-price"),
        pytest.param(bid(price=501), 500, [GREEN], False, id="a-sale-above-it"),
        pytest.param(bid(2_000, 500), 500, [GREEN], True, id="a-purchase-at-it"),
        pytest.param(bid(2_000, 499), 500, [GREEN], False, id="a-purchase-below-it"),
        pytest.param(bid(price=100), 500, [GREEN, YELLOW], False, id="while-yellow"),
        pytest.param(bid(price=100), 500, [RED], False, id="while-red"),
    ],
)
def test_the_emulated_market_accepts(offered, clearing, states, accepted):
    result = judged(offered, clearing, states)
    assert result.accepted is accepted
    assert bool(result.reason) is not accepted
    assert result.price_ticks_per_kwh == clearing


def test_a_seed_gives_the_same_prices_and_another_seed_others():
    one, again, other = (clearing_prices(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_prices_look_like_a_market():
    prices = np.mean([clearing_prices(np.random.default_rng(seed)) for seed in range(40)], axis=0)
    assert 850 < prices.mean() < 1_100
    assert prices[19 * 4] > 1.2 * prices[13 * 4]
    assert clearing_prices(np.random.default_rng(0), 960).min() >= 0


def test_a_deviation_costs_one_and_a_half_times_the_price():
    assert imbalance_ticks(-2_000, -1_000, 800) == 1_200
    assert imbalance_ticks(-2_000, -2_000, 800) == 0
