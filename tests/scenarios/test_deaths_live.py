"""Agents die during a live run, with their connections: the rest is settled as offline."""

import pytest
from scenario_helpers import (
    Deaths,
    assert_same_tables,
    cleared_intervals,
    estimated_intervals,
    laboratory,
    live,
    offline,
    settled_intervals,
)

INTERVALS = 6
OTHERS = (
    "aggregator",
    "aggregator-oracle",
    "dso-oracle",
    "dso-blockchain",
    "dstatcom",
    "external-markets",
    "market",
)
OF_A_SITE = ("h001-prosumer", "h002-pv", "h002-bess", "h002-ev", "h002-p2h")


def slow(*names: str) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow, id=name) for name in names]


@pytest.mark.parametrize("name", ["h001-gateway", *slow("h001-oracle", "h001-blockchain")])
def test_a_site_that_brings_no_reading_is_settled_with_an_estimate_while_the_others_run_on(name):
    scenario, deaths = laboratory(intervals=INTERVALS), Deaths({2: name}, {4: name})
    tables, counts = live(scenario, deaths)
    assert cleared_intervals(tables) == settled_intervals(tables) == list(range(INTERVALS))
    assert estimated_intervals(tables, "h001") == [1, 2]
    assert estimated_intervals(tables, "h002") == []
    assert counts.get("errors", 0) == 0
    assert_same_tables(tables, offline(scenario, deaths).tables())


@pytest.mark.parametrize("name", ["aggregator-blockchain", *slow(*OTHERS, *OF_A_SITE)])
def test_what_is_missed_meanwhile_is_settled_once_and_with_the_real_readings(name):
    scenario, deaths = laboratory(intervals=INTERVALS), Deaths({1: name}, {3: name})
    tables, counts = live(scenario, deaths)
    assert cleared_intervals(tables) == settled_intervals(tables) == list(range(INTERVALS))
    assert tables.market["estimated"].sum() == 0
    assert counts.get("errors", 0) == 0
    assert_same_tables(tables, offline(scenario, deaths).tables())


@pytest.mark.slow
def test_without_a_dso_the_light_is_green_and_flagged():
    tables, counts = live(laboratory(intervals=INTERVALS), Deaths({2: "dso"}))
    assert tables.grid["grid_state"].tolist() == ["GREEN"] * INTERVALS
    assert tables.grid["flagged"].tolist()[3:] == ["no state was published"] * 3
    assert counts["grid states missing"] == 4


@pytest.mark.slow
def test_a_repository_that_dies_costs_estimates_but_no_settlement():
    scenario, deaths = laboratory(intervals=INTERVALS), Deaths({2: "repository"}, {3: "repository"})
    tables, _ = live(scenario, deaths)
    assert cleared_intervals(tables) == settled_intervals(tables) == list(range(INTERVALS))
    assert tables.market["estimated"].tolist() == [0, 2, 0, 0, 0, 0]
    assert_same_tables(tables, offline(scenario, deaths).tables())
