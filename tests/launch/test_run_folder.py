import hashlib
import json

import numpy as np
import pytest
from launch_samples import made_up_result, made_up_tables, small_scenario

from launch.run_folder import RunFolder, RunTables, next_folder, read_run
from launch.tables import TABLES
from ontology.errors import InvalidInput


@pytest.fixture(autouse=True)
def quick_report(monkeypatch):
    monkeypatch.setattr("launch.report.render_report", lambda result: "a report")


def written(path, result=None):
    result = result or made_up_result()
    return RunFolder(path, result.scenario, result.mode).finish(result)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.parquet")}


def shuffled(columns):
    order = np.random.default_rng(1).permutation(len(columns.get("start_s", ())))
    return {name: np.asarray(values)[order] for name, values in columns.items()}


def test_equal_content_gives_equal_bytes_whatever_its_order(tmp_path):
    result = made_up_result()
    mixed = RunTables(**{name: shuffled(getattr(result.tables, name)) for name in TABLES})
    first = written(tmp_path / "a", result)
    second = RunFolder(tmp_path / "b", result.scenario, "offline")
    second.finish(type(result)(**{**vars(result), "tables": mixed, "wall_s": 9.9}))
    assert digests(first) == digests(second.path)
    assert len(digests(first)) == len(TABLES)


def test_what_was_written_can_be_read(tmp_path):
    run = read_run(written(tmp_path / "run"))
    assert run.manifest["complete"] is True
    assert run.manifest["intervals_done"] == run.manifest["intervals"] == 8
    assert run.scenario == small_scenario()
    assert list(run.tables.sites["pv_w"][:2]) == pytest.approx([-2000, np.nan], nan_ok=True)
    assert run.result.accounts == {"0xh001": "h001", "0xh002": "h002"}


def test_a_run_is_incomplete_until_it_is_finished(tmp_path):
    folder = RunFolder(tmp_path / "run", small_scenario(), "offline")
    run = read_run(folder.path)
    assert run.manifest["complete"] is False
    assert len(run.tables.market["start_s"]) == 0


def test_an_earlier_run_is_replaced_and_nothing_else(tmp_path):
    folder = written(tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    (folder / "messages.sqlite-wal").write_text("old")
    RunFolder(folder, small_scenario(), "offline")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "notes.txt"]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InvalidInput, match="nothing of yours is overwritten"):
        RunFolder(tmp_path, small_scenario(), "offline")


def test_the_manifest_names_seed_versions_and_scenario(tmp_path):
    manifest = json.loads((written(tmp_path / "run") / "manifest.json").read_text())
    assert manifest["seed"] == 1
    assert len(manifest["scenario_hash"]) == 64
    assert manifest["versions"]["parity-mas"]
    assert manifest["scenario"]["sites"][0]["id"] == "h001"


def test_columns_that_are_missing_unknown_or_short_are_all_named():
    tables = made_up_tables(small_scenario())
    market = dict(tables.market, colour=["blue"] * 8, players=[2] * 7)
    del market["traded_wh"]
    with pytest.raises(InvalidInput) as caught:
        RunTables(sites=tables.sites, market=market, grid=tables.grid, settlement=tables.settlement).checked()
    assert sorted(problem.path for problem in caught.value.problems) == [
        "market.colour",
        "market.players",
        "market.traded_wh",
    ]


def test_every_column_says_its_unit_and_meaning(tmp_path):
    import pyarrow.parquet as pq

    schema = pq.read_schema(written(tmp_path / "run") / "sites.parquet")
    assert schema.field("consumed_wh").metadata[b"unit"] == b"Wh"
    assert all(field.metadata[b"meaning"] for field in schema)


def test_folders_are_numbered(tmp_path):
    assert next_folder(tmp_path, "lab").name == "lab-001"
    (tmp_path / "lab-001").mkdir()
    assert next_folder(tmp_path, "lab").name == "lab-002"
