"""The heat (P2H) manager: building and hot water as a battery of heat, and lights (D8.1 3.6, SPEC 4.8)."""

import numpy as np

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.envelopes import (
    LEGIONELLA_DEGC,
    building_envelope,
    pinned,
    tank_envelope,
)
from behaviours.decisions.lighting import lighting_envelope
from behaviours.decisions.series import aligned
from behaviours.decisions.virtual_battery import held_power_w
from behaviours.site.comfort_keeping import ComfortKeeping
from behaviours.site.heat_settings import HeatSettings
from behaviours.site.turns import is_turn
from ontology.base import INTERVAL_S
from ontology.control import OVERRIDE_S, UserOverride
from ontology.flexibility import FlexEnvelope
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.storage import ThermalModel, ThermalStatus
from ontology.weather import WeatherForecast

__all__ = ["HeatOffering", "HeatSettings"]

_HOT = "tank hot"
WEEK_S = 7 * 86_400
LEGIONELLA_MARGIN_S = 2 * 3_600
"""How long before the week is over a tank shall have been hot."""


class HeatOffering(Behaviour):
    """Offers the prosumer, at each of its turns and when people interfere, how heating could be shifted."""

    settings: HeatSettings

    def setup(self) -> None:
        """Nothing is known of temperatures yet; when the tank was last hot is recalled."""
        self.status: dict[str, ThermalStatus] = {}
        self._weather: WeatherForecast | None = None
        self._offered = False
        self._lit_s = -INTERVAL_S
        hot = self.kept(_HOT, ThermalStatus)
        self._hot_s = self.now_s() if hot is None else hot.time_s

    @when("started")
    def subscribe_to_weather(self) -> None:
        """Ask the repository for the weather forecast."""
        self.subscribe(self.settings.contacts.repository, WeatherForecast)

    @on(WeatherForecast)
    def note_weather(self, forecast: WeatherForecast, letter: Letter) -> None:
        """Note the forecast."""
        self._weather = forecast

    @on(ThermalStatus)
    def note(self, status: ThermalStatus, letter: Letter) -> None:
        """Note how warm it is, and when the tank was hot enough against legionella."""
        self.status[status.asset_id] = status
        tank, hot = self.settings.tank, status.temperature_degc >= LEGIONELLA_DEGC
        if hot and tank is not None and status.asset_id == tank.asset_id:
            self._hot_s = status.time_s
            self.keep(_HOT, status)

    @on(Measurement)
    def note_lights(self, measurement: Measurement, letter: Letter) -> None:
        """Note that the lights report."""
        self._lit_s = measurement.time_s

    @property
    def legionella_due_s(self) -> int:
        """By when the tank shall have had 60 degC again."""
        return self._hot_s + WEEK_S - LEGIONELLA_MARGIN_S

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelopes of building, tank and lights."""
        settings, comfort = self.settings, self.sibling(ComfortKeeping)
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        held = [comfort.held(asset_id) for asset_id in comfort.assets]
        if (
            comfort.changed
            or not self._offered
            or is_turn(settings.site, start_s, settings.planning_intervals)
        ):
            comfort.changed = False
            for envelope in (self._building(start_s), self._tank(start_s), self._lighting(start_s)):
                if envelope is not None:
                    self._offered = True
                    self.tell(settings.contacts.prosumer, self._with(held, envelope))

    def _building(self, start_s: int) -> FlexEnvelope | None:
        """Return how the heat pump could run."""
        model = self.sibling(ComfortKeeping).building()
        status = self._fresh(model)
        if model is None or status is None or self._weather is None:
            return None
        power_max_w = self.settings.building_power_max_w
        return building_envelope(model, status, self._weather, power_max_w, start_s)

    def _tank(self, start_s: int) -> FlexEnvelope | None:
        """Return how the water heater could run, with 60 degC in time each week."""
        settings, model = self.settings, self.settings.tank
        status = self._fresh(model)
        if model is None or status is None:
            return None
        first = start_s % 86_400 // INTERVAL_S
        draw_w = settings.draw_w[first:] + settings.draw_w[:first]
        return tank_envelope(
            model,
            status,
            draw_w,
            settings.tank_power_max_w,
            start_s,
            legionella_due_s=self.legionella_due_s,
        )

    def _lighting(self, start_s: int) -> FlexEnvelope | None:
        """Return how the lights could be dimmed."""
        lights = self.settings.lighting
        if lights is None or self.now_s() - self._lit_s > INTERVAL_S:
            return None
        return lighting_envelope(
            lights.asset_id, lights.power_w, lights.minimum_share, lights.hours, lights.zone, start_s
        )

    def _with(self, held: list[UserOverride | None], envelope: FlexEnvelope) -> FlexEnvelope:
        """Return an envelope that leaves no choice while a person's will prevails."""
        for override in held:
            if override is not None and override.asset_id == envelope.subject:
                powers_w = self._powers_under(override, envelope)
                starts = range(envelope.start_s, override.time_s + OVERRIDE_S, INTERVAL_S)
                return pinned(envelope, dict(zip(starts, powers_w, strict=False)))
        return envelope

    def _powers_under(self, override: UserOverride, envelope: FlexEnvelope) -> list[int]:
        """Return what a device will draw, step by step, under an override."""
        steps = -(-OVERRIDE_S // INTERVAL_S)
        model = self.sibling(ComfortKeeping).building()
        if override.setpoint_degc is None:
            return [override.setpoint_w or 0] * steps
        if model is None or model.asset_id != override.asset_id:
            model = self.settings.tank
        status = self.status[override.asset_id]
        if model is None or self._weather is None:
            return []
        start_s, zone_degc = envelope.start_s, np.full(steps, status.outdoor_degc)
        sun = np.zeros(steps)
        if model.cop_points:
            zone_degc = aligned(self._weather.outdoor_degc, self._weather.start_s, start_s, steps, INTERVAL_S)
            sun = aligned(self._weather.ghi_w_per_m2, self._weather.start_s, start_s, steps, INTERVAL_S)
        return held_power_w(
            model,
            override.setpoint_degc,
            status.temperature_degc,
            zone_degc,
            sun,
            max(envelope.power_max_w),
            INTERVAL_S,
        )

    def _fresh(self, model: ThermalModel | None) -> ThermalStatus | None:
        """Return the newest report of an asset, unless it is too old to plan with."""
        if model is None:
            return None
        status = self.status.get(model.asset_id)
        if status is None or self.now_s() - status.time_s > INTERVAL_S:
            self.agent.counts["reports missing"] += 1
            return None
        return status
