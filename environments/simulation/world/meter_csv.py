"""Meter readings and temperatures of a user's own from CSV files, checked before they are believed."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["MeterReadings", "OutdoorTemperatures", "read_meter_csv", "read_temperature_csv"]

Array = NDArray[np.float64]

TIME_COLUMNS = ("time", "timestamp", "start", "datetime")
VALUE_COLUMNS = ("energy_wh", "energy_kwh", "power_w", "power_kw")
TEMPERATURE_COLUMNS = ("outdoor_degc", "temperature_degc")
POWER_RANGE, TEMPERATURE_RANGE = (0.0, 1e9), (-90.0, 70.0)
MAX_PROBLEMS = 20
STEPS_S = (1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1_200, 1_800, 3_600)


@dataclass(frozen=True)
class MeterReadings:
    """Mean power in W in consecutive steps of equal length; each belongs to [start, start + step)."""

    path: str
    start_s: int
    step_s: int
    power_w: Array

    @property
    def end_s(self) -> int:
        """The first epoch second that is not covered."""
        return self.start_s + self.step_s * len(self.power_w)

    def mean_w(self, start_s: int, step_s: int, steps: int) -> Array:
        """Return mean powers over steps of another length.

        Raises: InvalidInput when the readings do not cover them.
        """
        return _means(self, self.power_w, start_s, step_s, steps)


@dataclass(frozen=True)
class OutdoorTemperatures:
    """Mean temperatures in degrees Celsius in consecutive steps of equal length."""

    path: str
    start_s: int
    step_s: int
    outdoor_degc: Array

    @property
    def end_s(self) -> int:
        """The first epoch second that is not covered."""
        return self.start_s + self.step_s * len(self.outdoor_degc)

    def mean_degc(self, start_s: int, step_s: int, steps: int) -> Array:
        """Return mean temperatures over steps of another length.

        Raises: InvalidInput when the file does not cover them.
        """
        return _means(self, self.outdoor_degc, start_s, step_s, steps)


def _means(
    readings: MeterReadings | OutdoorTemperatures, values: Array, start_s: int, step_s: int, steps: int
) -> Array:
    end_s = start_s + step_s * steps
    if start_s < readings.start_s or end_s > readings.end_s:
        covered = f"{_iso(readings.start_s)} to {_iso(readings.end_s)}"
        raise InvalidInput(
            problem(readings.path, f"{_iso(start_s)} to {_iso(end_s)}", f"within {covered}, which it covers")
        )
    energy = np.r_[0.0, np.cumsum(values * readings.step_s)]
    edges = (start_s - readings.start_s + step_s * np.arange(steps + 1)) / readings.step_s
    result: Array = np.diff(np.interp(edges, np.arange(len(energy)), energy)) / step_s
    return result


def read_meter_csv(path: str | Path, zone: str | None = None) -> MeterReadings:
    """Read consumption from a file with a header: `time` and one of energy_wh, energy_kwh, power_w, power_kw.

    Times are ISO 8601 starts of equal steps, with an offset (`Z`, `+01:00`), or local to `zone`.

    Args:
        path: the file.
        zone: IANA zone of times without an offset.

    Raises: InvalidInput with every problem found: a missing column or file, values that are not numbers or
        negative, times without a zone, in a skipped or repeated hour, duplicated, out of order, or with gaps.
    """
    name = str(path)
    times, values, column = _read(name, Path(path), zone, VALUE_COLUMNS, POWER_RANGE)
    step_s = times[1] - times[0]
    scale = {"energy_wh": 3600 / step_s, "energy_kwh": 3.6e6 / step_s, "power_w": 1.0, "power_kw": 1e3}
    return MeterReadings(name, times[0], step_s, np.array(values) * scale[column])


def read_temperature_csv(path: str | Path, zone: str | None = None) -> OutdoorTemperatures:
    """Read outdoor temperatures from a file with a header: `time` and `outdoor_degc`.

    Args:
        path: the file; its times obey the rules of `read_meter_csv`.
        zone: IANA zone of times without an offset.

    Raises: InvalidInput with every problem found, as `read_meter_csv`.
    """
    name = str(path)
    times, values, _ = _read(name, Path(path), zone, TEMPERATURE_COLUMNS, TEMPERATURE_RANGE)
    return OutdoorTemperatures(name, times[0], times[1] - times[0], np.array(values))


def _read(
    name: str, path: Path, zone: str | None, columns: tuple[str, ...], within: tuple[float, float]
) -> tuple[list[int], list[float], str]:
    times, values, column, found = _rows(name, path, _zone(name, zone), columns, within)
    found = found or _spacing(name, times)
    if found:
        raise InvalidInput(_shortened(name, found))
    return times, values, column


def _zone(name: str, zone: str | None) -> ZoneInfo | None:
    if zone is None:
        return None
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(problem(name, zone, "a time zone such as Europe/Berlin")) from error


def _rows(
    name: str, path: Path, zone: ZoneInfo | None, columns: tuple[str, ...], within: tuple[float, float]
) -> tuple[list[int], list[float], str, list[Problem]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not readable"
        raise InvalidInput(problem(name, str(reason), "a CSV file in UTF-8")) from error
    header = [each.strip().lower() for each in rows[0]] if rows else []
    when = next((each for each in TIME_COLUMNS if each in header), None)
    what = next((each for each in columns if each in header), None)
    if when is None or what is None:
        expected = f"a header with time and one of {', '.join(columns)}"
        raise InvalidInput(problem(name, ", ".join(header) or "empty", expected))
    times, values, problems = [], [], []
    at, of = header.index(when), header.index(what)
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        where = f"{name}:{number}"
        cells = [row[each].strip() if each < len(row) else "" for each in (at, of)]
        time_s, wrong_time = _time(where, cells[0], zone)
        value, wrong_value = _value(where, cells[1], within)
        problems += [each for each in (wrong_time, wrong_value) if each is not None]
        times.append(time_s)
        values.append(value)
    return times, values, what, problems


def _time(where: str, text: str, zone: ZoneInfo | None) -> tuple[int, Problem | None]:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return 0, problem(where, text, "an ISO 8601 time such as 2024-01-31T13:45:00+01:00")
    if time.tzinfo is not None:
        return int(time.timestamp()), None
    if zone is None:
        return 0, problem(where, text, "a time with an offset (Z or +01:00), or a zone for the file")
    earlier, later = time.replace(tzinfo=zone), time.replace(tzinfo=zone, fold=1)
    if earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != time:
        return 0, problem(where, text, f"a time that exists: clocks of {zone.key} skip this hour")
    if earlier.utcoffset() != later.utcoffset():
        return 0, problem(where, text, f"a time with an offset: clocks of {zone.key} show this hour twice")
    return int(earlier.timestamp()), None


def _value(where: str, text: str, within: tuple[float, float]) -> tuple[float, Problem | None]:
    try:
        value = float(text)
    except ValueError:
        return 0.0, problem(where, text or "nothing", "a number")
    low, high = within
    if not low <= value < high:
        expected = f"a number from {low:g} to {high:g}" if low else "a number that is not negative"
        return 0.0, problem(where, text, expected)
    return value, None


def _spacing(name: str, times: list[int]) -> list[Problem]:
    if len(times) < 2:
        return [problem(name, f"{len(times)} readings", "at least 2")]
    gaps = np.diff(times)
    positive = gaps[gaps > 0]
    step_s = int(np.bincount(positive).argmax()) if len(positive) and positive.max() < 1e7 else 0
    if step_s not in STEPS_S:
        return [problem(name, f"steps of {step_s} s", "equal steps of 1 s to 1 h that divide an hour")]
    problems = []
    for index in np.flatnonzero(gaps != step_s):
        before, after = times[index], times[index + 1]
        value = f"{_iso(before)} then {_iso(after)}"
        if after == before:
            problems.append(problem(name, _iso(after), "every time once, this one is duplicated"))
        elif after < before:
            problems.append(problem(name, value, "times in ascending order"))
        else:
            problems.append(problem(name, value, f"no gap, a reading every {step_s} s"))
    if not problems and times[0] % step_s:
        problems.append(problem(name, _iso(times[0]), f"a start that is a multiple of {step_s} s"))
    return problems


def _shortened(name: str, problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    more = len(problems) - MAX_PROBLEMS
    return [*problems[:MAX_PROBLEMS], problem(name, f"{more} more problems", "none")]


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
