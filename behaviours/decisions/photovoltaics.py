"""What a photovoltaic plant will produce under a weather forecast, corrected by what it did produce."""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, exp, radians, sin

import numpy as np

from behaviours.decisions.forecasting import Outlook, integers
from behaviours.decisions.series import FloatArray, aligned
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.weather import WeatherForecast

__all__ = ["ClearRatio", "PvArray", "generation_w", "photovoltaic_outlook", "sun_direction"]

ALBEDO = 0.2
TEMPERATURE_COEFFICIENT = -0.0037
"""Change of power per kelvin of cell temperature (crystalline silicon)."""
CELL_HEATING_K = 25.0 / 800.0
"""Kelvin above ambient per W/m² on the plane (nominal operating cell temperature 45 °C)."""
HALF_RATIO_STEPS = 16.0
"""Steps after which the recent ratio of measured to modelled counts less by a factor e."""
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


def photovoltaic_outlook(
    array: PvArray,
    weather: WeatherForecast,
    start_s: int,
    *,
    ratio: ClearRatio | None = None,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> Outlook:
    """Forecast a plant's power (negative: it produces) with quantiles; exactly 0 at night.

    The ratio of measured to modelled generation corrects the first hours and fades out.

    Args:
        array: the plant.
        weather: irradiances and temperatures; its ends are prolonged.
        start_s: start of the first step in epoch seconds.
        ratio: how the plant did lately.
        steps: number of steps.
        step_s: length of a step in seconds.
    """
    modelled = generation_w(array, weather, start_s, steps=steps, step_s=step_s)
    fading, spread = fading_and_spread(steps)
    expected = modelled
    if ratio is not None:
        expected = modelled * (1.0 + (ratio.value - 1.0) * fading)
    limit = float(array.inverter_w or array.peak_w)
    expected = np.minimum(expected, limit)
    most = np.minimum(expected * (1.0 + spread), limit)
    return Outlook(-integers(expected), -integers(most), -integers(expected * (1.0 - spread)))


def generation_w(
    array: PvArray,
    weather: WeatherForecast,
    start_s: int,
    *,
    steps: int = INTERVALS_A_DAY,
    step_s: int = INTERVAL_S,
) -> FloatArray:
    """Return the modelled mean generation of each step in W, non-negative.

    Isotropic transposition, linear cell temperature, constant losses.

    Source: PVWatts version 5 (Dobos, NREL/TP-6A20-62641), Liu & Jordan 1963.
    """
    sun = sun_direction(array.latitude_deg, array.longitude_deg, start_s, steps, step_s)
    normal, up = plane(array.tilt_deg, array.azimuth_deg)

    def of(values: list[float]) -> FloatArray:
        return aligned(values, weather.start_s, start_s, steps, step_s)

    beam = of(weather.dni_w_per_m2) * np.maximum(normal @ sun, 0.0)
    sky = of(weather.dhi_w_per_m2) * ((1 + up) / 2) + of(weather.ghi_w_per_m2) * (ALBEDO * (1 - up) / 2)
    plane_w_per_m2 = (beam + sky) * (sun[2] > 0)
    cell_degc = of(weather.outdoor_degc) + CELL_HEATING_K * plane_w_per_m2
    share = (1.0 - array.losses) * array.peak_w / 1000.0
    power: FloatArray = plane_w_per_m2 * (share * (1.0 + TEMPERATURE_COEFFICIENT * (cell_degc - 25.0)))
    return np.minimum(np.maximum(power, 0.0), float(array.inverter_w or array.peak_w))


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


@lru_cache(maxsize=4096)
def plane(tilt_deg: float, azimuth_deg: float) -> tuple[FloatArray, float]:
    """Return the unit vector that modules face (east, north, up) and its upward part."""
    tilt, azimuth = radians(tilt_deg), radians(azimuth_deg)
    normal = np.array((sin(tilt) * sin(azimuth), sin(tilt) * cos(azimuth), cos(tilt)))
    normal.flags.writeable = False
    return normal, cos(tilt)


@lru_cache(maxsize=8)
def fading_and_spread(steps: int) -> tuple[FloatArray, FloatArray]:
    """Return how the recent ratio fades and how the quantiles widen, step by step."""
    fading = np.array([exp(-step / HALF_RATIO_STEPS) for step in range(steps)])
    return fading, 0.15 + 0.25 * (1.0 - fading)
