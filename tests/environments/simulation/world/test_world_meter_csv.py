"""Meter readings from a file: what is read, and what is said when they cannot be believed."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from world_helpers import SUMMER, bare_site, run, world

from environments.simulation.world import read_meter_csv
from environments.simulation.world.meter_csv import read_temperature_csv
from ontology.errors import InvalidInput

HEAD = "time,energy_wh\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "meter.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rows(*starts: str) -> str:
    return HEAD + "".join(f"{start},100\n" for start in starts)


def test_readings_become_the_demand_of_a_site(tmp_path: Path) -> None:
    start = datetime.fromisoformat("2024-06-18T00:00:00+00:00")
    lines = [f"{(start + timedelta(minutes=15 * i)).isoformat()},{100 + i}\n" for i in range(96)]
    path = written(tmp_path, HEAD + "".join(lines))
    table = run(world(bare_site(csv=str(path)), bare_site("h002")))
    assert table["base_wh"][::2].tolist() == [100 + i for i in range(96)]


def test_a_run_beyond_the_readings_says_what_they_cover(tmp_path: Path) -> None:
    path = written(tmp_path, rows("2024-06-18T00:00:00Z", "2024-06-18T00:15:00Z"))
    with pytest.raises(InvalidInput, match=r"2024-06-18T00:00:00Z to 2024-06-18T00:30:00Z"):
        world(bare_site(csv=str(path)))


@pytest.mark.parametrize(
    ("column", "value", "watts"),
    [
        ("energy_wh", "250", 1_000),
        ("energy_kwh", "0.25", 1_000),
        ("power_w", "250", 250),
        ("power_kw", "1.5", 1_500),
    ],
)
def test_energy_and_power_are_understood(tmp_path: Path, column: str, value: str, watts: float) -> None:
    path = written(tmp_path, f"time,{column}\n2024-01-01T00:00:00Z,{value}\n2024-01-01T00:15:00Z,{value}\n")
    assert read_meter_csv(path).power_w.tolist() == [watts, watts]


def test_local_times_of_a_zone_go_over_the_spring_change(tmp_path: Path) -> None:
    times = [f"2024-03-31T{hour:02d}:00" for hour in (0, 1, 3, 4)]
    readings = read_meter_csv(written(tmp_path, rows(*times)), "Europe/Berlin")
    assert readings.step_s == 3_600
    assert readings.start_s == int(datetime(2024, 3, 31, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    assert len(readings.power_w) == 4


def test_other_steps_are_averaged_without_loss(tmp_path: Path) -> None:
    lines = "".join(f"2024-06-18T{hour:02d}:00:00Z,{1000 + hour}\n" for hour in range(24))
    readings = read_meter_csv(written(tmp_path, HEAD + lines))
    quarter = readings.mean_w(SUMMER, 900, 96)
    assert quarter.sum() / 4 == pytest.approx(np.arange(1_000, 1_024).sum())
    assert quarter[:5].tolist() == [1_000] * 4 + [1_001]


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        pytest.param(rows("2024-01-01T00:00", "2024-01-01T00:15"), None, "offset", id="naive"),
        pytest.param(
            rows("2024-10-27T02:00", "2024-10-27T03:00"),
            "Europe/Berlin",
            "this hour twice",
            id="repeated hour",
        ),
        pytest.param(
            rows("2024-03-31T01:00", "2024-03-31T02:00"), "Europe/Berlin", "skip this hour", id="skipped hour"
        ),
        pytest.param(
            rows("2024-01-01T00:00Z", "2024-01-01T00:15Z", "2024-01-01T00:45Z"), None, "no gap", id="gap"
        ),
        pytest.param(
            rows("2024-01-01T00:00Z", "2024-01-01T00:15Z", "2024-01-01T00:15Z"),
            None,
            "duplicated",
            id="twice",
        ),
        pytest.param(
            rows("2024-01-01T00:15Z", "2024-01-01T00:30Z", "2024-01-01T00:00Z"), None, "ascending", id="order"
        ),
        pytest.param(rows("2024-01-01T00:00Z"), None, "at least 2", id="one reading"),
        pytest.param(rows("2024-01-01T00:00Z", "2024-01-01T00:07Z"), None, "equal steps", id="odd step"),
        pytest.param(rows("yesterday", "today"), None, "ISO 8601", id="not a time"),
        pytest.param(HEAD + "2024-01-01T00:00Z,-5\n2024-01-01T00:15Z,5\n", None, "negative", id="negative"),
        pytest.param(HEAD + "2024-01-01T00:00Z,\n2024-01-01T00:15Z,nan\n", None, "number", id="no number"),
        pytest.param("when,what\n1,2\n", None, "a header with time", id="header"),
        pytest.param("", None, "a header with time", id="empty"),
        pytest.param(rows("2024-01-01T00:00Z"), "Mars/Olympus", "time zone", id="zone"),
    ],
)
def test_what_cannot_be_believed_is_refused(
    tmp_path: Path, text: str, zone: str | None, expected: str
) -> None:
    with pytest.raises(InvalidInput, match=expected):
        read_meter_csv(written(tmp_path, text), zone)


def test_temperatures_may_be_negative_but_not_impossible(tmp_path: Path) -> None:
    path = written(tmp_path, "time,outdoor_degc\n2024-01-01T00:00Z,-7.5\n2024-01-01T01:00Z,-5.5\n")
    assert read_temperature_csv(path).mean_degc(1_704_067_200, 3_600, 2).tolist() == [-7.5, -5.5]
    path = written(tmp_path, "time,outdoor_degc\n2024-01-01T00:00Z,-300\n2024-01-01T01:00Z,1\n")
    with pytest.raises(InvalidInput, match="from -90 to 70"):
        read_temperature_csv(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read_meter_csv(tmp_path / "nothing.csv")


def test_every_problem_of_a_file_is_told_and_many_are_shortened(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "x,y\n" * 30)
    with pytest.raises(InvalidInput) as caught:
        read_meter_csv(path)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[0].path.endswith("meter.csv:2")


def test_a_worlds_files_are_all_checked(tmp_path: Path) -> None:
    bad = str(written(tmp_path, rows("2024-01-01T00:00", "2024-01-01T00:15")))
    with pytest.raises(InvalidInput) as caught:
        world(bare_site(csv=bad), bare_site("h002", csv=str(tmp_path / "none.csv")))
    assert [each.path.split(" ")[0] for each in caught.value.problems] == [
        "sites[0].csv",
        "sites[0].csv",
        "sites[1].csv",
    ]
