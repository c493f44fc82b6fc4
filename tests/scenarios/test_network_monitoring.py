"""A surge that nobody foresaw: measured by the minute, red at once, and written down (SPEC 2.1, 4.10)."""

import json
import sqlite3

import pytest
from scenario_helpers import assert_same_tables

from behaviours.market import auditing
from launch.model import CommunityModel
from launch.results import completed
from launch.runs import run_offline
from launch.scenario import parse_scenario

START_S = 1_714_636_800
SURGE = range(50, 70)
"""Minutes in which two workshops draw more than the transformer bears."""
RED_INTERVAL = 3

DAY = """
name: surge
start: 2024-05-02T10:00
zone: Europe/Berlin
intervals: 7
step_s: 60
ledger: {register: memory, attestors: 3}
grid: {transformer_kva: 80, monitoring: {transformer: true, share_of_sites: 0.5}}
sites:
  - {id: w1, load_csv: machines.csv, phase: 3P}
  - {id: w2, load_csv: machines.csv, phase: 3P}
  - {id: h001, battery: {capacity_kwh: 15, power_kw: 3, initial_state_of_charge: 0.8}, phase: 3P}
  - {id: h002, pv: {kwp: 5}, phase: 3P}
"""


def scenario_in(folder, **overrides):
    """Return the day, with the workshops' readings in a folder."""
    rows = [
        f"2024-05-02T{8 + minute // 60:02d}:{minute % 60:02d}:00Z,{50 if minute in SURGE else 1}"
        for minute in range(0, 13 * 15)
    ]
    (folder / "machines.csv").write_text("\n".join(["time,power_kw", *rows, ""]))
    return parse_scenario(DAY, overrides, folder=folder)


@pytest.fixture(scope="module")
def surge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surge")
    return run_offline(scenario_in(folder), folder / "run")


def told(run, message_type, recipient="%"):
    """Return when (minutes of the day) and what was read of a type."""
    with sqlite3.connect(run.folder / "messages.sqlite") as connection:
        rows = connection.execute(
            "SELECT time_s, body FROM messages WHERE message_type = ? AND recipient LIKE ? "
            "AND outcome = 'handled' ORDER BY id",
            (message_type, recipient),
        ).fetchall()
    return [((time_s - START_S) / 60, json.loads(body)) for time_s, body in rows]


def test_the_running_interval_is_red_two_minutes_after_the_surge_was_first_measured(surge):
    events = told(surge, "parity:GridStatusEvent", "aggregator@%")
    minute, event = next(each for each in events if each[1]["state"] == "RED")
    first_measured = SURGE.start + 1
    assert first_measured + 2 <= minute < first_measured + 3
    assert event["start_s"] == START_S + 900 * RED_INTERVAL
    assert event["causes"] == ["loading"]
    assert event["places"] == ["segment-001-transformer"]
    assert event["constraints"][0]["import_max_w"] == [64_000]


def test_its_market_is_voided_and_settled_at_usual_prices(surge):
    market = surge.tables.market
    assert market["grid_state"].tolist()[RED_INTERVAL] == "RED"
    assert market["traded_wh"].tolist()[RED_INTERVAL] == 0
    announced = [lem["state"] for _, lem in told(surge, "parity:Lem", "aggregator-blockchain@%")]
    assert announced.count("VOID") >= 1
    assert len(market["start_s"]) == 7


def test_attestors_agree_to_it_and_no_player_finds_the_register_to_differ(surge, tmp_path, monkeypatch):
    monkeypatch.setattr(auditing, "is_turn", lambda *_: True)
    counts = CommunityModel(scenario_in(tmp_path)).run().community.counts()
    assert counts["markets voided"] >= 1
    assert counts["audits passed"] > 0
    assert counts["results attested"] > 0
    wrong = (
        "audits failed",
        "results disputed",
        "attestations disputed",
        "settlements differ",
        "settlements failed",
        "markets disputed",
        "errors",
    )
    assert [name for name in wrong if counts.get(name)] == []
    assert surge.tables.register["grid_state"].tolist()[RED_INTERVAL] == "RED"
    assert set(surge.tables.register["lem_state"].tolist()) == {"SOLVED"}


def test_the_dso_calls_for_relief_from_that_minute_to_the_end_of_the_interval(surge):
    minute, signal = told(surge, "oadr:DRSignal", "aggregator@%")[0]
    assert signal["start_s"] == START_S + int(minute) * 60
    assert signal["start_s"] + signal["duration_s"] == START_S + 900 * (RED_INTERVAL + 1)


def test_without_monitoring_nobody_knows_before_the_interval_is_over(tmp_path):
    scenario = scenario_in(tmp_path, **{"grid.monitoring": None})
    states = CommunityModel(scenario).run().tables().grid["grid_state"].tolist()
    assert states[RED_INTERVAL] == "GREEN"
    assert "RED" not in states[: RED_INTERVAL + 1]


def test_every_measurement_and_outlook_is_in_the_repository(tmp_path):
    model = CommunityModel(scenario_in(tmp_path)).run()
    repository = model.community.ground.repository
    stored = completed(repository.query("parity:GridMeasurement", "", 0, 2**40))
    measured = completed(model.world.network_meters.measurements(0))
    known = {(each.node_id, each.time_s) for each in stored}
    assert known == {(each.node_id, each.time_s) for each in measured}
    outlooks = completed(repository.query("parity:GridOutlook", "segment-001", 0, 2**40))
    assert [each.start_s for each in outlooks] == [START_S + 900 * i for i in range(1, 8)]
    assert {len(each.states) for each in outlooks} == {96}


@pytest.mark.slow
def test_a_dso_that_was_away_brings_what_was_measured_meanwhile(tmp_path):
    model = CommunityModel(scenario_in(tmp_path))
    model.at(START_S + 600, model.kill, "dso@localhost")
    model.at(START_S + 1_200, model.restart, "dso@localhost")
    model.run()
    stored = completed(model.community.ground.repository.query("parity:GridMeasurement", "", 0, 2**40))
    measured = completed(model.world.network_meters.measurements(0))
    assert len(stored) == len(measured)


def test_measurements_wait_for_a_repository_that_is_away(tmp_path):
    model = CommunityModel(scenario_in(tmp_path))
    model.at(START_S + 600, model.kill, "repository@localhost")
    model.at(START_S + 1_500, model.restart, "repository@localhost")
    model.run()
    stored = completed(model.community.ground.repository.query("parity:GridMeasurement", "", 0, 2**40))
    assert len(stored) == len(completed(model.world.network_meters.measurements(0)))


@pytest.mark.slow
def test_a_seed_is_measured_alike_every_time(tmp_path, surge):
    again = run_offline(scenario_in(tmp_path), tmp_path / "again")
    assert_same_tables(again.tables, surge.tables)
