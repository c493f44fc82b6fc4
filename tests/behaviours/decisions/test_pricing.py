from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.pricing import (
    community_prices,
    effective_parameters,
    flow_ahead,
    flow_rate,
    forward_prices,
    interval_prices,
    price_profile,
    prices_with_block,
    usual_prices,
)
from ontology.errors import InvalidInput
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, FlowRule, LemParameters, PriceProfile
from tests.behaviours.decisions.quick import quick

energies = st.integers(min_value=0, max_value=10**9)


NO_FLOW = st.just(0)


@st.composite
def tariffs(draw, beta=NO_FLOW):
    sell_usual, sell_peer, buy_peer, buy_usual = sorted(draw(st.tuples(*[st.integers(0, 20_000)] * 4)))
    return LemParameters(
        case=GridState.GREEN,
        buy_usual_ticks_per_kwh=buy_usual,
        sell_usual_ticks_per_kwh=sell_usual,
        buy_peer_ticks_per_kwh=buy_peer,
        sell_peer_ticks_per_kwh=sell_peer,
        beta_ticks_per_kwh2=draw(beta),
    )


SPEC_2_2_VECTORS = [
    pytest.param(GREEN_PARAMETERS, 10_000, 4_000, 1760, 800, id="more-is-consumed"),
    pytest.param(GREEN_PARAMETERS, 4_000, 10_000, 1400, 710, id="more-is-produced"),
    pytest.param(GREEN_PARAMETERS, 5_000, 5_000, 1400, 800, id="balanced"),
    pytest.param(GREEN_PARAMETERS, 10_000, 0, 2000, 650, id="nothing-produced"),
    pytest.param(GREEN_PARAMETERS, 0, 10_000, 2000, 650, id="nothing-consumed"),
    pytest.param(GREEN_PARAMETERS, 0, 0, 2000, 650, id="an-idle-community"),
    pytest.param(YELLOW_PARAMETERS, 10_000, 4_000, 2000, 800, id="yellow"),
]


@pytest.mark.parametrize(("tariff", "consumed_wh", "produced_wh", "buy", "sell"), SPEC_2_2_VECTORS)
def test_the_prices_are_those_of_the_specification(tariff, consumed_wh, produced_wh, buy, sell):
    assert community_prices(consumed_wh, produced_wh, tariff) == (buy, sell)


@pytest.mark.parametrize(("tariff", "consumed_wh", "produced_wh", "buy", "sell"), SPEC_2_2_VECTORS)
def test_forward_prices_are_settled_prices_for_the_same_energies(tariff, consumed_wh, produced_wh, buy, sell):
    buying, selling = forward_prices([consumed_wh] * 96, [produced_wh] * 96, tariff)
    assert set(buying) == {buy}
    assert set(selling) == {sell}


def test_prices_are_exact_rationals():
    assert community_prices(3, 1, GREEN_PARAMETERS).buy == Fraction(1800)
    assert community_prices(7, 1, GREEN_PARAMETERS).buy == 2000 - Fraction(600, 7)


@quick
@given(energies, energies, tariffs())
def test_prices_lie_between_peer_and_usual(consumed_wh, produced_wh, tariff):
    prices = community_prices(consumed_wh, produced_wh, tariff)
    assert tariff.sell_usual_ticks_per_kwh <= prices.sell <= tariff.sell_peer_ticks_per_kwh
    assert tariff.buy_peer_ticks_per_kwh <= prices.buy <= tariff.buy_usual_ticks_per_kwh


@quick
@given(energies, energies, tariffs())
def test_prices_when_red_are_usual_whatever_is_produced(consumed_wh, produced_wh, tariff):
    assert interval_prices(consumed_wh, produced_wh, tariff, GridState.RED) == usual_prices(tariff)


@quick
@given(st.lists(st.tuples(energies, energies), max_size=20), tariffs())
def test_forward_prices_are_the_exact_ones_rounded_half_to_even(pairs, tariff):
    buying, selling = forward_prices([c for c, _ in pairs], [p for _, p in pairs], tariff)
    exact = [community_prices(consumed, produced, tariff) for consumed, produced in pairs]
    assert buying.tolist() == [round(prices.buy) for prices in exact]
    assert selling.tolist() == [round(prices.sell) for prices in exact]


def test_a_profile_carries_prices_and_the_energies_behind_them():
    profile = price_profile(900, [10_000, 0], [4_000, 10_000], GREEN_PARAMETERS)
    assert profile.buy_ticks_per_kwh == [1760, 2000]
    assert profile.sell_ticks_per_kwh == [800, 650]
    assert profile.consumed_wh == [10_000, 0]


def test_forward_prices_of_a_red_tariff_are_usual():
    red = effective_parameters(all_zero(GridState.RED), GridState.RED)
    buying, selling = forward_prices([10_000], [4_000], red)
    assert (buying[0], selling[0]) == (2400, 630)


def test_a_market_with_four_zero_prices_gets_the_defaults_of_its_state():
    assert effective_parameters(all_zero(GridState.GREEN), GridState.GREEN) == GREEN_PARAMETERS
    assert effective_parameters(all_zero(GridState.YELLOW), GridState.YELLOW) == YELLOW_PARAMETERS
    assert effective_parameters(GREEN_PARAMETERS, GridState.YELLOW) is GREEN_PARAMETERS


def test_the_published_flow_charge_grows_with_the_community_and_that_of_a_player_does_not():
    """SPEC 2.2: beta 0.025, E = 6 kWh: 0.15 a kWh; among 30 players it is a thirtieth."""
    shared = msgspec.structs.replace(YELLOW_PARAMETERS, flow_rule=FlowRule.PER_PLAYER)
    assert flow_rate(6_000, 30, YELLOW_PARAMETERS, GridState.YELLOW) == 1_500
    assert flow_rate(6_000, 30, shared, GridState.YELLOW) == 50
    assert flow_rate(60_000, 300, shared, GridState.YELLOW) == 50


def test_in_red_no_flow_is_charged():
    assert flow_rate(6_000, 30, YELLOW_PARAMETERS, GridState.RED) == 0


def test_a_plan_expects_the_charge_of_the_forecast_and_that_others_shift_as_it_does():
    shared = msgspec.structs.replace(YELLOW_PARAMETERS, flow_rule=FlowRule.PER_PLAYER)
    flow = flow_ahead([6_000, -3_000], 30, shared, [2_000, 0], reacting=0.5)
    assert flow.ticks_per_kwh == [50.0, -25.0]
    assert flow.at(0, 2_000) == 50.0
    assert flow.at(0, 3_000) == pytest.approx(50 + 15 * 0.25 * 250 / 30)  # 15 players with 250 Wh more each


def test_without_beta_there_is_nothing_to_plan_for():
    assert flow_ahead([6_000], 30, GREEN_PARAMETERS, [0], reacting=0.25) is None


def test_negative_energy_is_refused():
    with pytest.raises(InvalidInput, match="consumed_wh"):
        community_prices(-1, 0, GREEN_PARAMETERS)
    with pytest.raises(InvalidInput, match="produced_wh"):
        forward_prices([1, 1], [0, -1], GREEN_PARAMETERS)


def test_profiles_of_different_lengths_are_refused():
    with pytest.raises(InvalidInput, match="produced_wh"):
        forward_prices(np.zeros(96), np.zeros(95), GREEN_PARAMETERS)


def all_zero(state):
    return LemParameters(
        case=state,
        buy_usual_ticks_per_kwh=0,
        sell_usual_ticks_per_kwh=0,
        buy_peer_ticks_per_kwh=0,
        sell_peer_ticks_per_kwh=0,
    )


def test_surplus_that_nobody_takes_yet_is_cheap_for_a_device_that_would_take_it():
    nobody = PriceProfile(
        start_s=0,
        buy_ticks_per_kwh=[2000],
        sell_ticks_per_kwh=[650],
        basis="",
        consumed_wh=[0],
        produced_wh=[1000],
    )
    buy, sell = prices_with_block(nobody, GREEN_PARAMETERS)
    assert buy == [1400]  # a block of 500 Wh lies within the surplus: a peer's price
    assert sell == [650]


def test_a_block_larger_than_the_surplus_pays_the_supplier_for_the_rest():
    little = PriceProfile(
        start_s=0,
        buy_ticks_per_kwh=[2000],
        sell_ticks_per_kwh=[650],
        basis="",
        consumed_wh=[0],
        produced_wh=[100],
    )
    buy, _ = prices_with_block(little, GREEN_PARAMETERS)
    assert buy == [1880]  # a fifth at the peer's price
