"""Lights: on while somebody is there, dimmed when told, never too dark to work."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.local_time import local_hours
from environments.simulation.world.controls import Controls
from environments.simulation.world.settings import LightingSettings

__all__ = ["Lights"]

Array = NDArray[np.float64]


class Lights:
    """Electrical powers of lights in W; uncontrolled, they are full on in the hours of use."""

    def __init__(self, zones: Sequence[str], settings: Sequence[LightingSettings | None]) -> None:
        self.present = np.array([each is not None for each in settings])
        known = [each or LightingSettings() for each in settings]
        self._zones = list(zones)
        self.power_max_w = np.where(self.present, [each.power_w for each in known], 0.0)
        self.minimum_w = self.power_max_w * [each.minimum_share for each in known]
        self._from_hour = np.array([each.from_hour for each in known])
        self._to_hour = np.array([each.to_hour for each in known])
        self.controls = Controls(len(known))

    def step(self, start_s: int) -> Array:
        """Return the power of each site's lights in a step that begins now."""
        if not self.present.any():
            return np.zeros(len(self.present))
        hour_of = {zone: local_hours(zone, start_s)[0] for zone in set(self._zones)}
        hour = np.array([hour_of[zone] for zone in self._zones])
        used = (hour >= self._from_hour) & (hour < self._to_hour)
        told = self.controls.setpoint_w
        wanted = np.where(np.isnan(told), np.where(used, self.power_max_w, 0.0), told)
        least = np.where(used, self.minimum_w, 0.0)
        power: Array = np.clip(self.controls.limited(wanted), least, self.power_max_w)
        return power
