"""Keeping facts and answering for them: the repository's part in the community (D8.1 3.2)."""

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.weather_fallback import carried_on
from behaviours.ports import Repository, WeatherService
from ontology.alarms import AssetAlarm
from ontology.base import Concept
from ontology.charging import EvSession
from ontology.coalition import VppPayoff
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import Refused, Unavailable
from ontology.flexibility import FlexibilityForecast
from ontology.flexibility_trading import DPrognosis, FlexOrder, FlexRequest, FlexSettlement
from ontology.forecasts import Forecast
from ontology.grid import GridConstraint, GridMeasurementBatch, GridOutlook, GridSegment, GridStatusEvent
from ontology.ledger import LedgerEntry
from ontology.letter import Letter
from ontology.market import LemResult
from ontology.marketplace import AcquiredFlexibility, EmergencyCall
from ontology.measurements import IntervalReading, Measurement
from ontology.ownership import Party, as_seen_by, may_ask_about
from ontology.performatives import Performative
from ontology.policy import may_read
from ontology.privacy import PseudonymRecord
from ontology.service_level import KpiFeature, Sla
from ontology.storage import ThermalModel
from ontology.vpp import Vpp
from ontology.weather import WeatherForecast

__all__ = ["Answering", "FactKeeping", "WeatherPublishing"]

_WEATHER = message_type_of(WeatherForecast)


class FactKeeping(Behaviour):
    """Stores what members report."""

    def setup(self) -> None:
        """Store through the repository that the agent was handed."""
        self.repository = required_repository(self)

    @on(IntervalReading)
    async def keep_reading(self, reading: IntervalReading, letter: Letter) -> Acknowledgement:
        """Store a meter reading and say so; storing it again changes nothing."""
        await self.repository.store([reading])
        return Acknowledgement(of=letter.message_id)

    @on(Measurement)
    async def keep_measurement(self, measurement: Measurement, letter: Letter) -> Acknowledgement:
        """Store a measurement that an agreement calls for, and say so."""
        await self.repository.store([measurement])
        return Acknowledgement(of=letter.message_id)

    @on(EvSession)
    async def keep_session(self, session: EvSession, letter: Letter) -> Acknowledgement:
        """Store a charging session that an agreement calls for, and say so."""
        await self.repository.store([session])
        return Acknowledgement(of=letter.message_id)

    @on(AssetAlarm)
    async def keep_alarm(self, alarm: AssetAlarm, letter: Letter) -> Acknowledgement:
        """Store that something is wrong with an asset, or well again, and say so."""
        await self.repository.store([alarm])
        return Acknowledgement(of=letter.message_id)

    @on(ThermalModel)
    async def keep_model(self, model: ThermalModel, letter: Letter) -> None:
        """Store what a building was found to be like."""
        await self.repository.store([model])

    @on(Forecast)
    async def keep_forecast(self, forecast: Forecast, letter: Letter) -> Acknowledgement | None:
        """Store a forecast; the newest is what others plan with."""
        await self.repository.store([forecast])
        return acknowledged(letter)

    @on(FlexibilityForecast)
    async def keep_flexibility(self, forecast: FlexibilityForecast, letter: Letter) -> None:
        """Store how far somebody could deviate from its plan."""
        await self.repository.store([forecast])

    @on(GridStatusEvent)
    async def keep_grid_status(self, event: GridStatusEvent, letter: Letter) -> Acknowledgement | None:
        """Store a state of the grid."""
        await self.repository.store([event])
        return acknowledged(letter)

    @on(GridOutlook)
    async def keep_outlook(self, outlook: GridOutlook, letter: Letter) -> None:
        """Store how hard a segment is expected to be used; the newest is what others plan with."""
        await self.repository.store([outlook])

    @on(GridMeasurementBatch, Performative.REQUEST)
    async def keep_grid_measurements(self, batch: GridMeasurementBatch, letter: Letter) -> Acknowledgement:
        """Store each of many measurements of the network, and say so; storing them again changes nothing."""
        await self.repository.store(batch.measurements)
        return Acknowledgement(of=letter.message_id)

    @on(GridConstraint)
    async def keep_constraint(self, constraint: GridConstraint, letter: Letter) -> Acknowledgement | None:
        """Store what a segment may take and give."""
        await self.repository.store([constraint])
        return acknowledged(letter)

    @on(GridSegment)
    async def keep_segment(self, segment: GridSegment, letter: Letter) -> None:
        """Store a segment of the network."""
        await self.repository.store([segment])

    @on(DPrognosis)
    @on(FlexRequest)
    @on(FlexOrder)
    @on(FlexSettlement)
    @on(AcquiredFlexibility)
    @on(EmergencyCall)
    async def keep_trade(
        self,
        said: DPrognosis | FlexRequest | FlexOrder | FlexSettlement | AcquiredFlexibility | EmergencyCall,
        letter: Letter,
    ) -> None:
        """Store what was foreseen, asked for, bought and settled in the trade of flexibility."""
        await self.repository.store([said])

    @on(Vpp)
    async def keep_plant(self, plant: Vpp, letter: Letter) -> None:
        """Store how a virtual power plant stands."""
        await self.repository.store([plant])

    @on(VppPayoff)
    async def keep_payoff(self, payoff: VppPayoff, letter: Letter) -> None:
        """Store how the price of a product was shared."""
        await self.repository.store([payoff])

    @on(Sla)
    async def keep_agreement(self, sla: Sla, letter: Letter) -> Acknowledgement:
        """Store an agreement, and say so."""
        await self.repository.store([sla])
        return Acknowledgement(of=letter.message_id)

    @on(KpiFeature)
    async def keep_indicator(self, feature: KpiFeature, letter: Letter) -> Acknowledgement:
        """Store an indicator of an agreement, and say so."""
        await self.repository.store([feature])
        return Acknowledgement(of=letter.message_id)

    @on(LedgerEntry)
    async def keep_entry(self, entry: LedgerEntry, letter: Letter) -> Acknowledgement:
        """Store who paid whom, and say so; storing it again changes nothing."""
        await self.repository.store([entry])
        return Acknowledgement(of=letter.message_id)

    @on(PseudonymRecord)
    async def keep_pseudonym(self, record: PseudonymRecord, letter: Letter) -> Acknowledgement:
        """Store a line of the link table, and say so; who is behind it stays sealed."""
        await self.repository.store([record])
        return Acknowledgement(of=letter.message_id)

    @on(LemResult)
    async def keep_result(self, result: LemResult, letter: Letter) -> Acknowledgement:
        """Store how a market was cleared, and say so."""
        await self.repository.store([result])
        return Acknowledgement(of=letter.message_id)


class Answering(Behaviour):
    """Answers questions for facts in ascending order of time."""

    def setup(self) -> None:
        """Look facts up in the repository that the agent was handed."""
        self.repository = required_repository(self)

    @on(Query)
    async def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return the facts asked for; none is an answer, too.

        Raises: Refused when the asking role may not read such facts, or asks about others than its site.
        """
        asker = self.agent.surroundings.membership[letter.sender]
        party = Party(asker.role, (*((asker.site,) if asker.site else ()), *asker.assets))
        subjects = query.subjects or ([query.subject] if query.subject else [])
        if not may_ask_about(party, query.entity, subjects):
            of_whom = "of its own only" if may_read(party.role, query.entity) else "not at all"
            raise Refused(f"a {party.role} reads {query.entity} {of_whom}")
        items: list[Concept] = []
        for subject in subjects or [""]:
            items.extend(await self._facts(query, subject))
        if not party.sees_all(query.entity):
            items = [seen for each in items if (seen := as_seen_by(party, each)) is not None]
        return QueryResult(entity=query.entity, items=items)  # type: ignore[arg-type]

    async def _facts(self, query: Query, subject: str) -> list[Concept]:
        if query.latest:
            newest = await self.repository.latest(query.entity, subject)
            return [] if newest is None else [newest]
        return list(await self.repository.query(query.entity, subject, query.start_s, query.end_s))


class WeatherPublishing(Behaviour):
    """Fetches the weather forecast each hour and publishes it.

    While no provider answers the last one is carried on, and flagged; it is in the repository, so it
    survives a restart (D8.1 3.2.6).
    """

    publishes = (WeatherForecast,)

    def setup(self) -> None:
        """Ask the weather service that the agent was handed."""
        weather = self.agent.surroundings.weather
        if weather is None:
            raise TypeError("a repository agent needs a weather service")
        self.weather: WeatherService = weather

    @when("started")
    async def first(self) -> None:
        """Publish as soon as others have had time to subscribe."""
        await self.clock.sleep_until(self.clock.now_s() + 2)
        await self.refresh()

    @every(minutes=60, offset_s=5)
    async def refresh(self) -> None:
        """Fetch, store and publish the forecast."""
        try:
            forecast = await self.weather.forecast("")
        except Unavailable:
            self.agent.counts["weather unavailable"] += 1
            last = await required_repository(self).latest(_WEATHER, "")
            if not isinstance(last, WeatherForecast):
                return
            forecast = carried_on(last, self.now_s())
            if forecast.start_s == last.start_s:  # it would take the place of what was really foreseen
                self.publish(forecast)
                return
        await required_repository(self).store([forecast])
        self.publish(forecast)


def acknowledged(letter: Letter) -> Acknowledgement | None:
    """Return the answer to one who asked for something to be stored, and none to one who only told."""
    is_asked = letter.performative is Performative.REQUEST
    return Acknowledgement(of=letter.message_id) if is_asked else None


def required_repository(behaviour: Behaviour) -> Repository:
    """Return the repository that the agent was handed."""
    repository = behaviour.agent.surroundings.repository
    if repository is None:
        raise TypeError("a repository agent needs a repository")
    return repository
