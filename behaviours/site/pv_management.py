"""The PV manager: forecasts what the plant will give, offers it, and watches its performance (D8.1 3.6)."""

from math import nan

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.envelopes import photovoltaic_envelope
from behaviours.decisions.forecasting import Outlook
from behaviours.decisions.photovoltaics import (
    ClearRatio,
    Modelled,
    PvArray,
    modelled_generation,
    photovoltaic_outlook,
)
from behaviours.decisions.plant_history import PlantHistory
from behaviours.decisions.plant_performance import PerformanceWatch, binds, cap_of, exceeds_cap
from behaviours.site.contacts import SiteContacts
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.turns import PLANNING_INTERVALS, is_turn
from ontology.alarms import AlarmKind, AssetAlarm
from ontology.base import INTERVAL_S
from ontology.control import Instruction
from ontology.errors import Refused
from ontology.forecasts import ForecastKind
from ontology.letter import Letter
from ontology.measurements import Measurement, Quality
from ontology.weather import WeatherForecast

__all__ = ["PvCurtailment", "PvForecasting", "PvMonitoring", "PvSettings"]

log = structlog.get_logger()

_HISTORY, _WATCH = "plant history", "performance watch"
_ONSET_S = 60
"""A cap that comes so much later than an interval's start still holds for all of it."""


class PvSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The plant."""

    site: str
    contacts: SiteContacts
    asset_id: str
    array: PvArray
    planning_intervals: int = PLANNING_INTERVALS


class PvForecasting(Behaviour):
    """Forecasts the plant from weather and its own past, and offers it to the prosumer."""

    settings: PvSettings

    def setup(self) -> None:
        """Recall what was learnt of the plant; neither weather nor output is known yet."""
        self.weather: WeatherForecast | None = None
        self.ratio = ClearRatio()
        self.history = PlantHistory.recalled(self.settings.array.peak_w, self.agent.kept_bytes(_HISTORY))
        self._modelled: Modelled | None = None
        self._offered = False

    @when("started")
    def subscribe_to_weather(self) -> None:
        """Ask the repository for the weather forecast."""
        self.subscribe(self.settings.contacts.repository, WeatherForecast)

    @on(WeatherForecast)
    def note_weather(self, forecast: WeatherForecast, letter: Letter) -> None:
        """Note the forecast, what the plant should give by it, and how good yesterday's was."""
        self.weather = forecast
        self._modelled = modelled_generation(self.settings.array, forecast, forecast.start_s)
        self.history = self.history.issuing(forecast.start_s, *self._modelled)

    @on(Measurement)
    def learn(self, measurement: Measurement, letter: Letter) -> None:
        """Learn from an interval what the plant gives of what is modelled, unless held back or ill."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S - INTERVAL_S
        if start_s <= self.history.last_start_s:
            return
        modelled = self._modelled_in(start_s)
        if modelled is None:
            return
        modelled_w, sky = modelled
        measured_w = max(0.0, -measurement.value)
        if self.sibling(PvCurtailment).held_back(start_s, measured_w):
            measured_w = nan
        else:
            expected_w = modelled_w * self.history.ratio_of(start_s, sky)
            self.ratio = self.ratio.after(measured_w, expected_w)
            if self.sibling(PvMonitoring).is_faulty_after(measured_w, expected_w):
                measured_w = nan
        self._remember(start_s, measured_w, modelled_w, sky)

    def _modelled_in(self, start_s: int) -> tuple[float, int] | None:
        """Return what was modelled for an interval, and its sky; nothing where no forecast reaches."""
        if self.weather is None or self._modelled is None:
            return None
        step = max(0, (start_s - self.weather.start_s) // INTERVAL_S)
        if step >= len(self._modelled.sky):
            return None
        return float(self._modelled.power_w[step]), int(self._modelled.sky[step])

    def _remember(self, start_s: int, measured_w: float, modelled_w: float, sky: int) -> None:
        """Take an interval into the history, and keep what the day before has taught."""
        learnt = self.history.table
        self.history = self.history.after(start_s, measured_w, modelled_w, sky)
        if self.history.table is not learnt:
            self.keep(_HISTORY, self.history.kept())

    def outlook(self, weather: WeatherForecast, start_s: int) -> Outlook:
        """Return the forecast of the day from a time; a plant at fault is expected to stay so."""
        watch = self.sibling(PvMonitoring).watch
        return photovoltaic_outlook(
            self.settings.array,
            weather,
            start_s,
            history=self.history,
            ratio=None if watch.is_faulty else self.ratio,
            performance=watch.ratio if watch.is_faulty else 1.0,
        )

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelope of the day ahead to the prosumer, and the forecast to the repository."""
        if self.weather is None:
            self.agent.counts["forecasts missing"] += 1
            return
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        if self._offered and not is_turn(self.settings.site, start_s, self.settings.planning_intervals):
            return
        self._offered = True
        outlook, asset_id = self.outlook(self.weather, start_s), self.settings.asset_id
        contacts = self.settings.contacts
        self.tell(contacts.prosumer, photovoltaic_envelope(asset_id, outlook.power_w.tolist(), start_s))
        quality = self.weather.quality
        self.agent.counts["forecasts on substituted weather"] += quality is not Quality.VALID
        forecast = outlook.as_forecast(asset_id, ForecastKind.PV, self.now_s(), start_s, quality=quality)
        self.sibling(FactReporting).report(forecast)


class PvCurtailment(Behaviour):
    """Knows what the plant was told to keep to, and whether it does."""

    settings: PvSettings

    def setup(self) -> None:
        """Nothing holds the plant back."""
        self._caps: list[tuple[int, int, float]] = []

    @on(Instruction)
    def note(self, instruction: Instruction, letter: Letter) -> None:
        """Note what the gateway has told the plant.

        Raises: Refused when somebody else says so.
        """
        if letter.sender != self.settings.contacts.gateway:
            raise Refused("only the gateway knows what the plant was told")
        cap_w = cap_of(instruction)
        if cap_w is None:  # given back to itself
            now_s = self.now_s()
            self._caps = [(start, min(end, now_s), cap) for start, end, cap in self._caps]
        else:
            self._caps.append((instruction.execution_time_s, instruction.valid_until_s, cap_w))

    def held_back(self, start_s: int, measured_w: float) -> bool:
        """Tell whether a plant could have given more in an interval; raise the alarm if it gave too much."""
        end_s = start_s + INTERVAL_S
        self._caps = [each for each in self._caps if each[1] > start_s]
        present = [each for each in self._caps if each[0] < end_s]
        if not present:
            return False
        peak_w = self.settings.array.peak_w
        whole = [cap for start, end, cap in present if start <= start_s + _ONSET_S and end >= end_s]
        if whole:
            self.agent.counts["intervals curtailed"] += 1
            exceeded = exceeds_cap(measured_w, whole[-1], peak_w)
            self.agent.counts["caps exceeded"] += exceeded
            self.sibling(PvMonitoring).tell_alarm(AlarmKind.LIMIT_EXCEEDED, exceeded, measured_w, whole[-1])
        return binds(min(cap for _, _, cap in present), measured_w, peak_w)


class PvMonitoring(Behaviour):
    """Notices a plant that gives far less than it should over four hours of daylight, and tells of it."""

    settings: PvSettings

    def setup(self) -> None:
        """Recall whether the plant is at fault; else nothing is suspect yet."""
        self.watch = PerformanceWatch.recalled(self.agent.kept_bytes(_WATCH))
        self._standing = {AlarmKind.UNDERPERFORMANCE} if self.watch.is_faulty else set()

    def is_faulty_after(self, measured_w: float, expected_w: float) -> bool:
        """Judge an interval (W, not negative), raise or take back the alarm, and return how it stands."""
        was_faulty = self.watch.is_faulty
        self.watch = self.watch.after(measured_w, expected_w, self.settings.array.peak_w)
        if self.watch.is_faulty != was_faulty:
            self.keep(_WATCH, self.watch.kept())
        count = len(self.watch.expected_w) or 1
        self.tell_alarm(
            AlarmKind.UNDERPERFORMANCE,
            self.watch.is_faulty,
            sum(self.watch.measured_w) / count,
            sum(self.watch.expected_w) / count,
        )
        return self.watch.is_faulty

    def tell_alarm(self, kind: AlarmKind, stands: bool, measured_w: float, expected_w: float) -> None:
        """Tell prosumer and repository of an alarm that is new, or over."""
        if stands == (kind in self._standing):
            return
        self._standing ^= {kind}
        alarm = AssetAlarm(
            site=self.settings.site,
            asset_id=self.settings.asset_id,
            kind=kind,
            time_s=self.now_s(),
            is_raised=stands,
            measured_w=round(measured_w),
            expected_w=round(expected_w),
        )
        self.agent.counts["alarms raised"] += stands
        self.tell(self.settings.contacts.prosumer, alarm)
        self.sibling(FactReporting).report(alarm)
        log.info("plant", agent=self.agent.address, alarm=kind, stands=stands)
