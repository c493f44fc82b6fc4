"""Hot-water tanks: one node, drawn from by people, heated by a hysteresis and against legionella."""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from environments.simulation.world.controls import Controls
from environments.simulation.world.generators import generator
from environments.simulation.world.settings import HotWaterSettings

__all__ = ["Tanks"]

Array = NDArray[np.float64]

DAY_S = 86_400
WEEK_S = 7 * DAY_S
WATER_J_PER_L_K = 4_186.0
COLD_DEGC = 11.0
ROOM_DEGC = 19.0
USE_DEGC = 45.0
LEGIONELLA_DEGC = 60.0
HOTTEST_DEGC = 68.0

DRAW_KINDS = np.array([(40.0, 0.35), (12.0, 0.35), (3.0, 0.30)])
"""Litres and frequency of showers, basins and taps."""
DRAW_HOURS = np.array(
    [1, 0, 0, 0, 1, 4, 14, 16, 9, 5, 4, 4, 5, 4, 3, 3, 4, 6, 9, 11, 9, 7, 5, 3], dtype=float
)
"""How often water is drawn in each local hour: mornings and evenings."""
DRAW_S = 300


class Tanks:
    """Tank temperatures in degC, electrical powers in W; uncontrolled, a tank is heated when cool."""

    def __init__(
        self,
        seed: int,
        sites: Sequence[str],
        zones: Sequence[str],
        settings: Sequence[HotWaterSettings | None],
        now_s: int,
    ) -> None:
        self._seed, self._sites, self._zones = seed, list(sites), list(zones)
        self.present = np.array([each is not None for each in settings])
        known = [each or HotWaterSettings() for each in settings]
        self.power_max_w = np.where(self.present, [each.power_w for each in known], 0.0)
        self.cop = np.array([each.cop for each in known])
        self.capacity_j_per_k = WATER_J_PER_L_K * np.array([each.volume_l for each in known])
        self.loss_w_per_k = np.array([each.loss_w_per_k for each in known])
        self.minimum_degc = np.array([each.minimum_degc for each in known])
        self.maximum_degc = np.array([each.maximum_degc for each in known])
        self._draw_l = np.where(self.present, [each.draw_l for each in known], 0.0)
        self.controls = Controls(len(known))
        begun = [generator(seed, "tank", site).random(2) for site in sites]
        share, age = np.array(begun).T
        self.tank_degc = self.minimum_degc + share * (self.maximum_degc - self.minimum_degc)
        self.legionella_s = now_s - np.floor(age * WEEK_S)
        """When each tank was last at 60 degC."""
        self._heating = np.zeros(len(known), dtype=bool)
        self._disinfecting = np.zeros(len(known), dtype=bool)
        self._days: dict[int, tuple[Array, Array, NDArray[np.int64]]] = {}

    def step(self, start_s: int, step_s: int) -> Array:
        """Advance and return the mean electrical power of each heater."""
        self._lose(start_s, step_s)
        wanted = self._wanted_w(start_s)
        ceiling = np.where(self._disinfecting, LEGIONELLA_DEGC + 1.0, HOTTEST_DEGC)
        ceiling = np.where(self._self_controlled, np.maximum(self._target(), self.tank_degc), ceiling)
        full_w = np.maximum(ceiling - self.tank_degc, 0.0) * self.capacity_j_per_k / (self.cop * step_s)
        power: Array = np.clip(np.minimum(wanted, full_w), 0.0, self.power_max_w)
        self.tank_degc = self.tank_degc + power * self.cop * step_s / self.capacity_j_per_k
        hot = self.tank_degc >= LEGIONELLA_DEGC - 1e-6
        self.legionella_s = np.where(hot, float(start_s + step_s), self.legionella_s)
        return power

    @property
    def _self_controlled(self) -> NDArray[np.bool_]:
        own: NDArray[np.bool_] = np.isnan(self.controls.setpoint_w)
        return own

    def _target(self) -> Array:
        asked = self.controls.setpoint_degc
        target = np.where(np.isnan(asked), self.maximum_degc, asked)
        result: Array = np.where(self._disinfecting, LEGIONELLA_DEGC + 1.0, target)
        return result

    def _wanted_w(self, now_s: int) -> Array:
        """Return what each heater wants: what it is told, or its own hysteresis; too cold always heats."""
        self._disinfecting = now_s - self.legionella_s >= WEEK_S
        low = np.minimum(self.minimum_degc, self._target() - 2.0)
        self._heating = np.where(self.tank_degc < low + 2.0, True, self._heating)
        self._heating &= self.tank_degc < self._target() - 0.05
        own = np.where(self._heating | self._disinfecting, self.power_max_w, 0.0)
        told = np.where(self._self_controlled, own, self.controls.setpoint_w)
        forced = self._disinfecting | (self.tank_degc < self.minimum_degc - 2.0)
        return self.controls.limited(np.where(forced, self.power_max_w, told))

    def _lose(self, start_s: int, step_s: int) -> None:
        """Cool the tanks by standing and by what is drawn in the step."""
        standing = self.loss_w_per_k * (self.tank_degc - ROOM_DEGC) * step_s
        drawn = self._drawn_l(start_s, step_s) * WATER_J_PER_L_K * (USE_DEGC - COLD_DEGC)
        warm = np.clip((self.tank_degc - COLD_DEGC) / (USE_DEGC - COLD_DEGC), 0.0, 1.0)
        self.tank_degc = np.maximum(
            self.tank_degc - (standing + drawn * warm) / self.capacity_j_per_k, COLD_DEGC
        )

    def _drawn_l(self, start_s: int, step_s: int) -> Array:
        """Return the litres at 45 degC drawn from each tank in the step."""
        start, rate, site = self._day(start_s - start_s % DAY_S)
        overlap = np.minimum(start + DRAW_S, start_s + step_s) - np.maximum(start, start_s)
        litres = np.bincount(site, np.maximum(overlap, 0.0) * rate, len(self._sites))
        return litres.astype(np.float64)

    def _day(self, day_s: int) -> tuple[Array, Array, NDArray[np.int64]]:
        """Return the draws of a UTC day: start in epoch seconds, litres a second, site."""
        if day_s not in self._days:
            self._days = {day_s: self._draw_day(day_s)}
        return self._days[day_s]

    def _draw_day(self, day_s: int) -> tuple[Array, Array, NDArray[np.int64]]:
        starts: list[Array] = [np.zeros(0)]
        rates: list[Array] = [np.zeros(0)]
        sites: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        mean_l = float(np.prod(DRAW_KINDS, axis=1).sum())
        chances = np.cumsum(DRAW_HOURS) / DRAW_HOURS.sum()
        for site in np.flatnonzero(self.present).tolist():
            draw = generator(self._seed, "hot water", self._sites[site], day_s // DAY_S)
            count = int(draw.poisson(self._draw_l[site] / mean_l))
            kind = np.searchsorted(np.cumsum(DRAW_KINDS[:, 1]), draw.random(count))
            local_hour = np.searchsorted(chances, draw.random(count)) + draw.random(count)
            into = (local_hour * 3600 - self._offset_s(site, day_s)) % DAY_S
            starts.append(day_s + np.clip(np.floor(into), 0, DAY_S - DRAW_S))
            rates.append(DRAW_KINDS[kind, 0] * draw.uniform(0.7, 1.3, count) / DRAW_S)
            sites.append(np.full(count, site))
        return np.concatenate(starts), np.concatenate(rates), np.concatenate(sites)

    def _offset_s(self, site: int, day_s: int) -> float:
        moment = datetime.fromtimestamp(day_s + DAY_S // 2, UTC).astimezone(ZoneInfo(self._zones[site]))
        offset = moment.utcoffset()
        return offset.total_seconds() if offset is not None else 0.0
