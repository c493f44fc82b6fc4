import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.external_bids import (
    NORDIC,
    activated_share,
    bid_of,
    clearing_prices,
    imbalance_ticks,
    is_called,
    judged,
    reason_to_refuse,
    settled_sale,
    spare_power,
)
from ontology.flexibility import FlexibilityForecast
from ontology.grid import GridState
from ontology.market import ExternalBid, ExternalProduct
from tests.behaviours.decisions.quick import quick

GREEN, YELLOW, RED = GridState.GREEN, GridState.YELLOW, GridState.RED
INTRADAY, UP, DOWN, MFRR = (
    ExternalProduct.WS_INTRADAY,
    ExternalProduct.FCR_D_UP,
    ExternalProduct.FCR_D_DOWN,
    ExternalProduct.MFRR,
)
SMALL = {product: rules.scaled(0.001) for product, rules in NORDIC.items()}
"""100 W at least, by steps of 100 W."""
START_S = 9_000


def bid(energy_wh=-2_000, price=500, product=INTRADAY):
    return ExternalBid(
        bid_id="b1", product=product, start_s=START_S, energy_wh=energy_wh, price_ticks_per_kwh=price
    )


def test_only_the_reliable_part_of_what_is_forecast_is_sold():
    forecast = FlexibilityForecast(
        subject="portfolio",
        start_s=0,
        up_w=[10_000] * 4,
        down_w=[0] * 4,
        duration_max_s=[900] * 4,
        cost_ticks_per_kwh=[300] * 4,
    )
    assert spare_power(forecast, 900) == 8_000
    assert spare_power(forecast, 9_000) == 0


def test_a_bid_is_in_whole_steps_at_cost_and_margin():
    offered = bid_of(INTRADAY, SMALL[INTRADAY], 8_070, 300, START_S, [GREEN, GREEN])
    assert offered.energy_wh == -2_000
    assert offered.price_ticks_per_kwh == 350
    assert offered.bid_id == "ws-intraday-9000"


def test_what_is_sold_for_high_frequency_is_consumption():
    assert bid_of(DOWN, SMALL[DOWN], 400, 20, START_S, [GREEN]).energy_wh == 100
    assert bid_of(UP, SMALL[UP], 400, 20, START_S, [GREEN]).energy_wh == -100


@pytest.mark.parametrize(
    ("power_w", "cost", "states"),
    [
        pytest.param(8_000, 300, [GREEN, YELLOW], id="a-segment-is-yellow"),
        pytest.param(8_000, 300, [RED], id="a-segment-is-red"),
        pytest.param(8_000, 960, [GREEN], id="it-would-not-pay"),
        pytest.param(90, 300, [GREEN], id="it-is-too-little"),
    ],
)
def test_nothing_is_bid_when(power_w, cost, states):
    assert bid_of(INTRADAY, SMALL[INTRADAY], power_w, cost, START_S, states) is None


def test_without_a_scale_the_nordic_minimum_of_a_tenth_of_a_megawatt_holds():
    assert bid_of(MFRR, NORDIC[MFRR], 99_999, 20, START_S, [GREEN]) is None
    assert bid_of(MFRR, NORDIC[MFRR], 250_000, 20, START_S, [GREEN]).energy_wh == -50_000


@quick
@given(st.sampled_from(list(ExternalProduct)), st.integers(0, 10**6), st.integers(0, 40))
def test_what_is_bid_the_market_takes_and_it_is_never_more_than_there_is(product, power_w, cost):
    offered = bid_of(product, SMALL[product], power_w, cost, START_S, [GREEN])
    if offered is not None:
        assert reason_to_refuse(offered, SMALL[product], 0, [GREEN]) == ""
        assert 100 <= 4 * abs(offered.energy_wh) <= power_w


@pytest.mark.parametrize(
    ("offered", "now_s", "states", "said"),
    [
        pytest.param(bid(), START_S - 3601, [GREEN], "", id="before-the-gate"),
        pytest.param(bid(), START_S - 3600, [GREEN], "gate", id="at-the-gate"),
        pytest.param(bid(product=MFRR), START_S - 2701, [GREEN], "", id="a-later-gate"),
        pytest.param(bid(-20), 0, [GREEN], "at least", id="too-little"),
        pytest.param(bid(-30), 0, [GREEN], "steps", id="between-two-steps"),
        pytest.param(bid(2_000, product=UP), 0, [GREEN], "direction", id="the-wrong-direction"),
        pytest.param(bid(), 0, [GREEN, YELLOW], "GREEN", id="yellow"),
        pytest.param(bid(), 0, [RED], "GREEN", id="red"),
    ],
)
def test_the_book_takes_a_bid_only(offered, now_s, states, said):
    reason = reason_to_refuse(offered, SMALL[offered.product], now_s, states)
    assert said in reason
    assert bool(reason) is bool(said)


@pytest.mark.parametrize(
    ("offered", "clearing", "states", "accepted"),
    [
        pytest.param(bid(price=500), 500, [GREEN], True, id="a-sale-at-the-clearing-price"),
        pytest.param(bid(price=501), 500, [GREEN], False, id="a-sale-above-it"),
        pytest.param(bid(2_000, 500), 500, [GREEN], True, id="a-purchase-at-it"),
        pytest.param(bid(2_000, 499), 500, [GREEN], False, id="a-purchase-below-it"),
        pytest.param(bid(2_000, 499, DOWN), 500, [GREEN], True, id="a-reserve-that-consumes-is-a-sale"),
        pytest.param(bid(price=100), 500, [GREEN, YELLOW], False, id="while-yellow"),
        pytest.param(bid(price=100), 500, [RED], False, id="while-red"),
    ],
)
def test_the_emulated_market_accepts(offered, clearing, states, accepted):
    result = judged(offered, clearing, states)
    assert result.accepted is accepted
    assert bool(result.reason) is not accepted
    assert result.price_ticks_per_kwh == clearing


@pytest.mark.parametrize(
    ("frequency_hz", "up", "down"),
    [(50.0, 0, 0), (49.9, 0, 0), (49.7, 0.5, 0), (49.4, 1, 0), (50.3, 0, 0.5), (50.6, 0, 1)],
)
def test_the_frequency_calls_for_reserves_along_the_droop(frequency_hz, up, down):
    assert activated_share(UP, frequency_hz) == pytest.approx(up, abs=1e-6)
    assert activated_share(DOWN, frequency_hz) == pytest.approx(down, abs=1e-6)


def test_about_three_reserves_in_ten_are_called():
    called = [is_called(np.random.default_rng([1, start_s])) for start_s in range(2_000)]
    assert 0.25 < np.mean(called) < 0.35


def test_energy_that_was_sold_and_not_delivered_is_paid_for_one_and_a_half_times():
    whole = settled_sale(bid(), 1_000, 1_200, -2_000, -2_000)
    assert (whole.energy_ticks, whole.imbalance_ticks, whole.capacity_ticks) == (2_000, 0, 0)
    nothing = settled_sale(bid(), 1_000, 1_000, -2_000, 0)
    assert nothing.energy_ticks - nothing.imbalance_ticks == 2_000 - 3_000


def test_a_reserve_is_paid_for_being_there_and_for_what_was_called():
    idle = settled_sale(bid(product=MFRR), 100, 1_000, 0, 0)
    assert (idle.capacity_ticks, idle.energy_ticks, idle.imbalance_ticks) == (200, 0, 0)
    called = settled_sale(bid(product=MFRR), 100, 1_000, -2_000, -1_500)
    assert (called.capacity_ticks, called.energy_ticks, called.imbalance_ticks) == (200, 2_000, 750)


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
