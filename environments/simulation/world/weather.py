"""The weather: a German reference year (DWD TRY 2010, shipped with demandlib), placed under the sun.

The hourly irradiance of the year is turned into a clearness (its share of what arrives outside the
atmosphere) and multiplied by the height of the sun every five minutes, so that nights are dark,
mornings begin when the sun rises, and the energy of the hours is kept.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pvlib import irradiance, solarposition

from environments.simulation.world.generators import generator
from ontology.errors import InvalidInput, problem
from ontology.weather import WeatherForecast, WeatherObservation

__all__ = ["GRID_S", "ReferenceYear", "Sky", "Weather", "reference_year"]

Array = NDArray[np.float64]

DAY_S = 86_400
HOUR_S = 3_600
GRID_S = 300
"""The weather is known every five minutes and linear in between."""
POINTS = DAY_S // GRID_S + 1
YEAR_HOURS = 8_760
REFERENCE_OFFSET_S = 3_600
"""The reference years are written in Central European Time, without daylight saving."""

LOWEST_COS_ZENITH = 0.03
"""Below (about 2 degrees of height) all irradiance counts as diffuse."""
CLEARNESS_MAX = 0.82
DIRECT_NORMAL_MAX = 1_000.0

FORECAST_STEPS = 96
STEP_S = 900
TEMPERATURE_ERROR_K = (0.3, 1.6)
"""Standard deviation of the forecast error now and a day ahead."""
CLEARNESS_ERROR = (0.05, 0.30)


@dataclass(frozen=True)
class ReferenceYear:
    """8,760 hourly means from 1 January, 00:00 CET, and where they were measured."""

    number: int
    place: str
    latitude: float
    longitude: float
    outdoor_degc: Array
    ghi_w_per_m2: Array
    dhi_w_per_m2: Array
    wind_m_per_s: Array


@lru_cache(maxsize=2)
def reference_year(number: int) -> ReferenceYear:
    """Read a reference year, 1 to 15.

    Raises: InvalidInput when there is no such year.
    """
    if not 1 <= number <= 15:
        raise InvalidInput(problem("weather_year", number, "reference years are named 1 to 15"))
    path = files("demandlib") / "vdi" / "resources_weather" / f"TRY2010_{number:02d}_Jahr.dat"
    text = path.read_text(encoding="utf-8")
    head, _, table = text.partition("***")
    columns = np.array(table.split(), dtype=float).reshape(YEAR_HOURS, -1).T
    latitude, longitude = (
        int(degrees) + int(minutes) / 60 for degrees, minutes in re.findall(r"(\d+)°(\d+)'", head)[:2]
    )
    place = re.search(r"Station:\s*(.*?)\s{2,}", head)
    return ReferenceYear(
        number=number,
        place=place.group(1) if place else "",
        latitude=latitude,
        longitude=longitude,
        outdoor_degc=columns[8],
        ghi_w_per_m2=columns[13] + columns[14],
        dhi_w_per_m2=columns[14],
        wind_m_per_s=columns[7],
    )


@dataclass(frozen=True)
class Sky:
    """A UTC day every five minutes, both ends included (289 values each); angles in degrees."""

    start_s: int
    outdoor_degc: Array
    ghi_w_per_m2: Array
    dni_w_per_m2: Array
    dhi_w_per_m2: Array
    wind_m_per_s: Array
    zenith_deg: Array
    azimuth_deg: Array
    extraterrestrial_w_per_m2: Array

    def mean(self, name: str, start_s: int, step_s: int, steps: int) -> Array:
        """Return the means of a series over consecutive steps, all of them within the day."""
        return means(getattr(self, name), start_s - self.start_s, step_s, steps)


def means(series: Array, offset_s: int, step_s: int, steps: int) -> Array:
    """Return the means over steps of series (..., points) that are linear between five-minute points."""
    integral = np.zeros(series.shape)
    np.cumsum((series[..., 1:] + series[..., :-1]) * (GRID_S / 2), axis=-1, out=integral[..., 1:])
    edges = offset_s + step_s * np.arange(steps + 1)
    index = np.minimum(edges // GRID_S, series.shape[-1] - 2)
    into = edges - index * GRID_S
    left, right = series[..., index], series[..., index + 1]
    at_edges = integral[..., index] + left * into + (right - left) * (into**2 / (2 * GRID_S))
    result: Array = np.diff(at_edges, axis=-1) / step_s
    return result


class Weather:
    """The weather of a place: what it is, and what it is foreseen to be."""

    def __init__(
        self, year: int, seed: int, latitude: float | None = None, longitude: float | None = None
    ) -> None:
        self.reference = reference_year(year)
        self.latitude = self.reference.latitude if latitude is None else latitude
        self.longitude = self.reference.longitude if longitude is None else longitude
        self.seed = seed
        self._skies: dict[int, Sky] = {}

    @property
    def zone(self) -> str:
        """The name of the weather zone."""
        return f"TRY{self.reference.number:02d}"

    def sky(self, time_s: int) -> Sky:
        """Return the UTC day of an epoch second; a few days are kept."""
        start_s = time_s - time_s % DAY_S
        if start_s not in self._skies:
            while len(self._skies) >= 4:
                del self._skies[next(iter(self._skies))]
            self._skies[start_s] = self._day(start_s)
        return self._skies[start_s]

    def observation(self, time_s: int) -> WeatherObservation:
        """Return the weather at an instant."""
        sky = self.sky(time_s)
        at = {
            name: float(np.interp(time_s - sky.start_s, GRID_S * np.arange(POINTS), getattr(sky, name)))
            for name in _OBSERVED
        }
        return WeatherObservation(zone=self.zone, time_s=time_s, **at)

    def forecast(self, now_s: int) -> WeatherForecast:
        """Foresee 96 quarter-hours from the one that holds `now_s`.

        It is the truth with a seeded error that grows with the lead, drifts slowly over the hours it is
        about, and shrinks as they come nearer.
        """
        start_s = now_s - now_s % STEP_S
        truth = {name: self._means(name, start_s) for name in (*_OBSERVED, "extraterrestrial_horizontal")}
        growth = np.sqrt(np.arange(1, FORECAST_STEPS + 1) / FORECAST_STEPS)
        warm = np.interp(growth, (0, 1), TEMPERATURE_ERROR_K) * self._error("temperature", start_s)
        spread = np.interp(growth, (0, 1), CLEARNESS_ERROR)
        bright = np.exp(spread * self._error("clearness", start_s) - spread**2 / 2)
        ghi = truth["ghi_w_per_m2"]
        ceiling = CLEARNESS_MAX * truth["extraterrestrial_horizontal"] / np.maximum(ghi, 1e-9)
        bright = np.minimum(bright, np.maximum(ceiling, 1.0))
        return WeatherForecast(
            zone=self.zone,
            issued_at_s=now_s,
            start_s=start_s,
            step_s=STEP_S,
            outdoor_degc=(truth["outdoor_degc"] + warm).round(3).tolist(),
            ghi_w_per_m2=(ghi * bright).round(3).tolist(),
            dni_w_per_m2=(truth["dni_w_per_m2"] * bright).round(3).tolist(),
            dhi_w_per_m2=(truth["dhi_w_per_m2"] * bright).round(3).tolist(),
            wind_m_per_s=truth["wind_m_per_s"].round(3).tolist(),
        )

    def _means(self, name: str, start_s: int) -> Array:
        parts, time_s, left = [], start_s, FORECAST_STEPS
        while left:
            sky = self.sky(time_s)
            steps = min(left, (sky.start_s + DAY_S - time_s) // STEP_S)
            series = (
                sky.extraterrestrial_w_per_m2 * np.maximum(np.cos(np.radians(sky.zenith_deg)), 0)
                if name == "extraterrestrial_horizontal"
                else getattr(sky, name)
            )
            parts.append(means(series, time_s - sky.start_s, STEP_S, steps))
            time_s, left = time_s + steps * STEP_S, left - steps
        return np.concatenate(parts)

    def _error(self, name: str, start_s: int) -> Array:
        """Return unit errors for the steps: what persists between forecasts and what each run adds."""
        hours = np.arange(start_s // HOUR_S - 2, start_s // HOUR_S + 28)
        issue = start_s // (6 * HOUR_S)
        lasting = np.array([generator(self.seed, name, int(hour)).standard_normal() for hour in hours])
        fresh = generator(self.seed, name, "issue", issue).standard_normal(len(hours) + 6)
        shift = int(hours[0] - issue * 6) + 2
        mixed = 0.9 * lasting + 0.436 * fresh[shift : shift + len(hours)]
        smooth = np.convolve(mixed, np.full(3, 3**-0.5), mode="same")
        at = start_s + STEP_S * (np.arange(FORECAST_STEPS) + 0.5)
        errors: Array = np.interp(at, hours * HOUR_S + HOUR_S / 2, smooth)
        return errors

    def _day(self, start_s: int) -> Sky:
        times = start_s + GRID_S * np.arange(float(POINTS))
        position = solarposition.get_solarposition(
            pd.to_datetime(times, unit="s", utc=True), self.latitude, self.longitude
        )
        zenith = position["zenith"].to_numpy()
        outside = np.asarray(
            irradiance.get_extra_radiation(int(datetime.fromtimestamp(start_s, UTC).strftime("%j")))
        ) * np.ones(POINTS)
        horizontal = outside * np.maximum(np.cos(np.radians(zenith)), 0)
        clearness, diffuse_share = self._clearness(start_s, times)
        ghi = clearness * horizontal
        cos_zenith = np.cos(np.radians(zenith))
        high = cos_zenith > LOWEST_COS_ZENITH
        beam = np.where(high, ghi * (1 - diffuse_share), 0.0)
        dni = np.minimum(beam / np.where(high, cos_zenith, 1.0), DIRECT_NORMAL_MAX)
        return Sky(
            start_s=start_s,
            outdoor_degc=self._hourly("outdoor_degc", times),
            ghi_w_per_m2=ghi,
            dni_w_per_m2=dni,
            dhi_w_per_m2=ghi - dni * np.maximum(cos_zenith, 0),
            wind_m_per_s=self._hourly("wind_m_per_s", times),
            zenith_deg=zenith,
            azimuth_deg=position["azimuth"].to_numpy(),
            extraterrestrial_w_per_m2=outside,
        )

    def _hourly(self, name: str, times: Array) -> Array:
        """Interpolate hourly means of the reference year between the middles of the hours."""
        first = int(times[0]) // HOUR_S - 1
        values = getattr(self.reference, name)[self._hours(first, 27)]
        middles = (np.arange(27) + first) * HOUR_S + HOUR_S / 2
        series: Array = np.interp(times, middles, values)
        return series

    def _clearness(self, start_s: int, times: Array) -> tuple[Array, Array]:
        """Return the share of extraterrestrial irradiance that arrives, and the diffuse share of that."""
        first = start_s // HOUR_S - 1
        hours = self._hours(first, 27)
        middles = (np.arange(27) + first) * HOUR_S + HOUR_S / 2
        outside = _outside_by_hour(self.reference.number)[hours]
        day = outside > 10.0
        if not day.any():
            return np.zeros(len(times)), np.ones(len(times))
        ghi = self.reference.ghi_w_per_m2[hours][day]
        clearness = np.clip(ghi / outside[day], 0.0, CLEARNESS_MAX)
        diffuse = np.clip(self.reference.dhi_w_per_m2[hours][day] / np.maximum(ghi, 1.0), 0.0, 1.0)
        diffuse[ghi < 1.0] = 1.0
        return np.interp(times, middles[day], clearness), np.interp(times, middles[day], diffuse)

    @staticmethod
    def _hours(first: int, count: int) -> NDArray[np.int64]:
        """Return the rows of the reference year for consecutive UTC hours; 29 February is the 28th again."""
        rows = []
        for hour in range(first, first + count):
            local = datetime.fromtimestamp(hour * HOUR_S + REFERENCE_OFFSET_S, UTC)
            day = min(local.day, 28) if local.month == 2 else local.day
            rows.append((datetime(2010, local.month, day, tzinfo=UTC) - _YEAR_START).days * 24 + local.hour)
        return np.array(rows)


@lru_cache(maxsize=2)
def _outside_by_hour(number: int) -> Array:
    """Return the mean horizontal extraterrestrial irradiance of the hours of a reference year."""
    year = reference_year(number)
    start_s = int(_YEAR_START.timestamp()) - REFERENCE_OFFSET_S
    times = pd.to_datetime(start_s + GRID_S / 2 + GRID_S * np.arange(YEAR_HOURS * 12), unit="s", utc=True)
    position = solarposition.get_solarposition(times, year.latitude, year.longitude, method="ephemeris")
    outside = np.asarray(irradiance.get_extra_radiation(times.dayofyear.to_numpy()))
    horizontal = outside * np.maximum(np.cos(np.radians(position["zenith"].to_numpy())), 0)
    hourly: Array = horizontal.reshape(YEAR_HOURS, 12).mean(axis=1)
    return hourly


_YEAR_START = datetime(2010, 1, 1, tzinfo=UTC)
_OBSERVED = ("outdoor_degc", "ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2", "wind_m_per_s")
