"""What the grid of a finished run went through, feeder by feeder, reduced to one row each."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from launch.grid_chart import LEVELS_PU, UNBALANCE_LIMIT
from launch.run_folder import MANIFEST, read_run
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, problem

__all__ = ["Extreme", "FeederSpan", "feeders_of_run", "is_run", "write_feeders"]

HOURS = INTERVAL_S / 3600
FEEDERS = "feeders.csv"


class Extreme(NamedTuple):
    """The worst value of a feeder, and the start of the interval that had it; NaN where nothing is known."""

    value: float
    time_s: int


class FeederSpan(NamedTuple):
    """A feeder over the settled intervals of a run: voltages in p.u., shares of ratings, Wh."""

    segment_id: str
    intervals: int
    voltage_min_pu: Extreme
    voltage_max_pu: Extreme
    beyond_voltage: float
    """Share of the intervals that leave ±10 % at some node"""
    unbalance: Extreme
    beyond_unbalance: float
    """Share of the intervals with more than 2 % at some node"""
    loading: Extreme
    neutral_a: Extreme
    imported_wh: float
    exported_wh: float
    losses_wh: float
    states: Mapping[str, int]
    """Intervals by grid state"""


def is_run(path: Path) -> bool:
    """Return whether there is a run folder."""
    return (path / MANIFEST).is_file()


def feeders_of_run(path: Path) -> list[FeederSpan]:
    """Return each feeder of a run folder.

    Raises: InvalidInput when it is none, or has no intervals.
    """
    grid = read_run(path).tables.grid
    segments = grid.get("segment", np.array([]))
    if not len(segments):
        raise InvalidInput(problem("run folder", str(path), "a run with settled intervals"))
    return [
        _feeder(str(name), {key: values[segments == name] for key, values in grid.items()})
        for name in np.unique(segments)
    ]


def write_feeders(folder: Path, feeders: Sequence[FeederSpan]) -> list[Path]:
    """Write a row a feeder into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_row(each) for each in feeders]
    with (folder / FEEDERS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return [folder / FEEDERS]


def _feeder(segment_id: str, grid: Mapping[str, np.ndarray]) -> FeederSpan:
    low, high, unbalance = (grid[key] for key in ("voltage_min_pu", "voltage_max_pu", "unbalance"))
    through_wh = HOURS * grid["transformer_w"]
    states, counts = np.unique(grid["grid_state"].astype(str), return_counts=True)
    times_s = grid["start_s"]
    return FeederSpan(
        segment_id,
        len(times_s),
        _extreme(low, times_s, least=True),
        _extreme(high, times_s),
        float(((low < LEVELS_PU[0]) | (high > LEVELS_PU[1])).mean()),
        _extreme(unbalance, times_s),
        float((unbalance > UNBALANCE_LIMIT).mean()),
        _extreme(grid["loading"], times_s),
        _extreme(grid["neutral_a"], times_s),
        float(np.clip(through_wh, 0, None).sum()),
        float(np.clip(-through_wh, 0, None).sum()),
        float(HOURS * grid["losses_w"].sum()),
        dict(zip(states.tolist(), counts.tolist(), strict=True)),
    )


def _extreme(values: np.ndarray, times_s: np.ndarray, *, least: bool = False) -> Extreme:
    if np.isnan(values).all():
        return Extreme(float("nan"), int(times_s[0]))
    at = int(np.nanargmin(values) if least else np.nanargmax(values))
    return Extreme(float(values[at]), int(times_s[at]))


def _row(feeder: FeederSpan) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, value in feeder._asdict().items():
        if isinstance(value, Extreme):
            row[name] = "" if np.isnan(value.value) else round(value.value, 6)
            row[f"{name}_time_s"] = "" if np.isnan(value.value) else value.time_s
        elif isinstance(value, float):
            row[name] = round(value, 6)
        elif name == "states":
            row |= {f"{state.lower()}_intervals": value.get(state, 0) for state in ("GREEN", "YELLOW", "RED")}
        else:
            row[name] = value
    return row
