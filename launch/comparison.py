"""Runs side by side: the same numbers of each, and the chart of each congestion, one below the other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from launch.congestion_chart import draw_congestion
from launch.report import TEMPLATES, headlines
from launch.run_folder import RunResult, read_run, replace_file
from launch.series import Series
from launch.summary import summarise
from ontology.base import TICKS_PER_CURRENCY

__all__ = ["compared", "compared_rows", "write_comparison"]


def compared(folders: Sequence[Path]) -> list[tuple[str, RunResult]]:
    """Return runs by the names of their folders, in the order given.

    Raises: InvalidInput when a folder holds no run.
    """
    return [(folder.name, checked(read_run(folder).result)) for folder in folders]


def checked(result: RunResult) -> RunResult:
    """Return a result with complete tables."""
    return replace(result, tables=result.tables.checked())


def compared_rows(runs: Sequence[tuple[str, RunResult]]) -> list[tuple[str, list[str], str]]:
    """Return each number's name, its values by run, and what it is; trade and emergencies come first."""
    columns = [[*relief_lines(result), *headlines(summarise(result))] for _, result in runs]
    return [
        (lines[0][0], [value for _, value, _ in lines], lines[0][2]) for lines in zip(*columns, strict=True)
    ]


def relief_lines(result: RunResult) -> list[tuple[str, str, str]]:
    """Return what was bought, brought and commanded in a run, as (what, value, explanation)."""
    trade, calls = result.tables.flexibility, result.tables.emergencies
    loading = np.asarray(result.tables.grid["loading"], dtype=float)
    net = (np.sum(trade["earned_ticks"]) - np.sum(trade["penalty_ticks"])) / TICKS_PER_CURRENCY
    requests = len({(s, p) for s, p in zip(trade["start_s"], trade["segment"], strict=True)})
    orders = sum(bool(name) for name in trade["order"])
    over = int(np.sum(loading > result.scenario.grid.thresholds.loading_red))
    return [
        ("Above the limit", str(over), "intervals with a loading that is RED"),
        ("Requests and orders", f"{requests} / {orders}", "of the flexibility market"),
        (
            "Ordered and delivered",
            f"{_kwh(trade['ordered_wh'])} / {_kwh(trade['delivered_wh'])} kWh",
            "of flexibility",
        ),
        ("Paid for it", f"{net:.2f} EUR", "to aggregators, penalties deducted"),
        ("Calls for direct control", str(len(calls["start_s"])), "in RED"),
        ("Direct control", f"{_kwh(calls['delivered_wh'])} kWh", "less drawn, as reported"),
    ]


def write_comparison(runs: Sequence[tuple[str, RunResult]], path: Path) -> None:
    """Write the comparison as one HTML file without external assets."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    charts = [
        (name, draw_congestion(Series(result), f"run{number}")) for number, (name, result) in enumerate(runs)
    ]
    page = environment.get_template("comparison.html").render(
        names=[name for name, _ in runs], rows=compared_rows(runs), charts=charts
    )
    replace_file(path, page.encode())


def _kwh(energies_wh: Sequence[int] | np.ndarray) -> str:
    return f"{abs(float(np.sum(energies_wh))) / 1000:.1f}"
