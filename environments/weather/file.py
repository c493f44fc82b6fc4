"""Weather from a file: a CSV in equal steps, read again when somebody has replaced it."""

import csv
from datetime import datetime
from itertools import pairwise
from math import isfinite
from pathlib import Path

from behaviours.ports import Clock
from ontology.errors import InvalidInput, Problem, Unavailable, problem
from ontology.weather import WeatherForecast

__all__ = ["COLUMNS", "WeatherFile"]

COLUMNS = ("outdoor_degc", "ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2", "wind_m_per_s")
MOST_PROBLEMS = 50
STEPS = 96


class WeatherFile:
    """The `WeatherService` port on a CSV with the columns `time` (ISO 8601 with an offset) and those above.

    Args:
        path: the file; looked at when a forecast is wanted.
        zone: what it is about.
        clock: the time that a forecast is wanted for.
    """

    def __init__(self, path: Path, zone: str, clock: Clock, *, name: str = "file") -> None:
        self._path, self._zone, self._clock, self._name = path, zone, clock, name

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return what the file says from now on, at most a day.

        Raises: Unavailable when it says nothing of now, or cannot be read.
        """
        now_s = int(self._clock.now_s())
        try:
            times, columns = read_weather(self._path)
        except InvalidInput as error:
            raise Unavailable(f"{self._path.name}: {error}") from error
        step_s = times[1] - times[0]
        first = (now_s - times[0]) // step_s
        if not 0 <= first < len(times):
            raise Unavailable(f"{self._path.name} says nothing of now")
        series = {name: values[first : first + STEPS] for name, values in columns.items()}
        return WeatherForecast(
            zone=zone or self._zone,
            issued_at_s=now_s,
            start_s=times[first],
            step_s=step_s,
            provider=self._name,
            **series,  # type: ignore[arg-type]
        )


def read_weather(path: Path) -> tuple[list[int], dict[str, list[float]]]:
    """Return the times (epoch seconds) and columns of a weather file.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(problem(str(path), str(error), "a CSV file in UTF-8")) from None
    missing = [name for name in ("time", *COLUMNS) if not rows or name not in rows[0]]
    if missing:
        raise InvalidInput([problem("header", name, "is missing") for name in missing])
    times, problems = list[int](), list[Problem]()
    columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for line, row in enumerate(rows, start=2):
        times.append(_time(row["time"], line, problems))
        for name, values in columns.items():
            values.append(_number(row[name], name, line, problems))
        if len(problems) >= MOST_PROBLEMS:
            break
    steps = {later - earlier for earlier, later in pairwise(times)}
    if not problems and (len(steps) != 1 or not 60 <= min(steps) <= 3_600):
        problems.append(problem("time", f"steps of {sorted(steps)[:5]} s", "equal steps of 60 to 3600 s"))
    if problems:
        raise InvalidInput(problems)
    return times, columns


def _time(text: str | None, line: int, problems: list[Problem]) -> int:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problems.append(problem(f"line {line}, time", text, "ISO 8601 with an offset"))
        return 0
    return int(moment.timestamp())


def _number(text: str | None, name: str, line: int, problems: list[Problem]) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    low = -80.0 if name == "outdoor_degc" else 0.0
    if not isfinite(value) or not low <= value <= 2_000:
        problems.append(problem(f"line {line}, {name}", text, f"a number from {low:g} to 2000"))
        return 0.0
    return value
