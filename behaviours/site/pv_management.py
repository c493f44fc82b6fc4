"""The PV manager: forecasts what the plant will give, offers it, and watches its performance (D8.1 3.6)."""

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.envelopes import photovoltaic_envelope
from behaviours.decisions.photovoltaics import ClearRatio, PvArray, generation_w, photovoltaic_outlook
from behaviours.site.contacts import SiteContacts
from behaviours.site.turns import PLANNING_INTERVALS, is_turn
from ontology.base import INTERVAL_S
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.weather import WeatherForecast

__all__ = ["PvForecasting", "PvMonitoring", "PvSettings"]

log = structlog.get_logger()

FAULT_RATIO = 0.7
FAULT_INTERVALS = 16
"""A plant is suspect after four hours of daylight below this share of what it should give (SPEC 4.6)."""


class PvSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The plant."""

    site: str
    contacts: SiteContacts
    asset_id: str
    array: PvArray
    planning_intervals: int = PLANNING_INTERVALS


class PvForecasting(Behaviour):
    """Forecasts the plant from weather and its own recent output, and offers it to the prosumer."""

    settings: PvSettings

    def setup(self) -> None:
        """Neither weather nor output is known yet."""
        self.weather: WeatherForecast | None = None
        self.ratio = ClearRatio()
        self._modelled_w: list[float] = []
        self._offered = False

    @when("started")
    def subscribe_to_weather(self) -> None:
        """Ask the repository for the weather forecast."""
        self.subscribe(self.settings.contacts.repository, WeatherForecast)

    @on(WeatherForecast)
    def note_weather(self, forecast: WeatherForecast, letter: Letter) -> None:
        """Note the forecast, and what the plant should give by it."""
        self.weather = forecast
        self._modelled_w = generation_w(self.settings.array, forecast, forecast.start_s).tolist()

    @on(Measurement)
    def learn(self, measurement: Measurement, letter: Letter) -> None:
        """Learn how much more or less than modelled the plant gives."""
        if self.weather is None:
            return
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S - INTERVAL_S
        step = max(0, (start_s - self.weather.start_s) // self.weather.step_s)
        modelled_w = self._modelled_w[min(step, len(self._modelled_w) - 1)]
        self.ratio = self.ratio.after(-measurement.value, modelled_w)
        self.sibling(PvMonitoring).judge(-measurement.value, modelled_w)

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelope of the day ahead."""
        if self.weather is None:
            self.agent.counts["forecasts missing"] += 1
            return
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        if self._offered and not is_turn(self.settings.site, start_s, self.settings.planning_intervals):
            return
        self._offered = True
        outlook = photovoltaic_outlook(self.settings.array, self.weather, start_s, ratio=self.ratio)
        envelope = photovoltaic_envelope(self.settings.asset_id, outlook.power_w.tolist(), start_s)
        self.tell(self.settings.contacts.prosumer, envelope)


class PvMonitoring(Behaviour):
    """Notices a plant that gives far less than it should for hours on end."""

    def setup(self) -> None:
        """Nothing is suspect yet."""
        self._poor = 0

    def judge(self, measured_w: float, modelled_w: float) -> None:
        """Count intervals of poor performance by day, and raise the alarm once."""
        if modelled_w <= 0:
            return
        self._poor = self._poor + 1 if measured_w < FAULT_RATIO * modelled_w else 0
        if self._poor == FAULT_INTERVALS:
            self.agent.counts["faults suspected"] += 1
            log.warning("plant gives too little", agent=self.agent.address)
