"""Photovoltaic generation: pvlib's sun on tilted planes, once for each orientation that is built."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pvlib import inverter, irradiance, pvsystem, temperature

from environments.simulation.world.weather import Sky, Weather, means

__all__ = ["Plants", "production_per_kwp"]

Array = NDArray[np.float64]

GAMMA_PER_K = -0.0035
DC_LOSSES = 0.10
"""Soiling, mismatch, wiring, ageing."""
INVERTER_EFFICIENCY = 0.965
DC_TO_AC = 1.10
ALBEDO = 0.2


def production_per_kwp(sky: Sky, tilt_deg: Array, azimuth_deg: Array) -> Array:
    """Return (orientations, 289) AC watts per kWp over a day: Hay-Davies, Faiman, PVWatts.

    Args:
        sky: the day.
        tilt_deg: tilts from horizontal, one an orientation.
        azimuth_deg: azimuths clockwise from north.
    """
    tilt, azimuth = tilt_deg[:, None], azimuth_deg[:, None]
    plane = irradiance.get_total_irradiance(
        tilt,
        azimuth,
        sky.zenith_deg[None],
        sky.azimuth_deg[None],
        sky.dni_w_per_m2[None],
        sky.ghi_w_per_m2[None],
        sky.dhi_w_per_m2[None],
        dni_extra=sky.extraterrestrial_w_per_m2[None],
        albedo=ALBEDO,
        model="haydavies",
    )
    in_plane = np.where(sky.ghi_w_per_m2 > 0, np.maximum(np.nan_to_num(plane["poa_global"]), 0.0), 0.0)
    cell_degc = temperature.faiman(in_plane, sky.outdoor_degc, np.maximum(sky.wind_m_per_s * 0.6, 0.5))
    dc_w = pvsystem.pvwatts_dc(in_plane, cell_degc, 1000.0, GAMMA_PER_K) * (1 - DC_LOSSES)
    rated_dc_w = 1000.0 / DC_TO_AC / INVERTER_EFFICIENCY
    ac_w: Array = inverter.pvwatts(dc_w, rated_dc_w, INVERTER_EFFICIENCY)
    return np.nan_to_num(np.maximum(ac_w, 0.0))


class Plants:
    """The plants of all sites: possible production, before any curtailment."""

    def __init__(
        self, weather: Weather, kwp: Sequence[float], tilt_deg: Sequence[float], azimuth_deg: Sequence[float]
    ) -> None:
        self._weather = weather
        self._kwp = np.array(kwp, dtype=float)
        self.present = self._kwp > 0
        built = np.column_stack([np.array(tilt_deg, dtype=float), np.array(azimuth_deg, dtype=float)])
        self._orientations, which = np.unique(built[self.present], axis=0, return_inverse=True)
        self._which = which.ravel()
        self._day: tuple[int, Array] | None = None

    def power_w(self, start_s: int, step_s: int, steps: int) -> Array:
        """Return (sites, steps) mean production in W, not negative; the steps lie within one UTC day."""
        power = np.zeros((len(self._kwp), steps))
        if len(self._which):
            sky = self._weather.sky(start_s)
            unit = means(self._units(sky), start_s - sky.start_s, step_s, steps)
            power[self.present] = unit[self._which] * self._kwp[self.present, None]
        return power

    def _units(self, sky: Sky) -> Array:
        if self._day is None or self._day[0] != sky.start_s:
            day = production_per_kwp(sky, self._orientations[:, 0], self._orientations[:, 1])
            self._day = (sky.start_s, day)
        return self._day[1]
