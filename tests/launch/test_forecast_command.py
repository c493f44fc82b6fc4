"""`parity-mas forecast backtest`: what it prints and writes, and what it says of bad input."""

import csv
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from launch.cli import app

START = datetime(2024, 3, 1, tzinfo=UTC)


def written(path, days, step_minutes=60, column="power_w", missing=None):
    rng = np.random.default_rng(1)
    steps = days * 24 * 60 // step_minutes
    lines = [f"time,{column}\n"]
    for number in range(steps):
        if number != missing:
            time = START + timedelta(minutes=step_minutes * number)
            lines.append(
                f"{time.isoformat()},{200 + 100 * np.sin(number / 4) ** 2 + 50 * rng.random():.1f}\n"
            )
    path.write_text("".join(lines))
    return path


def cli(*arguments):
    return CliRunner().invoke(app, ["forecast", "backtest", *map(str, arguments)])


def test_methods_are_compared_on_the_days_after_the_warm_up(tmp_path):
    file = written(tmp_path / "home.csv", days=24)
    outcome = cli(file, "--warm-up", 18, "--method", "ridge", "--method", "yesterday")
    assert outcome.exit_code == 0
    assert "home: 6 days a day ahead" in outcome.stdout
    assert [word for word in outcome.stdout.split() if word in ("ridge", "yesterday", "LightGBM")] == [
        "ridge",
        "yesterday",
    ]


def test_scores_forecasts_and_a_plot_are_written(tmp_path):
    files = [written(tmp_path / name, days=20, step_minutes=30) for name in ("a.csv", "b.csv")]
    methods = ["--method", "7-day median", "--method", "ridge"]
    outcome = cli(
        *files, "--warm-up", 14, "--days", 2, *methods, "--zone", "Europe/Berlin", "--out", tmp_path / "out"
    )
    assert outcome.exit_code == 0, outcome.stderr
    with (tmp_path / "out" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["series"], row["method"], row["days"]) for row in rows] == [
        (series, method, "2") for series in ("a", "b") for method in ("7-day median", "ridge")
    ]
    assert 0 < float(rows[1]["nmae"]) < 0.5
    table = pq.read_table(tmp_path / "out" / "forecasts.parquet").to_pylist()
    assert len(table) == 2 * 2 * 2 * 48
    assert datetime.fromtimestamp(table[0]["start_s"], UTC).hour == 23  # midnight in Berlin
    assert (tmp_path / "out" / "a.svg").read_text().startswith("<?xml")


def test_a_temperature_file_is_used(tmp_path):
    file = written(tmp_path / "home.csv", days=20)
    weather = tmp_path / "weather.csv"
    times = [START + timedelta(hours=number) for number in range(20 * 24)]
    weather.write_text(
        "time,outdoor_degc\n" + "".join(f"{time.isoformat()},{-time.hour}\n" for time in times)
    )
    outcome = cli(file, "--temperature", weather, "--warm-up", 15, "--method", "ridge")
    assert outcome.exit_code == 0, outcome.stderr
    weather.write_text(weather.read_text().replace(",-7\n", ",-273\n", 1))
    outcome = cli(file, "--temperature", weather, "--warm-up", 15)
    assert outcome.exit_code == 2
    assert "a number from -90 to 70" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "No such file or directory"),
        (["gap.csv"], "no gap, a reading every 3600 s"),
        (["short.csv"], "at least 29"),
        (["long.csv", "--zone", "Mars/Olympus"], "a time zone such as Europe/Berlin"),
        (["long.csv", "--method", "oracle"], "one of yesterday, last week, 7-day median, ridge, LightGBM"),
        (["long.csv", "--temperature", "long.csv"], "a header with time and one of outdoor_degc"),
        (["long.csv", "--out", "."], "must be new, empty or an earlier backtest's folder"),
    ],
)
def test_bad_input_ends_with_exit_code_2(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "gap.csv", days=30, missing=40)
    written(tmp_path / "short.csv", days=9)
    written(tmp_path / "long.csv", days=30)
    outcome = cli(*arguments)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert "Traceback" not in outcome.output


def test_all_problems_of_all_files_are_told_at_once(tmp_path):
    gap, short = written(tmp_path / "gap.csv", days=30, missing=40), written(tmp_path / "short.csv", days=9)
    outcome = cli(gap, short, "--method", "oracle")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("input: 3 problems")


def test_without_lightgbm_the_others_are_compared_and_who_asks_for_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("launch.forecast.has_lightgbm", lambda: False)
    file = written(tmp_path / "home.csv", days=16)
    assert "LightGBM" not in cli(file, "--warm-up", 14).stdout
    outcome = cli(file, "--warm-up", 14, "--method", "LightGBM")
    assert outcome.exit_code == 2
    assert "pip install 'parity-mas[lightgbm]'" in outcome.stderr
