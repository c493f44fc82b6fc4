"""A winter evening on a feeder: bought flexibility keeps it out of RED, or else direct control must."""

import asyncio

import numpy as np
import pytest
from recorded_run import RecordedRun
from scenario_helpers import SCENARIOS, assert_same_tables

from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from launch.comparison import checked, compared_rows
from launch.congestion_chart import draw_congestion
from launch.live import LiveCommunity
from launch.results import run_tables
from launch.run_folder import RunResult
from launch.scenario import load_scenario
from launch.series import Series
from ontology.discourse import Query, QueryResult
from ontology.errors import Refused
from ontology.flexibility_trading import DRSignal
from ontology.marketplace import AcquiredFlexibility, FlexibilityContract, MarketplaceState
from ontology.performatives import Performative

pytestmark = pytest.mark.slow

EVENING = SCENARIOS / "evening.yaml"
UNTIL = 29
"""Intervals until the worst is over and the first orders are settled."""


def evening(active, intervals=UNTIL):
    """Return the evening with or without the flexibility market."""
    return load_scenario(EVENING, {"flexibility_market.active": active, "intervals": intervals})


def ran(active):
    run = RecordedRun(evening(active))
    run.step(UNTIL)
    run.offline.settle()
    return run


def result_of(run):
    return checked(RunResult(run.scenario, run.tables(), "offline", True, 0, 0.0))


def states(run):
    return set(run.tables().grid["grid_state"])


@pytest.fixture(scope="module")
def bought():
    return ran(True)


@pytest.fixture(scope="module")
def commanded():
    return ran(False)


def test_with_the_market_the_light_turns_yellow_and_never_red(bought):
    assert states(bought) == {"GREEN", "YELLOW"}
    assert max(bought.tables().grid["loading"]) < 1.0
    assert not list(bought.noted(DRSignal))


def test_flexibility_is_ordered_before_it_is_needed_and_nine_tenths_are_delivered(bought):
    trade = bought.tables().flexibility
    settled = trade["state"] == "SETTLED"
    assert settled.any()
    assert sum(trade["delivered_wh"][settled]) / sum(trade["ordered_wh"][settled]) > 0.85


def test_who_delivers_honestly_earns_more_than_its_penalties(bought):
    trade = bought.tables().flexibility
    assert sum(trade["earned_ticks"]) > 2 * sum(trade["penalty_ticks"])


def test_the_feeder_draws_less_than_it_would_have_where_flexibility_was_delivered(bought, commanded):
    with_it, without = (run.tables().grid["loading_foreseen"] for run in (bought, commanded))
    relieved = np.unique(bought.tables().acquired["start_s"])
    at = np.isin(bought.tables().grid["start_s"], relieved)
    assert max(without[at]) > 1.0 > max(with_it[at])


def test_without_the_market_it_turns_red_and_direct_control_brings_it_back(commanded):
    tables = commanded.tables()
    red = tables.grid["grid_state"] == "RED"
    assert red.any()
    assert max(tables.grid["loading_foreseen"][red]) > 1.0
    assert max(tables.grid["loading"][red]) < 1.0
    assert set(tables.emergencies["start_s"]) >= set(tables.grid["start_s"][red])
    assert sum(tables.emergencies["delivered_wh"]) < 0


def test_the_report_shows_what_was_bought_and_what_was_commanded(bought, commanded):
    for run, word in ((bought, "ordered"), (commanded, "direct control")):
        chart = draw_congestion(Series(result_of(run)))
        assert chart is not None
        assert word in chart


def test_side_by_side_the_same_numbers_stand_of_both(bought, commanded):
    rows = compared_rows([("with", result_of(bought)), ("without", result_of(commanded))])
    calls = next(values for what, values, _ in rows if what == "Calls for direct control")
    assert calls[0] == "0"
    assert int(calls[1]) > 0
    assert all(len(values) == 2 for _, values, _ in rows)


# -- the DSO's marketplace ---------------------------------------------------------------------------------


def asked(run, who, kind, **about):
    """Return what the DSO answers somebody within a minute."""
    tasks = []
    agent = run.community.agents[f"{who}@localhost"]
    query = Query(entity=kind.__struct_config__.tag, **about)
    question = agent.ask("dso@localhost", query, QueryResult, act=Performative.QUERY_REF)
    run.offline.loop.call_soon(lambda: tasks.append(run.offline.loop.create_task(question)))
    run.offline.clock.advance_to(run.offline.clock.now_s() + 60)
    return tasks[0].result().items


def test_the_marketplace_tells_what_was_acquired_and_sums_it_up(bought):
    acquired = asked(bought, "market", AcquiredFlexibility)
    (state,) = asked(bought, "market", MarketplaceState)
    assert len(acquired) == state.orders
    assert state.delivered_wh == sum(abs(each.delivered_wh) for each in acquired)
    assert state.asked_wh >= state.ordered_wh >= state.delivered_wh > 0
    assert {each.aggregator for each in acquired} == {"aggregator@localhost"}
    assert all(abs(each.offered_wh) >= abs(each.ordered_wh) for each in acquired)


def test_an_aggregator_reads_what_is_its_own(bought):
    assert asked(bought, "aggregator", AcquiredFlexibility) == asked(bought, "market", AcquiredFlexibility)


def test_others_may_not_read_the_marketplace(bought):
    with pytest.raises(Refused, match="may not read"):
        asked(bought, "h001-prosumer", AcquiredFlexibility)


def test_what_is_asked_of_a_time_is_of_that_time(bought):
    first = min(asked(bought, "market", AcquiredFlexibility), key=lambda each: each.start_s)
    found = asked(bought, "market", AcquiredFlexibility, start_s=first.start_s, end_s=first.start_s + 1)
    assert found == [first]
    assert asked(bought, "market", AcquiredFlexibility, subject="elsewhere") == []
    assert asked(bought, "market", FlexibilityContract) == []


def test_the_marketplace_knows_the_same_after_a_restart(bought):
    before = [asked(bought, "market", kind) for kind in (AcquiredFlexibility, MarketplaceState)]
    bought.offline.loop.call_soon(bought.community.restart, "dso@localhost")
    bought.offline.clock.advance_to(bought.offline.clock.now_s() + 60)
    dso = bought.community.agents["dso@localhost"]
    assert dso.behaviour(FlexibilityProcurement).orders
    after = [asked(bought, "market", kind) for kind in (AcquiredFlexibility, MarketplaceState)]
    assert [len(each) for each in after] == [len(each) for each in before]
    assert after[0] == before[0]
    assert (after[1][0].requests, after[1][0].offers) == (before[1][0].requests, before[1][0].offers)


# -- live ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("active", [True, False], ids=["bought", "commanded"])
def test_live_over_xmpp_the_evening_is_the_same(active):
    scenario = evening(active, intervals=22)
    offline = RecordedRun(scenario).step(22)
    offline.offline.settle()

    async def live():
        async with LiveCommunity(scenario) as run:
            for _ in range(22):
                await run.step()
            await run.settle()
            assert run.clock.missed == 0
            return (await run_tables(run.community)).checked()

    assert_same_tables(asyncio.run(live()), offline.tables())
