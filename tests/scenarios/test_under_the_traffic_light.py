"""What the traffic light switches, in the scenarios that ship (SPEC 2.1)."""

import json
import sqlite3

import numpy as np
import pytest
from scenario_helpers import SCENARIOS

from launch.model import CommunityModel
from launch.runs import run_offline
from launch.scenario import lem_parameters, load_scenario
from ontology.grid import GridState

STRESSED = SCENARIOS / "stressed.yaml"


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    """The stressed street while its people come home, every letter written down."""
    scenario = load_scenario(STRESSED, {"start": "2024-01-11T14:00", "intervals": 14})
    return run_offline(scenario, tmp_path_factory.mktemp("runs") / "evening")


@pytest.fixture(scope="module")
def letters(evening):
    return letters_of(evening)


def letters_of(run):
    """Return a question for letters that were read: time, sender, recipient and content of a type."""

    def ask(message_type, performative="%"):
        query = (
            "SELECT time_s, sender, recipient, body FROM messages "
            "WHERE message_type = ? AND performative LIKE ? AND outcome = 'handled' ORDER BY id"
        )
        with sqlite3.connect(run.folder / "messages.sqlite") as connection:
            rows = connection.execute(query, (message_type, performative)).fetchall()
        return [(*row[:3], json.loads(row[3])) for row in rows]

    return ask


def intervals_in(run, state):
    """Return the start times of the intervals whose market was cleared in a state."""
    return run.tables.market["start_s"][run.tables.market["grid_state"] == state].tolist()


def test_a_stressed_grid_turns_yellow_and_red(evening):
    states = set(evening.tables.market["grid_state"].tolist())
    assert states == {"GREEN", "YELLOW", "RED"}
    assert evening.tables.market["grid_state"].tolist() == evening.tables.grid["grid_state"].tolist()


def test_in_red_energy_is_settled_at_usual_prices(evening):
    usual = lem_parameters(evening.scenario, GridState.RED)
    market = evening.tables.market
    red = market["grid_state"] == "RED"
    assert red.any()
    assert set(market["buy_ticks_per_kwh"][red]) == {usual.buy_usual_ticks_per_kwh}
    assert set(market["sell_ticks_per_kwh"][red]) == {usual.sell_usual_ticks_per_kwh}
    assert market["traded_wh"][red].sum() == 0


def test_in_yellow_the_flow_is_charged_and_in_green_and_red_it_is_not(letters):
    charged = {"GREEN": 0, "YELLOW": 0, "RED": 0}
    for *_, recipient, result in letters("parity:LemResult"):
        if recipient == "market@localhost":
            charged[result["grid_state"]] += abs(result["rows"][0].get("tokens_flow", 0))
    assert charged["YELLOW"] > 0
    assert charged["GREEN"] == charged["RED"] == 0


def limits_in(run, letters):
    """Return the limit in W that each site was told for each interval of the run."""
    starts = set(run.tables.market["start_s"].tolist())
    return {
        (signal["start_s"], recipient.removesuffix("-prosumer@localhost")): signal["limit_w"]
        for *_, recipient, signal in letters("oadr:DRSignal", "request")
        if recipient != "aggregator@localhost" and signal["start_s"] in starts
    }


def test_in_red_every_member_is_told_a_limit(evening, letters):
    told = limits_in(evening, letters)
    assert {start_s for start_s, _ in told} == set(intervals_in(evening, "RED"))
    assert len(told) == 30 * len(intervals_in(evening, "RED"))


def test_a_limit_is_kept_wherever_the_household_itself_draws_less(evening, letters):
    limits_w, sites = limits_in(evening, letters), evening.tables.sites
    kept = []
    for start_s, site, base_w, wh in zip(
        *(sites[c] for c in ("start_s", "site", "base_w", "consumed_wh")), strict=True
    ):
        limit_w = limits_w.get((int(start_s), site))
        if limit_w is not None and base_w < limit_w:
            kept.append(4 * wh <= 1.1 * limit_w + 100)
    assert np.mean(kept) > 0.9


def test_the_emergency_signals_relieve_the_transformer(evening):
    """In the first red interval the transformer carries less than just before, and no more than it may."""
    first = intervals_in(evening, "RED")[0]
    grid = evening.tables.grid
    loading = dict(zip(grid["start_s"].tolist(), grid["loading"].tolist(), strict=True))
    assert loading[first] < loading[first - 900]
    assert loading[first] < 1.0


def test_the_village_settles_two_hours(community):
    model: CommunityModel = community(scenario=SCENARIOS / "village.yaml", intervals=8, record=False).run()
    tables = model.tables()
    assert len(tables.market["start_s"]) == 8
    assert tables.market["players"].tolist() == [60] * 8
    assert model.community.counts().get("errors", 0) == 0
