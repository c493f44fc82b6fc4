"""`parity-mas forecast backtest`: how well methods would have foreseen a user's own meter readings."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from behaviours.decisions.forecasters.backtest import METHODS, BacktestSeries, Score, backtest, score
from behaviours.decisions.forecasters.boosted import has_lightgbm
from behaviours.decisions.forecasters.past_days import DAY_S, DayForecast
from environments.simulation.world.meter_csv import (
    MeterReadings,
    OutdoorTemperatures,
    read_meter_csv,
    read_temperature_csv,
)
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["WARM_UP_DAYS", "Backtest", "Request", "print_backtests", "run_backtests", "write_backtests"]

WARM_UP_DAYS = 28
OPTIONAL = "LightGBM"
SCORES = "scores.csv"


@dataclass(frozen=True)
class Request:
    """What shall be tested: files, zone of times without an offset, methods by name, days."""

    files: Sequence[Path]
    zone: str | None = None
    temperature: Path | None = None
    methods: Sequence[str] = ()
    """Empty for all that are installed."""
    warm_up_days: int = WARM_UP_DAYS
    days: int | None = None
    """Only the last so many days are foreseen."""
    out: Path | None = None


@dataclass(frozen=True)
class Backtest:
    """The forecasts of a series by every method, over all days from one on, and how good they were."""

    name: str
    start_s: int
    series: BacktestSeries
    first_day: int
    forecasts: dict[str, DayForecast]
    scores: dict[str, Score]


def run_backtests(request: Request) -> list[Backtest]:
    """Read the files and test every method on each.

    Raises: InvalidInput with all problems of all files and options.
    """
    methods, found = _methods(request.methods)
    found += _folder_problems(request.out)
    temperature, more = _read(read_temperature_csv, request.temperature, request.zone)
    found += more
    series = []
    for name, path in _named(request.files):
        readings, more = _read(read_meter_csv, path, request.zone)
        found += more
        if isinstance(readings, MeterReadings):
            try:
                series.append((name, *_series(readings, temperature, request)))
            except InvalidInput as error:
                found += error.problems
    if found:
        raise InvalidInput(found)
    return [_backtest(*each, request, methods) for each in series]


def _backtest(
    name: str, start_s: int, series: BacktestSeries, request: Request, methods: Sequence[str]
) -> Backtest:
    first_day = max(request.warm_up_days, series.days - (request.days or series.days))
    forecasts = {method: backtest(series, METHODS[method], first_day) for method in methods}
    scores = {method: score(series, forecast, first_day) for method, forecast in forecasts.items()}
    return Backtest(name, start_s, series, first_day, forecasts, scores)


def _methods(asked: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """Return the methods to test, and what is wrong with what was asked for."""
    by_name = {name.lower(): name for name in METHODS}
    found = [
        problem("--method", each, f"one of {', '.join(METHODS)}")
        for each in asked
        if each.lower() not in by_name
    ]
    chosen = [by_name[each.lower()] for each in asked if each.lower() in by_name] or list(METHODS)
    if OPTIONAL in chosen and not has_lightgbm():
        chosen.remove(OPTIONAL)
        if asked:
            found.append(problem("--method", OPTIONAL, "installed: pip install 'parity-mas[lightgbm]'"))
    return list(dict.fromkeys(chosen)), found


def _folder_problems(folder: Path | None) -> list[Problem]:
    if folder is None or not folder.exists() or (folder / SCORES).exists():
        return []
    if folder.is_dir() and not any(folder.iterdir()):
        return []
    return [problem("--out", str(folder), "must be new, empty or an earlier backtest's folder")]


def _named(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return a name for each file: its stem, and a number where stems are the same."""
    stems = [path.stem for path in files]
    return [
        (stem if stems.count(stem) == 1 else f"{stem}-{stems[: number + 1].count(stem)}", path)
        for number, (stem, path) in enumerate(zip(stems, files, strict=True))
    ]


def _read(reader: Any, path: Path | None, zone: str | None) -> tuple[Any, list[Problem]]:
    if path is None:
        return None, []
    try:
        return reader(path, zone), []
    except InvalidInput as error:
        return None, list(error.problems)


def _series(
    readings: MeterReadings, temperature: OutdoorTemperatures | None, request: Request
) -> tuple[int, BacktestSeries]:
    """Return the whole days of readings from the first local midnight on, and when that is."""
    step_s = max(INTERVAL_S, readings.step_s)
    zone = request.zone or "UTC"
    first_s = -(-readings.start_s // step_s) * step_s
    starts = first_s + step_s * np.arange((readings.end_s - first_s) // step_s)
    local_s = local_clock(starts, zone)
    midnights = np.flatnonzero(local_s % DAY_S == 0)
    days = (len(starts) - midnights[0]) * step_s // DAY_S if len(midnights) else 0
    needed = request.warm_up_days + 1
    if days < needed:
        raise InvalidInput(problem(readings.path, f"{days} whole days", f"at least {needed}"))
    kept = slice(midnights[0], midnights[0] + days * DAY_S // step_s)
    start_s, steps = int(starts[kept.start]), kept.stop - kept.start
    degc = None if temperature is None else temperature.mean_degc(start_s, step_s, steps)
    power_w = readings.mean_w(start_s, step_s, steps)
    return start_s, BacktestSeries(power_w, local_s[kept], step_s, degc)


def local_clock(starts_s: np.ndarray, zone: str) -> np.ndarray:
    """Return times in epoch seconds as seconds of the local clock."""
    import pandas as pd

    times = pd.to_datetime(starts_s, unit="s", utc=True).tz_convert(ZoneInfo(zone)).tz_localize(None)
    local: np.ndarray = times.to_numpy("datetime64[s]").astype(np.int64)
    return local


def print_backtests(tests: Sequence[Backtest]) -> None:
    """Print a table a series: one row a method."""
    from rich.table import Table

    from launch.console import console

    for test in tests:
        level_w = float(np.abs(test.series.of_days(test.first_day)).mean())
        days = test.series.days - test.first_day
        table = Table(title=f"{test.name}: {days} days a day ahead, {level_w:,.0f} W on average")
        for title in ("method", "nMAE %", "nRMSE %", "pinball %", "P10–P90 holds %", "MASE", "bias %"):
            table.add_column(title, justify="left" if title == "method" else "right")
        for method, each in test.scores.items():
            shares = (each.nmae, each.nrmse, each.pinball, each.coverage)
            cells = [f"{100 * share:.1f}" for share in shares]
            table.add_row(method, *cells, f"{each.mase:.2f}", f"{100 * each.bias:+.1f}")
        console().print(table)


def write_backtests(tests: Sequence[Backtest], folder: Path) -> list[Path]:
    """Write scores.csv, forecasts.parquet and a plot a series; returns the paths."""
    from launch.forecast_chart import backtest_chart
    from launch.run_folder import replace_file

    contents = {SCORES: _scores_csv(tests), "forecasts.parquet": _forecasts_parquet(tests)}
    contents |= {f"{test.name}.svg": backtest_chart(test).encode() for test in tests}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace_file(folder / name, content)
    return [folder / name for name in contents]


def _scores_csv(tests: Sequence[Backtest]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("series", "method", "days", *Score._fields))
    for test in tests:
        for method, each in test.scores.items():
            values = [f"{value:.6f}" for value in each]
            writer.writerow((test.name, method, test.series.days - test.first_day, *values))
    return text.getvalue().encode()


def _forecasts_parquet(tests: Sequence[Backtest]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [
        pa.table(
            {
                "series": [test.name] * forecast.expected_w.size,
                "method": [method] * forecast.expected_w.size,
                "start_s": test.start_s + _offsets_s(test),
                "actual_w": test.series.of_days(test.first_day).ravel(),
                "expected_w": forecast.expected_w.ravel(),
                "low_w": forecast.low_w.ravel(),
                "high_w": forecast.high_w.ravel(),
            }
        )
        for test in tests
        for method, forecast in test.forecasts.items()
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.concat_tables(tables), buffer, compression="zstd")
    return buffer.getvalue()


def _offsets_s(test: Backtest) -> np.ndarray:
    series = test.series
    return series.step_s * np.arange(test.first_day * series.steps, series.days * series.steps)
