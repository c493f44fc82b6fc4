"""Blockchain agents, oracles and the node die at seeded random points within intervals: all is settled once.

The sites have nothing that reacts to prices, so a death changes neither meters nor plans: whatever is not
settled as in an undisturbed run must be an estimate, flagged as one.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from scenario_helpers import balances, cleared_intervals, entries_by_start, laboratory, settled_intervals

from contracts.local_node import RICH_KEYS, LocalNode
from launch.model import CommunityModel
from launch.results import completed
from tests.contracts.anvil_node import need_anvil

SITES = ("h001", "h002", "h003")
ENGINE = ("aggregator-blockchain",)
AGENTS = tuple(f"{site}-blockchain" for site in SITES)
ORACLES = tuple(f"{site}-oracle" for site in SITES)
CRUCIAL_S = (29.0, 63.0)
"""Seconds into an interval between which datasets are brought, results vouched for and settled."""
LONGEST_AWAY_S = 1_000.0


def scenario(intervals: int, **changes):
    sites = [{"id": site, "annual_kwh": 3_500, "pv": {"kwp": 3.0 * n}} for n, site in enumerate(SITES, 1)]
    return laboratory(intervals=intervals, sites=sites, faults={"delay_s": 0.5}, **changes)


@cache
def undisturbed(intervals: int) -> CommunityModel:
    return CommunityModel(scenario(intervals, ledger={"attestors": 4})).run()


def disturbed(intervals: int, deaths: int, names: Sequence[str], seed: int) -> CommunityModel:
    """Run a community in which somebody dies so many times, half of them while an interval is settled."""
    rng = np.random.default_rng(seed)
    model = CommunityModel(scenario(intervals, ledger={"attestors": 4}))
    begin_s = model.now_s
    back_s = dict.fromkeys(names, 0.0)
    for interval in sorted(rng.choice(np.arange(1, intervals - 2), deaths, replace=deaths > intervals - 3)):
        name = str(rng.choice(names))
        moment_s = rng.uniform(*CRUCIAL_S) if rng.random() < 0.5 else rng.uniform(0, 900)
        dies_s = max(begin_s + 900 * int(interval) + moment_s, back_s[name] + 1)
        back_s[name] = dies_s + rng.uniform(0.1, 60 if rng.random() < 0.5 else LONGEST_AWAY_S)
        model.at(dies_s, model.kill, f"{name}@localhost")
        model.at(back_s[name], model.restart, f"{name}@localhost")
    return model.run()


def assert_settled_once(model: CommunityModel, intervals: int) -> None:
    """Every interval is settled once, and nothing else than estimates differs."""
    whole, counts = undisturbed(intervals), model.community.counts()
    tables = model.tables()
    assert settled_intervals(tables) == cleared_intervals(tables) == list(range(intervals))
    assert counts.get("errors", 0) == counts.get("settlements differ", 0) == 0
    events, _ = completed(model.community.ground.ledger.events())
    keys = Counter(event.values["key"] for event in events if event.name == "Settled")
    assert set(keys.values()) == {1}
    estimated = {
        int(start_s)
        for start_s, several in zip(tables.market["start_s"], tables.market["estimated"], strict=True)
        if several
    }
    expected, found = entries_by_start(whole.tables()), entries_by_start(tables)
    assert {start_s for start_s in expected if found[start_s] != expected[start_s]} <= estimated
    if not estimated:
        assert balances(model) == balances(whole)
    assert sum(balances(model).values()) == sum(balances(whole).values())


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 5))])
def test_a_market_engine_that_dies_at_any_point_changes_no_token(seed):
    model = disturbed(8, 4, ENGINE, seed)
    assert_settled_once(model, 8)
    assert balances(model) == balances(undisturbed(8))


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 6))])
def test_whoever_dies_at_any_point_costs_an_estimate_at_most(seed):
    assert_settled_once(disturbed(8, 6, ENGINE + AGENTS + ORACLES, seed), 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [ENGINE, AGENTS, ORACLES, ENGINE + AGENTS + ORACLES], ids=["engine", "agents", "oracles", "all"]
)
def test_a_hundred_intervals_with_a_death_in_each_are_settled_once(names):
    assert_settled_once(disturbed(100, 97, names, 100), 100)


@pytest.mark.server
@pytest.mark.parametrize(
    ("intervals", "deaths"),
    [
        pytest.param(8, 2, id="two"),
        pytest.param(20, 12, marks=pytest.mark.slow, id="a dozen"),
        pytest.param(100, 97, marks=pytest.mark.soak, id="a hundred intervals"),
    ],
)
def test_a_node_that_is_killed_within_intervals_changes_no_token(tmp_path, intervals, deaths):
    need_anvil()
    node, rng = LocalNode(tmp_path), np.random.default_rng(deaths)
    (tmp_path / "key").write_text(RICH_KEYS[0])
    node.start()
    section = {"url": node.url, "key_file": str(tmp_path / "key"), "attestors": 4}
    try:
        model = CommunityModel(scenario(intervals, ledger=section))
        for interval in rng.choice(np.arange(1, intervals - 2), deaths, replace=False):
            dies_s = model.now_s + 900 * int(interval) + rng.uniform(*CRUCIAL_S)
            model.at(dies_s, node.kill)
            model.at(dies_s + rng.uniform(0.1, 600), node.start)
        assert_settled_once(model.run(), intervals)
        assert balances(model) == balances(undisturbed(intervals))
    finally:
        node.kill()
