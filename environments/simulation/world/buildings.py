"""Houses with heat pumps: one resistance, one capacity, sun, people and a thermostat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from environments.simulation.world.controls import Controls
from environments.simulation.world.settings import HeatPumpSettings

__all__ = ["Buildings", "heat_pump_cop"]

Array = NDArray[np.float64]

SUPPLY_DEGC = 37.0
CARNOT_SHARE = 0.42
COP_RANGE = (1.8, 5.5)

BAND_K = 0.8
"""The thermostat goes from full power to none within this band around its set-point."""
PROTECTION_K = 0.5
"""How far outside the comfort band the device stops obeying."""

SHADING_FROM_DEGC = 23.0
SHADING = 0.35
"""Share of the sun that still comes in when blinds are down."""
LOCK_S = 600
"""How long a compressor runs at least, and rests at least."""

AIRING_FROM_DEGC = 24.0
AIRING = 0.25
"""Share of the resistance that is left when windows are open."""


def heat_pump_cop(outdoor_degc: float | Array) -> Array:
    """Return heat per electricity of an air-to-water heat pump with floor heating, a share of Carnot's."""
    lift = np.maximum(SUPPLY_DEGC - np.asarray(outdoor_degc, dtype=float), 5.0)
    cop: Array = np.clip(CARNOT_SHARE * (SUPPLY_DEGC + 273.15) / lift, *COP_RANGE)
    return cop


class Buildings:
    """Room temperatures in degC and electrical heating powers in W; thermostats when uncontrolled."""

    def __init__(self, settings: Sequence[HeatPumpSettings | None]) -> None:
        self.present = np.array([each is not None for each in settings])
        known = [each or HeatPumpSettings() for each in settings]
        self.power_max_w = np.where(self.present, [each.power_w for each in known], 0.0)
        self.resistance_k_per_w = np.array([each.resistance_k_per_w for each in known])
        self.capacity_j_per_k = np.array([each.capacity_j_per_k for each in known])
        self.set_degc = np.array([each.set_degc for each in known])
        comfort_k = np.array([each.comfort_k for each in known])
        self.minimum_degc, self.maximum_degc = self.set_degc - comfort_k, self.set_degc + comfort_k
        self.aperture_m2 = np.array([each.solar_aperture_m2 for each in known])
        self.internal_w = np.array([each.internal_gain_w for each in known])
        self.minimum_w = self.power_max_w * [each.minimum_share for each in known]
        """Below which a compressor cannot run; 0 for machines without such a limit."""
        self._running = np.zeros(len(known), dtype=bool)
        self._unchanged_s = np.full(len(known), LOCK_S)
        self.room_degc = self.set_degc.copy()
        self.controls = Controls(len(known))
        self._begun = False

    def step(self, outdoor_degc: float, ghi_w_per_m2: float, step_s: int) -> Array:
        """Advance and return the mean electrical power of each heat pump."""
        if not self._begun:
            self._begin(outdoor_degc)
        power = self._obeyed(self._thermostat(self.controls.setpoint_degc))
        if step_s < LOCK_S:
            power = self._compressed(power, step_s)
        gains_w, resistance = self._surroundings(outdoor_degc, ghi_w_per_m2)
        heat_w = gains_w + power * float(heat_pump_cop(outdoor_degc))
        settled_degc = outdoor_degc + resistance * heat_w
        kept = np.exp(-step_s / (resistance * self.capacity_j_per_k))
        self.room_degc = settled_degc + (self.room_degc - settled_degc) * kept
        return power

    def _begin(self, outdoor_degc: float) -> None:
        """Start a house where its thermostat would have brought it; warmer when it needs no heating."""
        self._begun = True
        unheated = outdoor_degc + self.resistance_k_per_w * self.internal_w
        heat_w = (self.set_degc - unheated) / self.resistance_k_per_w
        rated_w = np.maximum(self.power_max_w, 1.0) * float(heat_pump_cop(outdoor_degc))
        share = np.clip(heat_w / rated_w, 0.0, 1.0)
        heated = self.set_degc + (0.5 - share) * BAND_K
        self.room_degc = np.clip(unheated, heated, AIRING_FROM_DEGC)

    def _thermostat(self, asked_degc: Array) -> Array:
        target = np.where(np.isnan(asked_degc), self.set_degc, asked_degc)
        share = np.clip((target - self.room_degc) / BAND_K + 0.5, 0.0, 1.0)
        result: Array = share * self.power_max_w
        return result

    def _obeyed(self, thermostat_w: Array) -> Array:
        """Return the power: what is told, unless the room is too cold or too warm for its people."""
        told = self.controls.setpoint_w
        wanted = self.controls.limited(np.where(np.isnan(told), thermostat_w, told))
        wanted = np.clip(wanted, 0.0, self.power_max_w)
        cold = self.room_degc < self.minimum_degc - PROTECTION_K
        warm = self.room_degc > self.maximum_degc + PROTECTION_K
        wanted = np.where(
            cold & np.isnan(self.controls.power_max_w), np.maximum(wanted, thermostat_w), wanted
        )
        return np.where(warm, 0.0, wanted)

    def _compressed(self, wanted_w: Array, step_s: int) -> Array:
        """Return what compressors can do of it: from their least power on, no short runs, no short rests."""
        asked = np.where(self.minimum_w > 0, wanted_w >= self.minimum_w / 2, wanted_w > 0)
        locked = (self.minimum_w > 0) & (self._unchanged_s < LOCK_S)
        running = np.where(locked, self._running, asked)
        self._unchanged_s = np.where(running == self._running, self._unchanged_s, 0) + step_s
        self._running = running
        result: Array = np.where(running, np.maximum(wanted_w, self.minimum_w), 0.0)
        return result

    def _surroundings(self, outdoor_degc: float, ghi_w_per_m2: float) -> tuple[Array, Array]:
        """Return gains in W and the resistance, with people who draw blinds and open windows."""
        shade = np.where(self.room_degc > SHADING_FROM_DEGC, SHADING, 1.0)
        gains = self.internal_w + self.aperture_m2 * ghi_w_per_m2 * shade
        airing = (self.room_degc > AIRING_FROM_DEGC) & (self.room_degc > outdoor_degc)
        return gains, self.resistance_k_per_w * np.where(airing, AIRING, 1.0)
