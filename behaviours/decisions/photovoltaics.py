"""What a photovoltaic plant will produce under a weather forecast, corrected by what it did produce."""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, exp, pi, radians, sin
from typing import NamedTuple

import numpy as np
from pvlib import irradiance, pvsystem, temperature

from behaviours.decisions.forecasting import Outlook, integers
from behaviours.decisions.plant_history import DIM, DIM_SHARE, PlantHistory
from behaviours.decisions.series import FloatArray, IntArray, aligned
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.weather import WeatherForecast

__all__ = [
    "ClearRatio",
    "Modelled",
    "PvArray",
    "generation_w",
    "modelled_generation",
    "photovoltaic_outlook",
    "sun_direction",
]

ALBEDO = 0.2
TEMPERATURE_COEFFICIENT = -0.0037
"""Change of power per kelvin of cell temperature (crystalline silicon)."""
WIND_M_PER_S = 1.0
"""Where a weather forecast tells of no wind."""
SOLAR_CONSTANT_W_PER_M2 = 1361.0
LOW_SUN = 0.02
"""Height of the sun (sine) below which the sky counts as overcast."""
SKY_EDGES = (0.3, 0.55)
"""Clearness (share of the irradiance outside the atmosphere) from which a sky is broken, and clear."""
RATIO_HOURS = 1.5
"""After which the recent ratio of measured to modelled counts less by a factor e."""
RATIO_MEMORY = 0.9
RATIO_BOUNDS = (0.2, 2.0)
J2000_S = 946_728_000


@dataclass(frozen=True, slots=True)
class PvArray:
    """A plant: its peak power, how its modules are turned, and where it stands."""

    peak_w: int
    tilt_deg: float
    azimuth_deg: float
    """Clockwise from north; 180 faces south."""
    latitude_deg: float
    longitude_deg: float
    losses: float = 0.14
    """Share lost between modules and meter (PVWatts default)."""
    inverter_w: int = 0
    """Limit of the inverter, 0 for none."""


@dataclass(frozen=True, slots=True)
class ClearRatio:
    """How much more or less than modelled a plant produced lately."""

    measured: float = 0.0
    modelled: float = 0.0

    def after(self, measured_w: float, modelled_w: float) -> "ClearRatio":
        """Return the ratio with one more interval (generation in W, non-negative); nights change nothing."""
        if modelled_w <= 0:
            return self
        return ClearRatio(
            RATIO_MEMORY * self.measured + measured_w, RATIO_MEMORY * self.modelled + modelled_w
        )

    @property
    def value(self) -> float:
        """The ratio, 1 when nothing is known, within 0.2 and 2."""
        if self.modelled <= 0:
            return 1.0
        return min(RATIO_BOUNDS[1], max(RATIO_BOUNDS[0], self.measured / self.modelled))


class Modelled(NamedTuple):
    """Modelled generation of each step in W, not negative, and its sky (dim, overcast, broken, clear)."""

    power_w: FloatArray
    sky: IntArray


def photovoltaic_outlook(
    array: PvArray,
    weather: WeatherForecast,
    start_s: int,
    *,
    history: PlantHistory | None = None,
    ratio: ClearRatio | None = None,
    performance: float = 1.0,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> Outlook:
    """Forecast a plant's power (negative: it produces) with quantiles; exactly 0 at night.

    The model is corrected by what is known of the plant at that hour under such a sky, and of forecasts of
    such a lead. What it did in the last hours corrects the next ones and fades out.

    Args:
        array: the plant.
        weather: irradiances and temperatures; its ends are prolonged.
        start_s: start of the first step in epoch seconds.
        history: what has been learnt of the plant.
        ratio: how the plant did lately, against what the history made of the model.
        performance: the share that a plant at fault gives until it is repaired.
        steps: number of steps.
        step_s: length of a step in seconds.
    """
    modelled = modelled_generation(array, weather, start_s, steps=steps, step_s=step_s)
    factors = (history or PlantHistory.empty(array.peak_w)).factors(start_s, modelled.sky, step_s)
    limit = float(array.inverter_w or array.peak_w)
    lately = performance * (1.0 if ratio is None else 1.0 + (ratio.value - 1.0) * fading(steps, step_s))
    expected, low, high = (np.minimum(modelled.power_w * each * lately, limit) for each in factors)
    return Outlook(-integers(expected), -integers(high), -integers(low))


def generation_w(
    array: PvArray,
    weather: WeatherForecast,
    start_s: int,
    *,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FloatArray:
    """Return the modelled mean generation of each step in W, non-negative, uncorrected."""
    return modelled_generation(array, weather, start_s, steps=steps, step_s=step_s).power_w


def modelled_generation(
    array: PvArray,
    weather: WeatherForecast,
    start_s: int,
    *,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> Modelled:
    """Return what a plant gives by its physics under a weather forecast: pvlib on the own sun.

    Transposition after Hay & Davies, cell temperature after Faiman, power and inverter as PVWatts.

    Args:
        array: the plant; without an inverter's limit its inverter has the peak power of the modules.
        weather: irradiances, temperatures and wind, of any steps; its ends are prolonged.
        start_s: start of the first step in epoch seconds.
        steps: number of steps.
        step_s: length of a step in seconds.

    Source: PVWatts version 5 (Dobos, NREL/TP-6A20-62641); Hay & Davies 1980; Faiman 2008.
    """
    sun = sun_direction(array.latitude_deg, array.longitude_deg, start_s, steps, step_s)

    def of(values: list[float]) -> FloatArray:
        if weather.step_s == step_s:
            return aligned(values, weather.start_s, start_s, steps, step_s)
        at = (start_s - weather.start_s + step_s * np.arange(steps)) // weather.step_s
        return np.asarray(values, dtype=np.float64)[np.clip(at, 0, len(values) - 1)]

    outside = extraterrestrial_w_per_m2(start_s)
    ghi, dhi, up = of(weather.ghi_w_per_m2), of(weather.dhi_w_per_m2), np.maximum(sun[2], 0.0)
    plane = on_plane(array, sun, of(weather.dni_w_per_m2), ghi, dhi, outside)
    wind = of(weather.wind_m_per_s) if weather.wind_m_per_s else WIND_M_PER_S
    cell_degc = temperature.faiman(plane, of(weather.outdoor_degc), wind)
    dc_w = pvsystem.pvwatts_dc(plane, cell_degc, array.peak_w, TEMPERATURE_COEFFICIENT) * (1.0 - array.losses)
    limit = float(array.inverter_w or array.peak_w)
    clearness = np.where(up > LOW_SUN, ghi / np.maximum(outside * up, 1.0), 0.0)
    power = np.where(up > 0, np.minimum(np.maximum(dc_w, 0.0), limit), 0.0)
    sky = 1 + np.searchsorted(SKY_EDGES, clearness, side="right")
    return Modelled(power, np.where(power < DIM_SHARE * array.peak_w, DIM, sky))


def on_plane(
    array: PvArray, sun: FloatArray, dni: FloatArray, ghi: FloatArray, dhi: FloatArray, outside: float
) -> FloatArray:
    """Return the irradiance on the modules in W/m² (Hay & Davies)."""
    zenith, azimuth = np.degrees(np.arccos(np.clip(sun[2], -1, 1))), np.degrees(np.arctan2(sun[0], sun[1]))
    total = irradiance.get_total_irradiance(
        array.tilt_deg,
        array.azimuth_deg,
        zenith,
        azimuth % 360.0,
        dni,
        ghi,
        dhi,
        dni_extra=outside,
        albedo=ALBEDO,
        model="haydavies",
    )
    plane: FloatArray = np.maximum(np.nan_to_num(total["poa_global"]), 0.0)
    return plane


def extraterrestrial_w_per_m2(time_s: int) -> float:
    """Return the irradiance outside the atmosphere at the Earth's distance from the sun on a day."""
    days = (time_s - J2000_S) / 86_400.0
    return SOLAR_CONSTANT_W_PER_M2 * (1.0 + 0.033 * cos(2 * pi * days / 365.25))


@lru_cache(maxsize=256)
def sun_direction(
    latitude_deg: float, longitude_deg: float, start_s: int, steps: int, step_s: int
) -> FloatArray:
    """Return the sun's unit vector (east, north, up) in the middle of each step, one column a step.

    Source: low-precision formulae of the Astronomical Almanac, good to 0.02°.
    """
    days = (start_s - J2000_S + step_s * (np.arange(steps, dtype=np.float64) + 0.5)) / 86_400.0
    mean_longitude = np.radians(280.460 + 0.985_647_4 * days)
    anomaly = np.radians(357.528 + 0.985_600_3 * days)
    ecliptic = mean_longitude + np.radians(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    sidereal = np.radians(280.460_618_4 + 360.985_647_366 * days + longitude_deg)
    hour_angle = sidereal - ascension
    latitude = radians(latitude_deg)
    east = -np.cos(declination) * np.sin(hour_angle)
    towards = np.cos(declination) * np.cos(hour_angle)
    north = cos(latitude) * np.sin(declination) - sin(latitude) * towards
    up = sin(latitude) * np.sin(declination) + cos(latitude) * towards
    direction = np.stack((east, north, up))
    direction.flags.writeable = False
    return direction


@lru_cache(maxsize=8)
def fading(steps: int, step_s: int) -> FloatArray:
    """Return how the recent ratio fades, step by step."""
    return np.array([exp(-step * step_s / 3600 / RATIO_HOURS) for step in range(steps)])
