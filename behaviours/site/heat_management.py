"""The heat (P2H) manager: the building and its hot water as a battery of heat (D8.1 3.6, SPEC 4.8)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.envelopes import building_envelope, tank_envelope
from behaviours.site.contacts import SiteContacts
from behaviours.site.turns import PLANNING_INTERVALS, is_turn
from ontology.base import INTERVAL_S
from ontology.letter import Letter
from ontology.storage import ThermalModel, ThermalStatus
from ontology.weather import WeatherForecast

__all__ = ["HeatOffering", "HeatSettings"]


class HeatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is heated: models and electrical limits in W; None where the site has no such asset.

    `draw_w` is the heat usually drawn from the tank, by step of a UTC day.
    """

    site: str
    contacts: SiteContacts
    building: ThermalModel | None = None
    building_power_max_w: int = 0
    internal_gains_w: float = 0.0
    tank: ThermalModel | None = None
    tank_power_max_w: int = 0
    draw_w: tuple[float, ...] = ()
    planning_intervals: int = PLANNING_INTERVALS


class HeatOffering(Behaviour):
    """Offers the prosumer, at each of its turns, how heating could be shifted."""

    settings: HeatSettings

    def setup(self) -> None:
        """Nothing is known of temperatures yet."""
        self._status: dict[str, ThermalStatus] = {}
        self._weather: WeatherForecast | None = None
        self._offered = False

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
        """Note how warm it is."""
        self._status[status.asset_id] = status

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelopes of building and tank."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        if is_turn(self.settings.site, start_s, self.settings.planning_intervals) or not self._offered:
            self._offer_building(start_s)
            self._offer_tank(start_s)

    def _offer_building(self, start_s: int) -> None:
        settings, model = self.settings, self.settings.building
        status = self._fresh(model)
        if model is None or status is None or self._weather is None:
            return
        envelope = building_envelope(
            model,
            status,
            self._weather,
            settings.building_power_max_w,
            start_s,
            gains_w=settings.internal_gains_w,
        )
        self._offered = True
        self.tell(settings.contacts.prosumer, envelope)

    def _offer_tank(self, start_s: int) -> None:
        settings, model = self.settings, self.settings.tank
        status = self._fresh(model)
        if model is None or status is None:
            return
        first = start_s % 86_400 // INTERVAL_S
        draw_w = settings.draw_w[first:] + settings.draw_w[:first]
        envelope = tank_envelope(model, status, draw_w, settings.tank_power_max_w, start_s)
        self._offered = True
        self.tell(settings.contacts.prosumer, envelope)

    def _fresh(self, model: ThermalModel | None) -> ThermalStatus | None:
        """Return the newest report of an asset, unless it is too old to plan with."""
        if model is None:
            return None
        status = self._status.get(model.asset_id)
        if status is None or self.now_s() - status.time_s > INTERVAL_S:
            self.agent.counts["reports missing"] += 1
            return None
        return status
