"""Forecasts and watch of photovoltaic plants over a seeded year, against SPEC 4.6.

The PV manager's decisions see a year of the simulated world, quarter-hour by quarter-hour: weather forecasts
each hour, measured power each interval; thirty days before the year teach them the plant. Day-ahead forecasts
are those of midnight (UTC) for the day; those for the last of 24 hours are scored apart. Some plants are
described wrongly on purpose: by 20° of azimuth; by 25°, giving 15 % less than it should; by 30°, and 15° of
tilt. In a second run each plant falls ill every ten days, down to 0, 50 or 65 % of its power, and is
repaired once that is noticed, or after three days.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from math import nan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.forecasting import Outlook
from behaviours.decisions.photovoltaics import (
    ClearRatio,
    Modelled,
    PvArray,
    modelled_generation,
    photovoltaic_outlook,
)
from behaviours.decisions.plant_history import PlantHistory
from behaviours.decisions.plant_performance import PerformanceWatch
from behaviours.decisions.series import FloatArray
from environments.simulation.world.generators import generator
from environments.simulation.world.photovoltaics import Plants
from environments.simulation.world.weather import Weather
from ontology.weather import WeatherForecast

__all__ = ["Plant", "Year", "rows", "scores", "year_of"]

START_S = 1_704_067_200
"""1 January 2024, 00:00 UTC."""
PEAK_W = 10_000
DAY_S, HOUR_S, INTERVAL_S = 86_400, 3_600, 900
A_DAY, AN_HOUR = 96, 4
OUTLOOK_EVERY_H = 6
FAULTS = (0.0, 0.5, 0.65)
FAULT_EVERY_DAYS = 10
REPAIRED_AFTER = 3 * A_DAY
DAYS_A_MONTH = 30.4


class Plant(NamedTuple):
    """A plant of 10 kWp as it stands, and by how much its description is wrong."""

    name: str
    tilt_deg: float = 35.0
    azimuth_deg: float = 180.0
    tilt_error_deg: float = 0.0
    azimuth_error_deg: float = 0.0
    gives: float = 1.0
    """Share of what a clean plant would give."""


PLANTS = (
    Plant("south"),
    Plant("east", 20, 90),
    Plant("west", 45, 250),
    Plant("south, 20° off", azimuth_error_deg=20),
    Plant("east, 25° off", 20, 90, azimuth_error_deg=25, gives=0.85),
    Plant("south, 30° off", tilt_error_deg=-15, azimuth_error_deg=-30),
)


class Year(NamedTuple):
    """What the sun gave each plant, W by quarter-hour, when it was down, and each hour's weather forecast."""

    start_s: int
    place: tuple[float, float]
    power_w: FloatArray
    is_night: npt.NDArray[np.bool_]
    forecasts: Sequence[WeatherForecast]
    warm_up_days: int


class Scores(NamedTuple):
    """How good the forecasts of a plant were."""

    nmae: float
    """Mean absolute error a day ahead, in daylight, as a share of the peak power."""
    persistence: float
    """The same of the day before."""
    coverage: float
    """Share of daylight between the 10 % and 90 % quantiles."""
    nmae_24h: float
    coverage_24h: float
    night_w: float
    """Most that was forecast, quantiles included, while the sun was down."""
    least_w: float


@cache
def year_of(seed: int = 1, days: int = 365, warm_up_days: int = 30, first_s: int = START_S) -> Year:
    """Return a year (or days from a first one on) of weather at Potsdam, and the warm-up before it."""
    weather = Weather(4, seed)
    start_s = first_s - warm_up_days * DAY_S
    plants = Plants(
        weather, [PEAK_W / 1000] * len(PLANTS), [p.tilt_deg for p in PLANTS], [p.azimuth_deg for p in PLANTS]
    )
    everyday = range(start_s, first_s + days * DAY_S, DAY_S)
    power_w, ghi, forecasts = [], [], []
    for day_s in everyday:
        power_w.append(plants.power_w(day_s, INTERVAL_S, A_DAY))
        ghi.append(weather.sky(day_s).mean("ghi_w_per_m2", day_s, INTERVAL_S, A_DAY))
        forecasts += [weather.forecast(day_s + hour * HOUR_S) for hour in range(24)]
    place = weather.latitude, weather.longitude
    is_night = np.concatenate(ghi) <= 0
    return Year(start_s, place, np.concatenate(power_w, axis=1), is_night, forecasts, warm_up_days)


def array_of(plant: Plant, year: Year) -> PvArray:
    """Return a plant as its manager was told."""
    tilt, azimuth = plant.tilt_deg + plant.tilt_error_deg, plant.azimuth_deg + plant.azimuth_error_deg
    return PvArray(PEAK_W, tilt, azimuth, *year.place)


class Manager:
    """The decisions of a PV manager, fed as the agent feeds them."""

    def __init__(self, array: PvArray) -> None:
        self.array = array
        self.history = PlantHistory.empty(PEAK_W)
        self.ratio, self.watch = ClearRatio(), PerformanceWatch()
        self.modelled: Modelled | None = None

    def foresee(self, forecast: WeatherForecast) -> None:
        """Take an hour's weather forecast."""
        self.modelled = modelled_generation(self.array, forecast, forecast.start_s)
        self.history = self.history.issuing(forecast.start_s, *self.modelled)

    def learn(self, start_s: int, step: int, measured_w: float) -> None:
        """Take the measurement of a step of the last weather forecast."""
        if self.modelled is None:
            return
        modelled_w, sky = float(self.modelled.power_w[step]), int(self.modelled.sky[step])
        expected_w = modelled_w * self.history.ratio_of(start_s, sky)
        self.ratio = self.ratio.after(measured_w, expected_w)
        self.watch = self.watch.after(measured_w, expected_w, PEAK_W)
        told_w = nan if self.watch.is_faulty else measured_w
        self.history = self.history.after(start_s, told_w, modelled_w, sky)

    def outlook(self, forecast: WeatherForecast) -> Outlook:
        """Return the forecast of the day from the last weather forecast on."""
        faulty = self.watch.is_faulty
        return photovoltaic_outlook(
            self.array,
            forecast,
            forecast.start_s,
            history=self.history,
            ratio=None if faulty else self.ratio,
            performance=self.watch.ratio if faulty else 1.0,
        )


def replay(year: Year, plant: Plant) -> tuple[dict[int, Outlook], int]:
    """Return the forecasts of every sixth hour, and how many alarms a healthy plant raised in the year."""
    manager = Manager(array_of(plant, year))
    power_w = measured_of(year, plant)
    outlooks, alarms, stood = {}, 0, False
    for hour, forecast in enumerate(year.forecasts):
        for step in range(AN_HOUR if hour else 0):
            interval = (hour - 1) * AN_HOUR + step
            manager.learn(year.start_s + interval * INTERVAL_S, step, float(power_w[interval]))
            alarms += manager.watch.is_faulty and not stood and interval >= year.warm_up_days * A_DAY
            stood = manager.watch.is_faulty
        manager.foresee(forecast)
        if hour % OUTLOOK_EVERY_H == 0 and hour >= year.warm_up_days * 24:
            outlooks[hour * AN_HOUR] = manager.outlook(forecast)
    return outlooks, alarms


def measured_of(year: Year, plant: Plant) -> FloatArray:
    """Return what a plant gives, W by quarter-hour."""
    power_w: FloatArray = year.power_w[PLANTS.index(plant)] * plant.gives
    return power_w


def detections(year: Year, plant: Plant) -> Iterator[float]:
    """Yield after how many hours each fault was noticed, infinite where it was not."""
    manager, power_w = Manager(array_of(plant, year)), measured_of(year, plant)
    begins = fault_times(year, plant)
    since, share, number = -1, 1.0, 0
    for hour, forecast in enumerate(year.forecasts):
        for step in range(AN_HOUR if hour else 0):
            interval = (hour - 1) * AN_HOUR + step
            if since < 0 and number < len(begins) and interval >= begins[number]:
                since, share, number = interval, FAULTS[number % len(FAULTS)], number + 1
            measured_w = float(power_w[interval]) * (share if since >= 0 else 1.0)
            manager.learn(year.start_s + interval * INTERVAL_S, step, measured_w)
            if since >= 0 and (manager.watch.is_faulty or interval - since >= REPAIRED_AFTER):
                yield (interval + 1 - since) / AN_HOUR if manager.watch.is_faulty else float("inf")
                since = -1
        manager.foresee(forecast)


def fault_times(year: Year, plant: Plant) -> npt.NDArray[np.int64]:
    """Return the intervals at which a plant falls ill, once in ten days at any time of five of them."""
    days = np.arange(year.warm_up_days, len(year.forecasts) // 24 - FAULT_EVERY_DAYS + 1, FAULT_EVERY_DAYS)
    late = generator(1, "faults", plant.name).integers(0, FAULT_EVERY_DAYS // 2 * A_DAY, days.size)
    return np.asarray(days * A_DAY + late)


def scores(year: Year, plant: Plant, outlooks: dict[int, Outlook]) -> Scores:
    """Return how good forecasts were, those of midnight over the day and those of all for their last hour."""
    actual = measured_of(year, plant)
    last = [at for at in outlooks if at + A_DAY <= actual.size]
    midnights = [at for at in last if at % A_DAY == 0]
    day, persistent = joined(actual, outlooks, midnights, 0)
    late, _ = joined(actual, outlooks, last, A_DAY - AN_HOUR)
    night = np.concatenate([year.is_night[at : at + A_DAY] for at in midnights])
    sun_up = (day[0] > 0) | (day[1] > 0)
    return Scores(
        nmae=float(np.abs(day[0] - day[1])[sun_up].mean()) / PEAK_W,
        persistence=float(np.abs(day[0] - persistent)[sun_up].mean()) / PEAK_W,
        coverage=held(day),
        nmae_24h=float(np.abs(late[0] - late[1])[(late[0] > 0) | (late[1] > 0)].mean()) / PEAK_W,
        coverage_24h=held(late),
        night_w=float(day[1:, night].max(initial=0.0)),
        least_w=float(min(day[1:].min(), late[1:].min())),
    )


def held(series: FloatArray) -> float:
    """Return the share of daylight in which what was measured lay between the quantiles, to half a watt."""
    actual, expected, low, high = series
    sun_up = (actual > 0) | (expected > 0)
    return float(((actual >= low - 0.5) & (actual <= high + 0.5))[sun_up].mean())


def joined(
    actual: FloatArray, outlooks: dict[int, Outlook], begins: Sequence[int], first: int
) -> tuple[FloatArray, FloatArray]:
    """Return actual, expected, low and high from a step of each forecast on, in W; and the day before."""
    parts = [
        np.stack(
            [
                actual[at + first : at + A_DAY],
                -outlooks[at].power_w[first:],
                -outlooks[at].high_w[first:],
                -outlooks[at].low_w[first:],
            ]
        )
        for at in begins
    ]
    before = [actual[at + first - A_DAY : at] for at in begins]
    return np.concatenate(parts, axis=1), np.concatenate(before)


def rows() -> list[dict[str, Any]]:
    """Return a row for each plant."""
    year = year_of()
    months = (len(year.forecasts) / 24 - year.warm_up_days) / DAYS_A_MONTH
    found = []
    for plant in PLANTS:
        outlooks, alarms = replay(year, plant)
        of_plant = scores(year, plant, outlooks)
        hours = np.array(list(detections(year, plant)))
        found.append(
            {
                "plant": plant.name,
                "nMAE %": 100 * of_plant.nmae,
                "day before %": 100 * of_plant.persistence,
                "skill %": 100 * (1 - of_plant.nmae / of_plant.persistence),
                "P10–P90 %": 100 * of_plant.coverage,
                "24 h nMAE %": 100 * of_plant.nmae_24h,
                "24 h P10–P90 %": 100 * of_plant.coverage_24h,
                "night W": of_plant.night_w,
                "least W": of_plant.least_w,
                "alarms a month": alarms / months,
                "faults": len(hours),
                "in a day %": 100 * float((hours <= 24).mean()),
                "hours": float(np.median(hours)),
            }
        )
    return found
