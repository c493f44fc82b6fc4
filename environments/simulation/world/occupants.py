"""People at home who turn the thermostat by hand, now and then, whatever was planned."""

from collections.abc import Sequence

import numpy as np

from behaviours.decisions.local_time import local_hours
from environments.simulation.world.controls import Controls
from environments.simulation.world.generators import generator
from environments.simulation.world.settings import HeatPumpSettings
from ontology.control import OVERRIDE_S, Instruction, Priority, UserOverride

__all__ = ["Occupants"]

DAY_S = 86_400
AWAKE = (7.0, 22.0)
"""Local hours in which somebody may turn a thermostat."""
TASTE_K = 0.5
"""How far what people of a house like is from its set-point, one standard deviation."""
MOOD_K = 0.3
"""How much that varies from time to time."""
NOTCH_K = 0.5
"""Steps of the thermostat's wheel."""


class Occupants:
    """Draws who wants it warmer or cooler and when, and turns thermostats; `events` tells of it by site."""

    def __init__(
        self,
        seed: int,
        sites: Sequence[str],
        zones: Sequence[str],
        settings: Sequence[HeatPumpSettings | None],
        controls: Controls,
    ) -> None:
        self._seed, self._sites, self._zones, self._controls = seed, list(sites), list(zones), controls
        self._active = {
            index: each
            for index, each in enumerate(settings)
            if each is not None and each.overrides_a_week > 0
        }
        self._days: dict[tuple[int, int], list[tuple[int, float]]] = {}
        self.events: dict[int, list[UserOverride]] = {index: [] for index in self._active}

    def step(self, start_s: int, end_s: int) -> None:
        """Turn the thermostats that are turned within a step."""
        for site in self._active:
            for time_s, degc in self._day(site, start_s // DAY_S):
                if start_s <= time_s < end_s:
                    self._turn(site, time_s, degc)

    def liked_degc(self, site: int) -> float:
        """Return what the people of a house like best."""
        settings = self._active[site]
        taste = generator(self._seed, "taste", self._sites[site]).standard_normal()
        return float(settings.set_degc + np.clip(taste * TASTE_K, -settings.comfort_k, settings.comfort_k))

    def _turn(self, site: int, time_s: int, degc: float) -> None:
        asset_id = f"{self._sites[site]}-heat_pump"
        self.events[site].append(UserOverride(asset_id=asset_id, time_s=time_s, setpoint_degc=degc))
        by_hand = Instruction(
            instruction_id=f"{asset_id}-by-hand-{time_s}",
            asset_id=asset_id,
            execution_time_s=time_s,
            valid_until_s=time_s + OVERRIDE_S,
            setpoint_degc=degc,
            reason="by hand",
            priority=Priority.USER,
        )
        self._controls.take(site, by_hand, time_s)

    def _day(self, site: int, day: int) -> list[tuple[int, float]]:
        """Return when a site's thermostat is turned on a UTC day, and to what; today's are kept."""
        if (site, day) not in self._days:
            self._days = {key: each for key, each in self._days.items() if key[1] == day}
            self._days[site, day] = self._draw(site, day)
        return self._days[site, day]

    def _draw(self, site: int, day: int) -> list[tuple[int, float]]:
        settings = self._active[site]
        draw = generator(self._seed, "override", self._sites[site], day)
        found = []
        for _ in range(int(draw.poisson(settings.overrides_a_week / 7))):
            hour = float(draw.uniform(*AWAKE))
            liked = self.liked_degc(site) + float(draw.normal(0.0, MOOD_K))
            liked = min(
                max(liked, settings.set_degc - settings.comfort_k), settings.set_degc + settings.comfort_k
            )
            offset_h = float(local_hours(self._zones[site], day * DAY_S)[0])
            time_s = day * DAY_S + int((hour - offset_h) % 24 * 3600)
            found.append((time_s, round(liked / NOTCH_K) * NOTCH_K))
        return sorted(found)
