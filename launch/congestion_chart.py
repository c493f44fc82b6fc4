"""The chart of a congestion: what was foreseen and what was, what was bought, what was commanded."""

from typing import Any

import numpy as np

from launch.canvas import MUTED, STATES, canvas, finish, light, steps, svg_text
from launch.series import Series
from ontology.base import INTERVAL_S

__all__ = ["draw_congestion"]

ACTUAL, FORESEEN = "#2f7fd0", "#8593a8"
ORDERED, DELIVERED, COMMANDED = "#f2a900", "#3f9e5a", "#d62839"


def draw_congestion(series: Series, name: str = "congestion") -> str | None:
    """Return the chart as SVG: loading with the light; below, what was ordered, delivered and commanded.

    None where nothing was bought and nothing commanded.
    """
    ordered_w, delivered_w = (_bought_w(series, column) for column in ("ordered_w", "delivered_w"))
    commanded_w = _commanded_w(series)
    if not (ordered_w.any() or commanded_w.any() or len(series.result.tables.emergencies["start_s"])):
        return None
    with canvas(2, 1, 4.8) as (plot, grid):
        _draw_loading(series, grid[0, 0])
        _draw_relief(series, grid[1, 0], ordered_w, delivered_w, commanded_w)
        finish(series, plot, grid)
        return svg_text(plot, name)


def _draw_loading(series: Series, axes: Any) -> None:
    light(series, axes)
    for column, colour, style, label in (
        ("loading_foreseen", FORESEEN, "--", "foreseen 5 min ahead"),
        ("loading", ACTUAL, "-", "as it was"),
    ):
        worst = _highest(series.matrix("grid", "segment", column)) * 100
        steps(series, axes, worst, color=colour, linestyle=style, label=label)
    thresholds = series.result.scenario.grid.thresholds
    for limit, state in ((thresholds.loading_yellow, "YELLOW"), (thresholds.loading_red, "RED")):
        axes.axhline(100 * limit, color=STATES[state], linewidth=1, linestyle="--")
    axes.set_ylabel("highest loading, %")
    axes.set_ylim(0, None)


def _draw_relief(
    series: Series, axes: Any, ordered_w: np.ndarray, delivered_w: np.ndarray, commanded_w: np.ndarray
) -> None:
    for power_w, colour, label in (
        (ordered_w, ORDERED, "ordered"),
        (delivered_w, DELIVERED, "delivered"),
        (commanded_w, COMMANDED, "direct control"),
    ):
        if power_w.any():
            steps(series, axes, power_w / 1000, color=colour, label=label)
    calls = np.unique(np.asarray(series.result.tables.emergencies["start_s"], dtype=np.int64))
    at = np.searchsorted(series.starts, calls // INTERVAL_S * INTERVAL_S)
    points = np.unique(at[at < len(series.starts)] // series.every)
    points = points[points < len(series.times)]
    if len(points):
        axes.plot(
            series.times[points],
            np.zeros(len(points)),
            "v",
            color=COMMANDED,
            markersize=4,
            label="call",
            clip_on=False,
        )
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set_ylabel("change of power, kW")


def _highest(matrix: np.ndarray) -> np.ndarray:
    """Return the highest of all segments, NaN where none is known."""
    known = ~np.isnan(matrix).all(axis=0)
    return np.where(known, np.nanmax(np.where(np.isnan(matrix), -np.inf, matrix), axis=0), np.nan)


def _bought_w(series: Series, column: str) -> np.ndarray:
    """Return a column of what was bought, summed over orders, mean of each point."""
    acquired = series.result.tables.acquired
    return _over_time(series, acquired["start_s"], np.asarray(acquired[column], dtype=float))


def _commanded_w(series: Series) -> np.ndarray:
    """Return what devices deviated by under direct control, as reported."""
    calls = series.result.tables.emergencies
    energy_wh = np.asarray(calls["delivered_wh"], dtype=float)
    return _over_time(series, calls["start_s"], energy_wh * 3600 / INTERVAL_S)


def _over_time(series: Series, starts: Any, values: np.ndarray) -> np.ndarray:
    """Return values by start as a row of the chart's points."""
    whole = np.zeros(len(series.starts))
    begun = np.asarray(starts, dtype=np.int64) // INTERVAL_S * INTERVAL_S
    at = np.searchsorted(series.starts, begun)
    inside = at < len(series.starts)
    np.add.at(whole, at[inside], values[inside])
    groups = np.arange(0, len(whole), series.every)
    return np.add.reduceat(whole, groups) / series.every if len(whole) else whole
