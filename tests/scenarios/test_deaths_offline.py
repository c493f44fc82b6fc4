"""Any agent may die: the others live on, and every interval is settled once (offline)."""

from functools import wraps

import pytest
from scenario_helpers import (
    MORNING_S,
    Deaths,
    cleared_intervals,
    entries_by_start,
    estimated_intervals,
    laboratory,
    offline,
    settled_intervals,
)

from behaviours.market.engine import LemSolving
from environments.simulation.world import World
from launch.cast import cast_community
from launch.model import CommunityModel
from launch.results import completed
from launch.runs import notes_of
from launch.world_settings import world_settings
from ontology.errors import Unavailable

INTERVALS = 5
STATE = "parity:GridStatusEvent"


def everyone() -> list[str]:
    """Return the names of the laboratory's agents."""
    scenario = laboratory(intervals=INTERVALS)
    cast = cast_community(scenario, World(world_settings(scenario)))
    return [part.address.removesuffix("@localhost") for part in cast.parts]


@pytest.fixture(scope="module")
def undisturbed() -> CommunityModel:
    return offline(laboratory(intervals=8), Deaths({}))


@pytest.mark.parametrize("name", everyone())
def test_whoever_dies_leaves_the_others_running_and_every_interval_settled_once(name):
    model = offline(laboratory(intervals=INTERVALS), Deaths({2: name}, {3: name}))
    tables = model.tables()
    assert settled_intervals(tables) == list(range(INTERVALS))
    assert cleared_intervals(tables) == list(range(INTERVALS))
    assert model.community.counts().get("errors", 0) == 0
    assert model.community.counts().get("markets disputed", 0) == 0


@pytest.mark.parametrize("name", ["gateway", "oracle", "blockchain"])
def test_a_site_that_brings_no_reading_is_settled_with_an_estimate_and_flagged(name):
    """Killed before the third interval, so the second one's reading, due at its end, is missing, too."""
    model = offline(laboratory(intervals=6), Deaths({2: f"h001-{name}"}, {4: f"h001-{name}"}))
    tables = model.tables()
    assert estimated_intervals(tables, "h001") == [1, 2]
    assert estimated_intervals(tables, "h002") == []
    assert tables.market["estimated"].tolist() == [0, 1, 1, 0, 0, 0]
    assert "2 readings were estimated" in notes_of(model.community)


def test_a_site_whose_prosumer_is_dead_is_still_metered():
    model = offline(laboratory(intervals=6), Deaths({2: "h001-prosumer"}))
    assert estimated_intervals(model.tables(), "h001") == []
    assert settled_intervals(model.tables()) == list(range(6))


def test_without_a_dso_the_light_is_green_and_flagged():
    model = offline(laboratory(intervals=6), Deaths({2: "dso"}))
    grid = model.tables().grid
    assert grid["grid_state"].tolist() == ["GREEN"] * 6
    told, untold = "", "no state was published"
    assert grid["flagged"].tolist() == [untold, told, told, untold, untold, untold]
    assert any("grid states were missing" in note for note in notes_of(model.community))


def test_a_dead_aggregator_opens_the_markets_it_missed_when_it_is_back(undisturbed):
    tables = offline(laboratory(intervals=8), Deaths({2: "aggregator"}, {5: "aggregator"})).tables()
    assert settled_intervals(tables) == list(range(8))
    assert cleared_intervals(tables) == list(range(8))
    assert tables.market["estimated"].sum() == 0
    assert len(entries_by_start(undisturbed.tables())) == 8


def test_a_dead_market_engine_settles_what_it_missed_with_the_real_readings(undisturbed):
    """The sites' agents keep their datasets until the engine is back, so nothing changes but the time."""
    name = "aggregator-blockchain"
    tables = offline(laboratory(intervals=8), Deaths({2: name}, {5: name})).tables()
    assert cleared_intervals(tables) == list(range(8))
    assert tables.market["estimated"].sum() == 0
    assert_settled_as_metered(tables)


def assert_settled_as_metered(tables):
    """Each market counted exactly what the meters of its interval did."""
    for column in ("consumed_wh", "produced_wh"):
        assert tables.market[column].tolist() == tables.sites[column].reshape(-1, 2).sum(axis=1).tolist()


def test_an_estimate_survives_the_engine():
    """A site is dead when the engine comes back: the engine still knows the site's last forecast."""
    model = CommunityModel(laboratory(intervals=8))
    for interval in range(8):
        if interval == 2:
            model.kill("h001-oracle@localhost")
            model.kill("aggregator-blockchain@localhost")
        if interval == 4:
            model.restart("aggregator-blockchain@localhost")
        model.step()
    counts = model.community.counts()
    assert estimated_intervals(model.tables(), "h001") == list(range(1, 8))
    assert counts["readings estimated"] == 7
    assert "readings unknown" not in counts


def test_a_dead_repository_costs_estimates_but_no_settlement():
    tables = offline(laboratory(intervals=6), Deaths({2: "repository"}, {3: "repository"})).tables()
    assert cleared_intervals(tables) == list(range(6))
    assert tables.market["estimated"].tolist() == [0, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("period", ["hourly", "interval"])
def test_markets_that_open_after_their_period_was_settled_are_settled_too(period):
    """The aggregator is back only when the hour is over."""
    deaths = Deaths({2: "aggregator"}, {5: "aggregator"})
    tables = offline(laboratory(intervals=9, settlement=period), deaths).tables()
    settled = 8 if period == "hourly" else 9
    assert cleared_intervals(tables) == list(range(settled))
    assert all(sum(changes.values()) == 0 for changes in entries_by_start(tables).values())


def test_an_engine_that_dies_between_ledger_and_memory_settles_nothing_twice(monkeypatch, undisturbed):
    model = CommunityModel(laboratory(intervals=8))
    ledger = model.community.ground.ledger
    settle, died = ledger.settle, []

    async def settle_and_die(*batch, **vouched):
        receipt = await settle(*batch, **vouched)
        if len(died) < 1 and model.intervals_done == 3:
            died.append(batch)
            raise RuntimeError("the process is gone")
        return receipt

    monkeypatch.setattr(ledger, "settle", settle_and_die)
    for interval in range(8):
        if died and interval == 4:
            model.kill("aggregator-blockchain@localhost")
            model.restart("aggregator-blockchain@localhost")
        model.step()
    assert died
    assert entries_by_start(model.tables()) == entries_by_start(undisturbed.tables())
    assert cleared_intervals(model.tables()) == list(range(8))


def test_a_ledger_that_cannot_be_reached_for_a_while_loses_no_settlement(monkeypatch, undisturbed):
    model = CommunityModel(laboratory(intervals=8))
    ledger = model.community.ground.ledger
    settle = ledger.settle

    async def settle_when_reachable(*batch, **vouched):
        if model.intervals_done in (3, 4):
            raise Unavailable("no route to the chain")
        return await settle(*batch, **vouched)

    monkeypatch.setattr(ledger, "settle", settle_when_reachable)
    model.run()
    assert entries_by_start(model.tables()) == entries_by_start(undisturbed.tables())
    assert model.community.counts()["settlements failed"] == 3


def test_a_market_announced_again_after_it_was_settled_is_not_opened_again(monkeypatch):
    """The engine's acknowledgements are lost, so the aggregator announces every market again and again."""
    answer = LemSolving.open_market

    @wraps(answer)
    def open_and_say_nothing(self, lem, letter):
        answer(self, lem, letter)

    monkeypatch.setattr(LemSolving, "open_market", open_and_say_nothing)
    model = offline(laboratory(intervals=4), Deaths({}))
    assert model.community.counts()["not acknowledged"] > 4
    assert cleared_intervals(model.tables()) == list(range(4))
    assert "readings estimated" not in model.community.counts()


MOMENTS_S = (0.1, 10.2, 20.3, 30.1, 31.1, 45.3, 46.2, 60.05, 61.6, 66.0, 600.5, 620.2, 621.3, 640.4)
"""Seconds into an interval at which letters are under way."""
CRUCIAL = [("aggregator-blockchain", 30.6), ("aggregator-blockchain", 60.4), ("aggregator", 620.7)]
OTHERS = [
    (name, moment_s)
    for name in ("aggregator-blockchain", "aggregator", "market", "repository", "h001-blockchain")
    for moment_s in MOMENTS_S
]


@pytest.mark.parametrize(
    ("name", "moment_s"), [*CRUCIAL, *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)]
)
@pytest.mark.parametrize("away_s", [300, 1000])
def test_a_death_while_letters_are_under_way_loses_no_market_and_settles_none_twice(name, moment_s, away_s):
    model = CommunityModel(laboratory(intervals=6, faults={"delay_s": 0.5}))
    dies_s = model.now_s + 2 * 900 + moment_s
    model.at(dies_s, model.kill, f"{name}@localhost")
    model.at(dies_s + away_s, model.restart, f"{name}@localhost")
    tables, counts = model.run().tables(), model.community.counts()
    assert settled_intervals(tables) == cleared_intervals(tables) == list(range(6))
    assert counts.get("errors", 0) == counts.get("settlements differ", 0) == 0


def test_readings_taken_while_the_repository_is_dead_are_stored_after_its_restart():
    model = offline(laboratory(intervals=6), Deaths({2: "repository"}, {4: "repository"}))
    stored = completed(model.community.ground.repository.query("parity:IntervalReading", "h001", 0, 2**40))
    assert [reading.start_s for reading in stored] == [MORNING_S + 900 * interval for interval in range(6)]


def test_states_told_while_the_repository_was_dead_reach_it_after_its_restart():
    model = offline(laboratory(intervals=8), Deaths({2: "repository"}, {5: "repository"}))
    states = completed(model.community.ground.repository.query(STATE, "", 0, 2**40))
    assert [(each.start_s - MORNING_S) // 900 for each in states] == list(range(1, 9))


@pytest.mark.parametrize("subject", ["h002", "h002-pv"])
def test_a_forecast_made_while_the_repository_was_dead_reaches_it_after_its_restart(subject):
    model = offline(laboratory(intervals=8), Deaths({2: "repository"}, {7: "repository"}))
    newest = completed(model.community.ground.repository.latest("parity:Forecast", subject))
    assert MORNING_S + 2 * 900 < newest.start_s < MORNING_S + 7 * 900
