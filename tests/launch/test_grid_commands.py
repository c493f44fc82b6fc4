"""`parity-mas grid`: what it prints and writes, and what it says of bad input."""

import csv
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from launch.cli import app
from launch.run_folder import RunFolder, read_run
from tests.environments.networks.pandapower_samples import document
from tests.launch.launch_samples import made_up_result


def cli(*arguments):
    return CliRunner().invoke(app, ["grid", *map(str, arguments)])


@pytest.fixture
def day(tmp_path):
    """Return a day of two houses: one draws 8 kW at noon, the other feeds in."""
    path = tmp_path / "day.csv"
    start = datetime(2024, 6, 1, tzinfo=UTC)
    lines = ["time,h001,h002"]
    for quarter in range(96):
        time = start + timedelta(minutes=15 * quarter)
        lines.append(
            f"{time.isoformat()},{8000 if quarter == 48 else 300},{-4000 if 30 < quarter < 60 else 200}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_built_in_network_is_solved_with_its_own_loads():
    outcome = cli("solve", "ieee-european-lv")
    assert outcome.exit_code == 0
    assert "907 nodes, 905 lines, 55 sites, transformer 800 kVA, 416 V" in outcome.stdout
    assert "57.36 kW" in outcome.stdout
    assert "node 899, L2" in outcome.stdout
    assert "IEEE PES Test Feeder" in outcome.stdout


def test_voltages_currents_and_a_plot_are_written(tmp_path):
    outcome = cli("solve", "cigre-lv", "--out", tmp_path)
    assert outcome.exit_code == 0
    nodes, lines = table(tmp_path / "nodes.csv"), table(tmp_path / "lines.csv")
    assert (len(nodes), len(lines)) == (43, 37)
    assert nodes[0]["network"] == "cigre-lv-residential"
    assert float(nodes[1]["l1_v"]) == pytest.approx(225.6, abs=0.1)
    assert all(0 <= float(each["loading"]) < 1 for each in lines)
    assert (tmp_path / "cigre-lv-industrial.svg").read_text().lstrip().startswith("<?xml")


def test_loads_of_a_file_take_the_place_of_the_networks_own(tmp_path):
    loads = tmp_path / "loads.csv"
    loads.write_text("site,power_w\nh002,9000\n")
    outcome = cli("solve", "street-4", "--loads", loads, "--power-factor", 1)
    assert "9.00 kW" in outcome.stdout
    assert "L1 0.0, L2 9.0, L3 0.0" in outcome.stdout


def test_a_report_tells_what_was_worst_and_when(day, tmp_path):
    outcome = cli("report", "street-4", "--loads", day, "--out", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.stderr
    lowest = next(line for line in outcome.stdout.splitlines() if "Lowest voltage" in line)
    assert "street-4-h001, 2024-06-01 12:00Z" in lowest
    instants = table(tmp_path / "out" / "instants.csv")
    assert len(instants) == 96
    assert min(instants, key=lambda row: float(row["voltage_min_pu"])) == instants[48]
    assert float(instants[48]["load_w"]) == 4000
    assert (tmp_path / "out" / "street-4.svg").exists()


def test_energy_is_that_of_the_powers_and_their_step(day):
    outcome = cli("report", "street-4", "--loads", day)
    kwh = (95 * 300 + 8000 + 67 * 200 - 29 * 4000) / 4 / 1000
    assert f"{kwh:.1f} kWh" in outcome.stdout


@pytest.mark.parametrize("command", ["solve", "report"])
def test_bad_loads_are_all_named_and_the_exit_code_is_two(command, tmp_path):
    loads = tmp_path / "loads.csv"
    loads.write_text(
        "time,nobody,h001,h001\nnoon,1,2,3\n" if command == "report" else "site,power_w\nnobody,1\nh001,x\n"
    )
    outcome = cli(command, "street-4", "--loads", loads)
    assert outcome.exit_code == 2
    assert "input: 2 problems" in outcome.stderr
    assert "nobody" in outcome.stderr


@pytest.mark.parametrize("changed", [{"line": [], "asymmetric_load": []}, {"asymmetric_load": []}])
def test_networks_without_lines_or_sites_are_shown_too(changed, tmp_path):
    file = tmp_path / "small.json"
    file.write_text(document(**changed))
    outcome = cli("solve", file, "--out", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.output
    assert "0 sites" in outcome.stdout


def test_an_unknown_network_is_answered_with_the_known_ones():
    outcome = cli("solve", "nowhere")
    assert outcome.exit_code == 2
    assert "ieee-european-lv, cigre-lv, street-1 to street-60" in outcome.stderr


def test_a_power_factor_out_of_range_is_refused():
    assert cli("solve", "street-4", "--power-factor", 1.2).exit_code == 2


def test_loads_beyond_what_the_network_can_carry_fail_and_say_so(tmp_path):
    loads = tmp_path / "loads.csv"
    loads.write_text("site,power_w\nh001,9000000\n")
    outcome = cli("solve", "street-4", "--loads", loads)
    assert outcome.exit_code == 1
    assert "street-4" in outcome.stderr


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a run folder."""
    monkeypatch.setattr("launch.report.render_report", lambda result: "a report")
    result = made_up_result()
    RunFolder(tmp_path / "run", result.scenario, result.mode).finish(result)
    return tmp_path / "run"


def test_a_run_is_reported_feeder_by_feeder(run, tmp_path):
    outcome = cli("report", run, "--out", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.output
    grid = read_run(run).tables.grid
    rows = table(tmp_path / "out" / "feeders.csv")
    assert [each["segment_id"] for each in rows] == sorted(set(grid["segment"]))
    for row in rows:
        mine = grid["segment"] == row["segment_id"]
        lowest = grid["voltage_min_pu"][mine].min()
        assert float(row["voltage_min_pu"]) == pytest.approx(lowest, abs=1e-6)
        at = grid["start_s"][mine][grid["voltage_min_pu"][mine].argmin()]
        assert int(row["voltage_min_pu_time_s"]) == at
        assert float(row["losses_wh"]) == pytest.approx(grid["losses_w"][mine].sum() / 4, abs=1e-3)
        states = [int(row[f"{state}_intervals"]) for state in ("green", "yellow", "red")]
        assert sum(states) == int(row["intervals"]) == mine.sum()
        assert row["segment_id"] in outcome.stdout


def test_a_run_has_loads_of_its_own(run, tmp_path):
    outcome = cli("report", run, "--loads", tmp_path / "day.csv")
    assert outcome.exit_code == 2
    assert "--loads" in outcome.stderr


def test_a_network_without_loads_over_time_asks_for_a_file():
    outcome = cli("report", "street-4")
    assert outcome.exit_code == 2
    assert "street-4 has no loads over time of its own" in outcome.stderr


def test_a_circuit_is_reported_with_its_own_shapes(tmp_path):
    pytest.importorskip("opendssdirect", reason="OpenDSS is not installed")
    from tests.environments.networks.test_opendss_file import VILLAGE, written

    outcome = cli("report", written(tmp_path, VILLAGE), "--out", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.output
    loads_w = [float(each["load_w"]) for each in table(tmp_path / "out" / "instants.csv")]
    assert loads_w == [9_800, 13_000, 11_000]
