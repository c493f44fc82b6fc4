"""Stationary batteries of all sites: they obey a set-point within power and state of charge."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from environments.simulation.world.controls import Controls
from environments.simulation.world.settings import BatterySettings

__all__ = ["Batteries"]

Array = NDArray[np.float64]


class Batteries:
    """Energies in Wh, powers in W, charging positive; idle when uncontrolled. Absent ones have no power."""

    def __init__(self, settings: Sequence[BatterySettings | None]) -> None:
        self.present = np.array([each is not None for each in settings])
        known = [each or _NONE for each in settings]
        self.capacity_wh = np.array([each.capacity_wh for each in known], dtype=float)
        self.power_max_w = np.where(self.present, [each.power_w for each in known], 0.0)
        self.one_way = np.sqrt([each.efficiency for each in known])
        self.floor_wh = self.capacity_wh * [each.minimum_state_of_charge for each in known]
        self.stored_wh = self.capacity_wh * [each.initial_state_of_charge for each in known]
        self.controls = Controls(len(known))

    @property
    def state_of_charge(self) -> Array:
        """Of every site; nan without a battery."""
        return np.where(self.present, self.stored_wh / self.capacity_wh, np.nan)

    def step(self, step_s: int) -> Array:
        """Advance and return the mean power at each site's terminals."""
        hours = step_s / 3600
        wanted = self.controls.limited(np.nan_to_num(self.controls.setpoint_w))
        room = np.maximum(self.capacity_wh - self.stored_wh, 0.0) / (self.one_way * hours)
        left = np.maximum(self.stored_wh - self.floor_wh, 0.0) * self.one_way / hours
        power: Array = np.clip(
            wanted, -np.minimum(left, self.power_max_w), np.minimum(room, self.power_max_w)
        )
        into = np.where(power > 0, power * self.one_way, power / self.one_way) * hours
        self.stored_wh = np.clip(self.stored_wh + into, 0.0, self.capacity_wh)
        return power


_NONE = BatterySettings(capacity_wh=1, power_w=1)
