import json
import subprocess
import sys
from pathlib import Path

import fake_runs
import pytest
from typer.testing import CliRunner

import launch
from launch.cli import app
from launch.run_folder import read_run

LABORATORY = Path(__file__).parents[2] / "launch" / "scenarios" / "laboratory.yaml"
GOOD = (
    "name: small\nstart: 2024-05-02T12:00\nzone: Europe/Berlin\nintervals: 8\n"
    "sites: [{id: h001}, {id: h002}]\n"
)


@pytest.fixture
def cli(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "launch.runs", fake_runs)
    monkeypatch.setattr(launch, "runs", fake_runs, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("launch.report.render_report", lambda result: "a report")
    fake_runs.CALLS.clear()
    (tmp_path / "small.yaml").write_text(GOOD)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


BAD_FILES = {
    "missing field": "zone: UTC\nsites: [{id: a}]\n",
    "unknown key": GOOD + "seeds: 3\n",
    "negative capacity": GOOD.replace("{id: h001}", "{id: h001, battery: {capacity_kwh: -1}}"),
    "two agents with one address": GOOD.replace("{id: h002}", "{id: h002, address: h001-prosumer@localhost}"),
    "CSV with a gap": "gap.csv",
    "CSV with a duplicate": "duplicate.csv",
    "CSV with an hour that does not exist": "skipped.csv",
    "CSV with an hour that comes twice": "repeated.csv",
    "binary": b"\x00\xff\xfe",
    "empty": "",
    "not YAML": "a: [",
    "a list": "- 1\n",
}
CSV = {
    "gap.csv": "2024-05-02T00:00,1\n2024-05-02T00:15,1\n2024-05-02T00:45,1\n2024-05-02T01:00,1\n",
    "duplicate.csv": "2024-05-02T00:00,1\n2024-05-02T00:15,1\n2024-05-02T00:15,1\n",
    "skipped.csv": "2024-03-31T01:45,1\n2024-03-31T02:15,1\n2024-03-31T03:00,1\n",
    "repeated.csv": "2024-10-27T01:45,1\n2024-10-27T02:00,1\n2024-10-27T02:15,1\n",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_scenario_ends_with_exit_code_2_and_leaves_nothing(content, cli, tmp_path):
    for name, rows in CSV.items():
        (tmp_path / name).write_text("time,energy_wh\n" + rows)
    if isinstance(content, str) and content.endswith(".csv"):
        content = GOOD.replace("{id: h001}", f"{{id: h001, load_csv: {content}}}")
    (tmp_path / "bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome = cli("run", "bad.yaml", "--offline", "--out", "result")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("bad.yaml: ")
    assert "Traceback" not in outcome.output
    assert not (tmp_path / "result").exists()
    assert fake_runs.CALLS == []


def test_problems_are_an_aligned_table(cli, tmp_path):
    (tmp_path / "bad.yaml").write_text(GOOD + "seeds: 3\nstep_s: 7\n")
    lines = cli("validate", "bad.yaml").stderr.splitlines()
    assert lines == [
        "bad.yaml: 2 problems",
        "  seeds   3  is not a known key; did you mean seed?  [line 6]",
        "  step_s  7  must divide 900, such as 1, 10, 60, 300 or 900  [line 7]",
    ]


def test_a_run_prints_what_happened_and_leaves_a_folder(cli, tmp_path):
    outcome = cli("run", "small.yaml", "--offline", "--seed", 5, "--out", "result")
    assert outcome.exit_code == 0, outcome.output
    assert "Traded locally" in outcome.stdout
    assert "0.8 kWh" in outcome.stdout
    assert "interval 8/8" in outcome.stderr
    assert "\x1b[" not in outcome.output
    assert read_run(tmp_path / "result").scenario.seed == 5


def test_flags_reach_a_live_run(cli):
    assert (
        cli("run", "small.yaml", "--server", "prosody", "--pace", "2", "--set", "minimum_tokens=7").exit_code
        == 0
    )
    scenario, folder = fake_runs.CALLS[0]
    assert (scenario.server.kind, scenario.pace_s, scenario.minimum_tokens) == ("prosody", 2, 7)
    assert str(folder) == "runs/small-001"


def test_an_interrupted_run_leaves_what_there_is_and_exits_with_130(cli, tmp_path):
    outcome = cli("run", "small.yaml", "--offline", "--seed", 130, "--out", "result")
    assert outcome.exit_code == 130
    assert "stopped early" in outcome.stdout
    assert read_run(tmp_path / "result").manifest["complete"] is False


def test_what_cannot_be_reached_has_its_exit_code(cli):
    outcome = cli("run", "small.yaml", "--offline", "--seed", 13)
    assert (outcome.exit_code, outcome.stderr.strip().splitlines()[-1]) == (
        5,
        "Unavailable: the chain does not answer",
    )


@pytest.mark.parametrize("sites", [1, 2, 60, 10_000])
def test_what_init_prints_is_valid(sites, cli, tmp_path):
    (tmp_path / "new.yaml").write_text(cli("init", "--sites", sites).stdout)
    outcome = cli("validate", "new.yaml")
    assert outcome.exit_code == 0, outcome.stderr
    assert f"  {sites} site" in outcome.stdout


def test_the_agents_of_a_scenario_are_listed(cli):
    outcome = cli("agents", LABORATORY)
    assert "h002: h002-prosumer@localhost" in outcome.stdout
    assert "27 agents" in outcome.stderr


def test_schemas_are_printed(cli):
    assert "$defs" in json.loads(cli("schema").stdout)
    assert "@context" in json.loads(cli("schema", "--jsonld").stdout)
    assert "properties" in str(json.loads(cli("schema", "--scenario").stdout))
    assert "@prefix" in cli("schema", "--turtle").stdout
    assert cli("schema", "--turtle", "--jsonld").exit_code == 2


def test_a_sweep_leaves_one_table_and_plots(cli, tmp_path):
    arguments = (
        "--set",
        "grid.transformer_kva=50,100",
        "--seeds",
        "1..2,13",
        "--workers",
        1,
        "--out",
        "swept",
    )
    outcome = cli("sweep", "small.yaml", *arguments)
    assert outcome.exit_code == 1, outcome.output
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "swept" / "sweep.parquet").to_pylist()
    assert [(row["grid.transformer_kva"], row["seed"], bool(row["error"])) for row in rows] == [
        (kva, seed, seed == 13) for kva in (50, 100) for seed in (1, 2, 13)
    ]
    page = (tmp_path / "swept" / "sweep.html").read_text()
    assert page.count("<svg") == 1
    assert "2 runs failed" in page
    assert (tmp_path / "swept" / "sweep.csv").read_text().count("\n") == 7


@pytest.mark.parametrize(
    "arguments",
    [("--set", "grid.transformer_kva"), ("--set", "grid.nothing=1"), ("--seeds", "x"), ("--set", "seed=")],
    ids=["no value", "unknown key", "no seeds", "empty value"],
)
def test_a_bad_sweep_ends_with_exit_code_2(arguments, cli):
    assert cli("sweep", "small.yaml", *arguments, "--out", "swept").exit_code == 2


def test_help_answers_without_loading_the_scientific_libraries():
    heavy = {"numpy", "pyarrow", "msgspec", "yaml", "mesa"}
    code = f"import sys; import launch.cli; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ("--shard", "3/2", "--server-file", "place.json"),
            "--shard  3/2  i/n with 1 ≤ i ≤ n ≤ 64",
        ),
        (("--shard", "1/2"), "--server-file  missing  the file that `parity-mas server` wrote"),
        (("--shard", "1/2", "--offline"), "--offline  given  left out: shards are for live runs"),
        (("--server-file", "nowhere.json"), "--server-file  nowhere.json  a readable file"),
        (("--server-file", "small.yaml"), "--server-file  small.yaml  a file that `parity-mas server` wrote"),
    ],
)
def test_a_shard_needs_a_place_to_meet_and_a_number(cli, tmp_path, flags, complaint):
    (tmp_path / "place.json").write_text('{"host": "10.0.0.1", "port": 5275, "secrets": {}}')
    outcome = cli("run", "small.yaml", *flags)
    assert outcome.exit_code == 2
    assert complaint in outcome.stderr


def test_runs_are_put_side_by_side_and_on_a_page(cli, tmp_path):
    for name in ("one", "two"):
        cli("run", "small.yaml", "--offline", "--out", name)
    shown = cli("compare", "one", "two", "--out", "both.html")
    assert shown.exit_code == 0, shown.output
    assert "Calls for direct control" in shown.output
    assert "one" in (tmp_path / "both.html").read_text()


def test_what_is_no_run_folder_is_not_compared(cli, tmp_path):
    shown = cli("compare", "nowhere", "--out", "both.html")
    assert shown.exit_code == 2
    assert not (tmp_path / "both.html").exists()
