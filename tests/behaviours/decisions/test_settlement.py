from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.pricing import community_prices, interval_prices
from behaviours.decisions.settlement import (
    MeteredEnergy,
    estimated_energy,
    metered_energy,
    settle_interval,
)
from ontology.errors import InvalidInput
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, FlowRule, LemDataset
from ontology.measurements import IntervalReading
from tests.behaviours.decisions.quick import quick
from tests.behaviours.decisions.test_pricing import tariffs

WH = st.integers(0, 50_000)
ROWS = st.lists(st.tuples(WH, WH), max_size=12).map(
    lambda pairs: [MeteredEnergy(f"p{i:02d}", c, p) for i, (c, p) in enumerate(pairs)]
)
STATES = st.sampled_from(list(GridState))
BETAS = st.integers(0, 5000)
TOKENS = st.integers(1, 100_000)


def settle(rows, tariff=GREEN_PARAMETERS, state=GridState.GREEN, tokens_per_currency=1000, **other):
    place = {"start_s": 900, "segment_id": "lv1", "aggregator": "aggregator", "grid": "supplier"}
    return settle_interval(rows, tariff, state, tokens_per_currency, **{**place, **other})


def tokens(exact_ticks_wh, tokens_per_currency):
    """Exact tokens for Wh times ticks per kWh."""
    return Fraction(exact_ticks_wh) * tokens_per_currency / 10_000_000


def test_a_neighbour_with_sun_is_paid_and_one_without_pays():
    consumer, producer = MeteredEnergy("ann", 10_000, 0), MeteredEnergy("bob", 0, 4_000)
    settlement = settle([producer, consumer])
    assert settlement.entries == {"ann": -1760, "bob": 320, "supplier": 1200, "aggregator": 240}
    assert [row.player for row in settlement.result.rows] == ["ann", "bob"]
    assert settlement.result.buy_price_ticks_per_kwh == 1760.0


@pytest.mark.parametrize(
    ("tariff", "consumed_wh", "produced_wh", "margin"),
    [
        (GREEN_PARAMETERS, 10_000, 4_000, 240),
        (GREEN_PARAMETERS, 4_000, 10_000, 240),
        (GREEN_PARAMETERS, 5_000, 5_000, 300),
        (GREEN_PARAMETERS, 10_000, 0, 0),
        (GREEN_PARAMETERS, 0, 10_000, 0),
    ],
)
def test_the_aggregator_keeps_the_peer_margin_of_the_specification(tariff, consumed_wh, produced_wh, margin):
    rows = [MeteredEnergy("ann", consumed_wh, 0), MeteredEnergy("bob", 0, produced_wh)]
    assert settle(rows, tariff).entries["aggregator"] == margin


def test_in_yellow_the_flow_charge_comes_on_top_of_the_margin():
    rows = [MeteredEnergy("ann", 10_000, 0), MeteredEnergy("bob", 0, 4_000)]
    settlement = settle(rows, YELLOW_PARAMETERS, GridState.YELLOW)
    ann, bob = settlement.result.rows
    assert (ann.tokens_consumption, ann.tokens_flow) == (2000, 1500)
    assert (bob.tokens_production, bob.tokens_flow) == (320, -320)  # -600, capped at what it earned
    assert settlement.entries["aggregator"] == 240 + 1500 - 320


def test_shared_among_the_players_the_same_flow_costs_each_what_the_mean_household_would_pay():
    """Ten households that draw 1 kWh each: 0.24 for the energy and beta · 1 kWh, whatever their number."""
    shared = msgspec.structs.replace(YELLOW_PARAMETERS, flow_rule=FlowRule.PER_PLAYER)
    for number in (1, 10, 40):
        rows = [MeteredEnergy(f"p{i:02d}", 1_000, 0) for i in range(number)]
        settlement = settle(rows, shared, GridState.YELLOW)
        assert {row.tokens_net for row in settlement.result.rows} == {-265}
        assert (settlement.result.players, settlement.result.flow_ticks_per_kwh) == (number, 250)


@quick
@given(ROWS, BETAS, TOKENS)
def test_shared_flow_charges_sum_to_beta_times_the_net_squared_a_player(rows, beta, tokens_per_currency):
    tariff = msgspec.structs.replace(
        YELLOW_PARAMETERS, beta_ticks_per_kwh2=beta, flow_rule=FlowRule.PER_PLAYER
    )
    settlement = settle(rows, tariff, GridState.YELLOW, tokens_per_currency, flow_cap=10**9)
    net_wh = sum(row.consumed_wh - row.produced_wh for row in rows)
    exact = Fraction(beta * net_wh**2 * tokens_per_currency, 10**10 * max(1, len(rows)))
    charged = sum(row.tokens_flow for row in settlement.result.rows if row.consumed_wh or row.produced_wh)
    assert abs(charged - exact) <= 2 * len(rows)


def test_another_flow_rule_gives_another_hash():
    rows = [MeteredEnergy("ann", 0, 0)]
    shared = msgspec.structs.replace(YELLOW_PARAMETERS, flow_rule=FlowRule.PER_PLAYER)
    one, other = (settle(rows, tariff, GridState.YELLOW) for tariff in (YELLOW_PARAMETERS, shared))
    assert one.entries == other.entries
    assert one.result.result_hash != other.result.result_hash


def test_in_red_everyone_trades_with_the_supplier_as_usual():
    rows = [MeteredEnergy("ann", 10_000, 0), MeteredEnergy("bob", 0, 4_000)]
    settlement = settle(rows, YELLOW_PARAMETERS, GridState.RED)
    assert settlement.entries == {"ann": -2400, "bob": 252, "supplier": 2148, "aggregator": 0}
    assert all(row.tokens_flow == 0 for row in settlement.result.rows)


@quick
@given(ROWS, tariffs(BETAS), STATES, TOKENS)
def test_every_batch_sums_to_zero(rows, tariff, state, tokens_per_currency):
    assert sum(settle(rows, tariff, state, tokens_per_currency).entries.values()) == 0


@quick
@given(ROWS, tariffs(BETAS), STATES, TOKENS)
def test_the_parts_of_a_row_add_up_to_its_net(rows, tariff, state, tokens_per_currency):
    for row in settle(rows, tariff, state, tokens_per_currency).result.rows:
        assert row.tokens_net == row.tokens_production - row.tokens_consumption - row.tokens_flow


@quick
@given(ROWS, tariffs(BETAS), STATES, TOKENS)
def test_each_account_is_the_exact_amount_rounded_once_half_to_even(rows, tariff, state, tokens_per_currency):
    settlement = settle(rows, tariff, state, tokens_per_currency)
    for row in rows:
        exact = exact_net(row, rows, tariff, state, tokens_per_currency)
        assert settlement.entries[row.player] == round(exact)


@quick
@given(ROWS, tariffs(), TOKENS)
def test_without_a_flow_charge_nobody_pays_more_than_as_usual(rows, tariff, tokens_per_currency):
    entries = settle(rows, tariff, GridState.GREEN, tokens_per_currency).entries
    for row in rows:
        produced = row.produced_wh * tariff.sell_usual_ticks_per_kwh
        consumed = row.consumed_wh * tariff.buy_usual_ticks_per_kwh
        assert entries[row.player] >= tokens(produced - consumed, tokens_per_currency) - 1


@quick
@given(ROWS, tariffs(), TOKENS)
def test_the_aggregator_holds_the_margin_up_to_one_token_an_account(rows, tariff, tokens_per_currency):
    settlement = settle(rows, tariff, GridState.GREEN, tokens_per_currency)
    shared_wh = min(settlement.result.consumed_wh, settlement.result.produced_wh)
    spread = tariff.buy_peer_ticks_per_kwh - tariff.sell_peer_ticks_per_kwh
    assert abs(settlement.entries["aggregator"] - tokens(shared_wh * spread, tokens_per_currency)) <= 1 + len(
        rows
    )


@quick
@given(ROWS, BETAS, TOKENS)
def test_flow_charges_sum_to_beta_times_the_net_squared_before_the_cap(rows, beta, tokens_per_currency):
    tariff = YELLOW_PARAMETERS.__class__(
        case=GridState.YELLOW,
        buy_usual_ticks_per_kwh=2400,
        sell_usual_ticks_per_kwh=630,
        buy_peer_ticks_per_kwh=1400,
        sell_peer_ticks_per_kwh=800,
        beta_ticks_per_kwh2=beta,
    )
    settlement = settle(rows, tariff, GridState.YELLOW, tokens_per_currency, flow_cap=10**9)
    net_wh = sum(row.consumed_wh - row.produced_wh for row in rows)
    exact = Fraction(beta * net_wh * net_wh * tokens_per_currency, 10_000_000_000)
    charged = sum(row.tokens_flow for row in settlement.result.rows)
    if all(row.consumed_wh + row.produced_wh for row in rows):
        assert abs(charged - exact) <= 2 * len(rows)


@quick
@given(ROWS, tariffs(BETAS), TOKENS)
def test_a_flow_charge_never_exceeds_the_payments(rows, tariff, tokens_per_currency):
    for row in settle(rows, tariff, GridState.YELLOW, tokens_per_currency).result.rows:
        assert abs(row.tokens_flow) <= row.tokens_consumption + row.tokens_production + 3


@quick
@given(ROWS, tariffs(BETAS), STATES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, tariff, state, shuffler):
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert settle(shuffled, tariff, state) == settle(rows, tariff, state)


def test_the_hash_tells_any_difference():
    rows = [MeteredEnergy("ann", 10_000, 0), MeteredEnergy("bob", 0, 4_000)]
    known = settle(rows).result.result_hash
    assert settle(rows).result.result_hash == known
    assert settle(rows, start_s=1800).result.result_hash != known
    assert settle(rows, tokens_per_currency=999).result.result_hash != known
    assert settle([rows[0], MeteredEnergy("bob", 0, 4_000, True)]).result.result_hash != known


def test_an_interval_without_players_moves_nothing():
    assert settle([]).entries == {"supplier": 0, "aggregator": 0}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([MeteredEnergy("ann", -1, 0)], "negative"),
        ([MeteredEnergy("ann", 1, 0), MeteredEnergy("ann", 2, 0)], "each account once"),
        ([MeteredEnergy("supplier", 1, 0)], "each account once"),
    ],
)
def test_rows_that_cannot_be_settled_are_refused(rows, said):
    with pytest.raises(InvalidInput, match=said):
        settle(rows)


def test_a_missing_reading_is_estimated_from_the_last_forecast_and_flagged():
    dataset = a_dataset(consumption_w=[400, 800, 1200], production_w=[0, 0, 2000])
    assert estimated_energy(dataset, 1800) == MeteredEnergy("ann", 200, 0, estimated=True)
    assert estimated_energy(dataset, 2700).consumed_wh == 300
    assert estimated_energy(dataset, 900 * 50) == estimated_energy(dataset, 2700)


def test_without_a_forecast_the_last_reading_is_repeated():
    dataset = a_dataset(consumption_w=[], production_w=[])
    assert metered_energy(dataset) == MeteredEnergy("ann", 111, 22)
    assert estimated_energy(dataset, 1800) == MeteredEnergy("ann", 111, 22, estimated=True)


def a_dataset(consumption_w, production_w):
    reading = IntervalReading(
        subject="ann", start_s=0, consumed_wh=111, produced_wh=22, consumed_w=444, produced_w=88
    )
    return LemDataset(
        player="ann",
        start_s=0,
        reading=reading,
        forecast_start_s=900,
        consumption_w=consumption_w,
        production_w=production_w,
        source_hash="",
    )


def exact_net(row, rows, tariff, state, tokens_per_currency):
    consumed_wh = sum(each.consumed_wh for each in rows)
    produced_wh = sum(each.produced_wh for each in rows)
    prices = interval_prices(consumed_wh, produced_wh, tariff, state)
    consumption = tokens(row.consumed_wh * prices.buy, tokens_per_currency)
    production = tokens(row.produced_wh * prices.sell, tokens_per_currency)
    if state is GridState.RED:
        return production - consumption
    assert prices == community_prices(consumed_wh, produced_wh, tariff)
    pushed = (row.consumed_wh - row.produced_wh) * (consumed_wh - produced_wh)
    flow = Fraction(tariff.beta_ticks_per_kwh2 * pushed * tokens_per_currency, 10_000_000_000)
    cap = consumption + production
    return production - consumption - max(-cap, min(cap, flow))
