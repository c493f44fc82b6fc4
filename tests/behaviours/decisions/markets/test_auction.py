"""An auction over what was metered, and its settlement in tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.markets.auction import MeteredOrder, auction_outcome, limits_of_plan
from behaviours.decisions.settlement import MeteredEnergy, settle_interval
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, LemParameters, Mechanism
from tests.behaviours.decisions.quick import quick

AUCTIONS = [Mechanism.PAY_AS_BID, Mechanism.PAY_AS_CLEAR]
LIMITS = st.none() | st.integers(0, 3000)
ROWS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), LIMITS, LIMITS), max_size=10).map(
    lambda drawn: [
        MeteredEnergy(f"p{i}", consumed, produced, buy_limit=buy, sell_limit=sell)
        for i, (consumed, produced, buy, sell) in enumerate(drawn)
    ]
)


def tariff(mechanism, beta=0):
    green = GREEN_PARAMETERS
    return LemParameters(
        case=GridState.GREEN,
        buy_usual_ticks_per_kwh=green.buy_usual_ticks_per_kwh,
        sell_usual_ticks_per_kwh=green.sell_usual_ticks_per_kwh,
        buy_peer_ticks_per_kwh=green.buy_peer_ticks_per_kwh,
        sell_peer_ticks_per_kwh=green.sell_peer_ticks_per_kwh,
        beta_ticks_per_kwh2=beta,
        mechanism=mechanism,
    )


def settle(rows, mechanism, state=GridState.GREEN, beta=0):
    return settle_interval(
        rows,
        tariff(mechanism, beta),
        state,
        10_000,
        start_s=900,
        segment_id="lv1",
        aggregator="aggregator",
        grid="supplier",
    )


def test_what_nobody_took_is_sold_to_the_supplier():
    rows = [MeteredOrder("ann", 1000, 0, buy_limit=1500), MeteredOrder("bob", 0, 3000, sell_limit=900)]
    outcome = auction_outcome(rows, tariff(Mechanism.PAY_AS_BID))
    assert outcome.traded_wh == 1000
    assert outcome.paid["ann"] == 1000 * 1500
    assert outcome.earned["bob"] == 1000 * 1500 + 2000 * 650


def test_who_asks_more_than_anybody_pays_does_not_trade():
    rows = [MeteredOrder("ann", 1000, 0, buy_limit=800), MeteredOrder("bob", 0, 3000, sell_limit=900)]
    outcome = auction_outcome(rows, tariff(Mechanism.PAY_AS_CLEAR))
    assert outcome.traded_wh == 0
    assert outcome.paid["ann"] == 1000 * 2000


def test_a_preferred_neighbour_is_bought_from_first():
    rows = [
        MeteredOrder("ann", 1000, 0, partners=frozenset({"eve"})),
        MeteredOrder("bob", 0, 1000, sell_limit=700),
        MeteredOrder("eve", 0, 1000, sell_limit=900),
    ]
    outcome = auction_outcome(rows, tariff(Mechanism.PAY_AS_BID))
    assert outcome.earned == {"ann": 0, "bob": 1000 * 650, "eve": 1000 * 2000}


@pytest.mark.parametrize("mechanism", AUCTIONS)
@quick
@given(rows=ROWS, beta=st.sampled_from([0, 250]))
def test_tokens_balance_and_parts_add_up(mechanism, rows, beta):
    settlement = settle(rows, mechanism, beta=beta)
    assert sum(settlement.entries.values()) == 0
    for row in settlement.result.rows:
        assert row.tokens_net == row.tokens_production - row.tokens_consumption - row.tokens_flow


@pytest.mark.parametrize("mechanism", AUCTIONS)
@quick
@given(rows=ROWS)
def test_nobody_is_worse_off_than_with_the_supplier_and_the_aggregator_neither_gains_nor_loses(
    mechanism, rows
):
    settlement = settle(rows, mechanism)
    for row in settlement.result.rows:
        usual = round(row.produced_wh * 650 / 1000) - round(row.consumed_wh * 2000 / 1000)
        assert row.tokens_net >= usual - 1
    assert abs(settlement.entries["aggregator"]) <= len(rows) + 1


@pytest.mark.parametrize("mechanism", list(Mechanism))
@quick
@given(rows=ROWS)
def test_in_red_all_mechanisms_settle_alike(mechanism, rows):
    red = settle(rows, mechanism, GridState.RED)
    assert red.entries == settle(rows, Mechanism.COMMUNITY, GridState.RED).entries


def test_results_of_different_mechanisms_have_different_hashes():
    rows = [MeteredEnergy("ann", 1000, 0), MeteredEnergy("bob", 0, 1000)]
    assert len({settle(rows, mechanism).result.result_hash for mechanism in Mechanism}) == len(Mechanism)


def test_what_cannot_wait_is_worth_the_usual_price_and_what_can_wait_the_cheapest_hour():
    buy, sell = [2000, 1800, 1400], [700, 700, 800]
    assert limits_of_plan(buy, sell, 0.0) == (2000, 700)
    assert limits_of_plan(buy, sell, 1.0) == (round(1400 / 0.9), 1800)
    assert limits_of_plan(buy, sell, 0.5) == (round((2000 + 1400 / 0.9) / 2), 1250)
