"""Learning what the building is like, from a few weeks of its own temperatures (SPEC 4.8)."""

from array import array
from zlib import crc32

import numpy as np

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.series import FloatArray
from behaviours.decisions.thermal_identification import HeatRecord, identified, prediction_error_k
from behaviours.site.heat_settings import HeatSettings
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.letter import Letter
from ontology.storage import ThermalModel, ThermalStatus
from ontology.weather import WeatherForecast

__all__ = ["BuildingLearning"]

_MODEL = "building"
_DAY = "heat day "
DAY_S = INTERVALS_A_DAY * INTERVAL_S
REMEMBERED_DAYS = 21
RELEARNT_INTERVALS = 7 * INTERVALS_A_DAY
LEAST_INTERVALS = 2 * INTERVALS_A_DAY
COMPARED_STEPS = INTERVALS_A_DAY // 4
"""How far ahead models are compared: six hours, which a short record holds often enough."""
COLUMNS = 4
"""Of what is measured in an interval: temperature at its end, power, outdoor temperature, irradiance."""


class BuildingLearning(Behaviour):
    """Writes down each interval, and each week finds the model that explains the last three best.

    In the first week it does so daily, since an installer's guess may be far off. A new model replaces the
    one that is known if it would have foreseen the last week better.
    Model and measurements are kept over a restart, the latter day by day.
    """

    settings: HeatSettings

    def setup(self) -> None:
        """Recall the model and the days that were kept."""
        self.model: ThermalModel | None = self.kept(_MODEL, ThermalModel) or self.settings.building
        self.relearnt = 0
        """How many times a model was identified since the start."""
        self._weather: WeatherForecast | None = None
        self._turn = crc32(self.settings.site.encode()) % INTERVALS_A_DAY
        self._days: dict[int, array[float]] = {}
        for name in self.agent.kept_names(_DAY):
            day = array("f")
            day.frombytes(self.agent.kept_bytes(name) or b"")
            self._days[int(name.removeprefix(_DAY))] = day
        self._power_w: list[int] = []
        self._outdoor_degc: list[float] = []

    @on(WeatherForecast)
    def note_weather(self, forecast: WeatherForecast, letter: Letter) -> None:
        """Note the forecast: its irradiance is as near as a house without a sensor comes to the sun."""
        self._weather = forecast

    @on(ThermalStatus)
    def note(self, status: ThermalStatus, letter: Letter) -> None:
        """Take what is reported of the building into the record, at the end of each interval."""
        if self.settings.building is None or status.asset_id != self.settings.building.asset_id:
            return
        self._power_w.append(status.power_w)
        self._outdoor_degc.append(status.outdoor_degc)
        if status.time_s % INTERVAL_S == 0:
            self._record(status)
            self._power_w.clear()
            self._outdoor_degc.clear()

    def _record(self, status: ThermalStatus) -> None:
        start_s = status.time_s - INTERVAL_S
        day, step = start_s // DAY_S, start_s % DAY_S // INTERVAL_S
        record = self._days.setdefault(day, array("f"))
        record.extend([float("nan")] * (COLUMNS * step - len(record)))
        record.extend(
            (
                status.temperature_degc,
                sum(self._power_w) / len(self._power_w),
                sum(self._outdoor_degc) / len(self._outdoor_degc),
                self._ghi_w_per_m2(start_s),
            )
        )
        if step == INTERVALS_A_DAY - 1:
            self._close_day(day)
        if step == self._turn and (self._is_young(day) or day % 7 == self._turn % 7):
            self.relearn()

    def _is_young(self, day: int) -> bool:
        """Tell whether the record is of the last week only."""
        return day - min(self._days) <= 7

    def _ghi_w_per_m2(self, start_s: int) -> float:
        if self._weather is None:
            return float("nan")
        step = (start_s - self._weather.start_s) // self._weather.step_s
        values = self._weather.ghi_w_per_m2
        return values[max(step, 0)] if step < len(values) else float("nan")

    def _close_day(self, day: int) -> None:
        """Keep the day that is over, and forget those that are too long ago."""
        self.keep(f"{_DAY}{day}", self._days[day].tobytes())
        for past in [each for each in self._days if each <= day - REMEMBERED_DAYS]:
            del self._days[past]
            self.keep(f"{_DAY}{past}", None)

    def relearn(self) -> None:
        """Identify the building anew; a better model is kept and told to the repository."""
        record = self.record()
        if self.model is None or len(record.power_w) < LEAST_INTERVALS:
            return
        found = identified(record, self.model)
        if found is None or not self._is_better(found, record):
            return
        self.model = found
        self.relearnt += 1
        self.keep(_MODEL, found)
        self.tell(self.settings.contacts.repository, found)

    def _is_better(self, found: ThermalModel, record: HeatRecord) -> bool:
        """Tell whether a model would have foreseen the last week better."""
        week = record.part(-RELEARNT_INTERVALS, len(record.power_w))
        before = prediction_error_k(self.model or found, week, COMPARED_STEPS)
        after = prediction_error_k(found, week, COMPARED_STEPS)
        return before is None or after is None or after < before

    def record(self) -> HeatRecord:
        """Return what was measured in the last weeks, a step an interval, with gaps as not a number."""
        if not self._days:
            return HeatRecord(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))
        first, last = min(self._days), max(self._days)
        rows = np.vstack([self._rows(day) for day in range(first, last + 1)])
        known = np.flatnonzero(np.isfinite(rows[:, 0]))
        columns = rows[: known[-1] + 1 if known.size else 0].T
        return HeatRecord(columns[0], columns[1], columns[2], columns[3])

    def _rows(self, day: int) -> FloatArray:
        """Return a day's steps, those not measured as not a number."""
        rows = np.full((INTERVALS_A_DAY, COLUMNS), np.nan)
        measured = np.asarray(self._days.get(day, array("f")), dtype=np.float64).reshape(-1, COLUMNS)
        rows[: len(measured)] = measured
        return rows
