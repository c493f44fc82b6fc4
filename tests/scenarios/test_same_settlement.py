"""One scenario and seed give one outcome: offline, live on either server, and as files."""

import asyncio
import os
from pathlib import Path

import pytest
from scenario_helpers import LABORATORY, assert_same_tables, laboratory

from environments.live.prosody import available as prosody_available
from launch.run_folder import write_table
from launch.runs import run_live, run_offline
from launch.scenario import load_scenario, scenario_of
from launch.tables import TABLES, RunTables


@pytest.fixture(scope="module")
def run():
    return run_offline(laboratory(intervals=4))


def parquet(folder: Path, tables: RunTables) -> dict[str, bytes]:
    """Write the tables as a run folder has them, and return their bytes."""
    folder.mkdir()
    for name in TABLES:
        write_table(folder / name, name, getattr(tables, name))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_live_run_settles_what_the_offline_run_settles(run):
    live = asyncio.run(run_live(laboratory(intervals=4)))
    assert live.deadlines_missed == 0
    assert_same_tables(live.tables, run.tables)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["embedded", pytest.param("prosody", marks=pytest.mark.server)])
def test_a_whole_day_is_the_same_live_and_offline(server):
    if server == "prosody" and not prosody_available():
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("Prosody is not installed: scripts/install-servers installs it")
    scenario = load_scenario(LABORATORY, {"server": server, "record": False})
    live = asyncio.run(run_live(scenario))
    assert live.deadlines_missed == 0
    assert_same_tables(live.tables, run_offline(scenario).tables)


def test_two_offline_runs_leave_byte_identical_files(run, tmp_path):
    again = run_offline(laboratory(intervals=4))
    assert parquet(tmp_path / "one", run.tables) == parquet(tmp_path / "other", again.tables)


def test_another_seed_gives_another_day(run):
    other = run_offline(laboratory(intervals=4, seed=2))
    assert run.tables.sites["base_w"].tolist() != other.tables.sites["base_w"].tolist()
    assert run.tables.settlement["tokens"].tolist() != other.tables.settlement["tokens"].tolist()


@pytest.mark.server
def test_a_plant_on_one_component_is_the_same_live_and_offline(tmp_path):
    if not prosody_available():
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("Prosody is not installed: scripts/install-servers installs it")
    product = {"id": "night", "hour": 0.5, "hours": 0.5, "power_kw": 5, "price": 0.3, "lead_hours": 0.25}
    scenario = scenario_of(
        {
            "seed": 5,
            "start": "2024-02-13",
            "zone": "Europe/Berlin",
            "intervals": 5,
            "population": {"sites": 12},
            "server": {"kind": "prosody", "connection": "component"},
            "record": False,
            "products": [product],
        }
    )
    live, offline = asyncio.run(run_live(scenario)), run_offline(scenario)
    assert offline.tables.plants["members"][0] >= 3
    assert parquet(tmp_path / "live", live.tables) == parquet(tmp_path / "offline", offline.tables)
