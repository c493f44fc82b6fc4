"""A bad network and a bug: what is lost is estimated, what fails is counted, and the run goes on."""

from functools import partial, wraps

import pytest
from scenario_helpers import LABORATORY, MORNING, cleared_intervals, entries_by_start, settled_intervals

from behaviours.grid.monitoring import NetworkMonitoring
from behaviours.market.engine import LemSolving
from behaviours.site.planning import SitePlanning
from behaviours.site.pv_management import PvForecasting
from launch.runs import notes_of

INTERVALS = 8
NETWORKS = {
    "slow": {"delay_s": 1.0},
    "lossy": {"loss": 0.05},
    "slow and lossy": {"delay_s": 1.0, "loss": 0.05},
}


@pytest.fixture
def laboratory(community):
    """Return a maker of the laboratory at ten o'clock."""
    return partial(community, scenario=LABORATORY, start=MORNING, record=False)


@pytest.mark.parametrize("faults", NETWORKS.values(), ids=NETWORKS)
def test_over_a_bad_network_every_interval_is_settled_once(laboratory, faults):
    model = laboratory(intervals=INTERVALS, faults=faults).run()
    tables = model.tables()
    assert settled_intervals(tables) == list(range(INTERVALS))
    told = cleared_intervals(tables)  # of the last interval the result may be under way when the run ends
    assert told == list(range(len(told)))
    assert len(told) >= INTERVALS - 1
    assert all(sum(changes.values()) == 0 for changes in entries_by_start(tables).values())
    estimated, counts = int(tables.market["estimated"].sum()), model.community.counts()
    guessed = counts.get("readings estimated", 0) + counts.get("readings unknown", 0)
    assert estimated == guessed if len(told) == INTERVALS else estimated <= guessed
    assert counts.get("errors", 0) == 0


def test_a_network_that_loses_much_costs_estimates(laboratory):
    model = laboratory(intervals=INTERVALS, faults={"loss": 0.2})
    tables = model.run().tables()
    assert tables.market["estimated"].sum() > 0
    assert len(set(cleared_intervals(tables))) == len(cleared_intervals(tables))
    assert tables.sites["estimated"].sum() == tables.market["estimated"].sum()


@pytest.mark.parametrize(
    ("behaviour", "method"),
    [(PvForecasting, "offer"), (SitePlanning, "plan"), (NetworkMonitoring, "set_lights")],
    ids=["pv manager", "prosumer", "dso"],
)
def test_a_bug_in_a_handler_stops_nobody_and_is_counted(laboratory, monkeypatch, behaviour, method):
    @wraps(getattr(behaviour, method))
    def broken(self):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(behaviour, method, broken)
    model = laboratory(intervals=4).run()
    assert settled_intervals(model.tables()) == list(range(4))
    errors = model.community.counts()["errors"]
    assert errors >= 4
    assert f"{errors} handlers failed" in notes_of(model.community)


def test_a_bug_in_the_market_engine_delays_settlement_and_loses_none(laboratory, monkeypatch):
    clear, calls = LemSolving._clear, []

    def broken_once(self, lem):
        calls.append(lem.start_s)
        if len(calls) == 2:
            raise ZeroDivisionError("a bug")
        return clear(self, lem)

    monkeypatch.setattr(LemSolving, "_clear", broken_once)
    model = laboratory(intervals=5).run()
    assert settled_intervals(model.tables()) == cleared_intervals(model.tables()) == list(range(5))
    assert model.community.counts()["errors"] == 1
