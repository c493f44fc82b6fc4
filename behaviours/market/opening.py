"""Opening the local market of each coming interval under the traffic light (D8.1 3.8, SPEC 2.3)."""

from collections.abc import Mapping

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.decisions.flexibility_market.terms import FlexibilityTerms
from behaviours.market.agreements import Agreement
from behaviours.market.payments import PayerSettings
from behaviours.vpp.portfolio import PlannedProduct
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError
from ontology.grid import GridState, GridStatusEvent
from ontology.letter import Letter
from ontology.market import (
    GREEN_PARAMETERS,
    YELLOW_PARAMETERS,
    ExternalProduct,
    Lem,
    LemParameters,
    LemState,
    PriceProfile,
)
from ontology.performatives import Performative

__all__ = ["AggregatorSettings", "LemOpening", "PortfolioMember", "PriceRelaying", "TrafficLightObedience"]

_PARAMETERS = message_type_of(LemParameters)


class PortfolioMember(msgspec.Struct, frozen=True, kw_only=True):
    """A site that the aggregator acts for."""

    site: str
    segment_id: str
    prosumer: str


class AggregatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the aggregator works with, and for."""

    market_engine: str
    market_operator: str
    dso: str
    repository: str
    external_markets: str
    segments: tuple[str, ...]
    portfolio: tuple[PortfolioMember, ...]
    directory: str = ""
    products: tuple[PlannedProduct, ...] = ()
    plants_for: tuple[str, ...] = ()
    """Demand for which plants are formed: `external` sales, `demand-response` signals."""
    agreements: tuple[Agreement, ...] = ()
    contracts: tuple[BilateralContract, ...] = ()
    """With the DSO, for emergencies; none: its limits are served all the same."""
    external_products: tuple[ExternalProduct, ...] = ()
    """What is sold outside the community."""
    external_scale: float = 0.001
    """Which part of the markets' minimum bids a bid must come to."""
    payer: PayerSettings | None = None
    heeds_consent: bool = False
    """Whether members' flexibility counts only as long as the repository tells that they agree."""
    real_time_s: int = 0
    """How often sites read their devices within an interval, in s (0: not): then plants are corrected."""
    flexibility: FlexibilityTerms | None = None
    """Of the explicit flexibility market, where there is one."""
    buyers: Mapping[str, str] = {}
    """Who buys flexibility at a segment, where it is not the DSO."""


class TrafficLightObedience(Behaviour):
    """Knows the state of each segment; what the DSO does not say is green, and flagged."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Recall the states announced before a restart."""
        self._states: dict[tuple[str, int], GridState] = {}
        self._missed: set[tuple[str, int]] = set()
        self.ever_told = False
        """Whether the time has come for the DSO to have spoken: before, no state is missing."""
        for name in self.agent.kept_names("grid state "):
            event = self.kept(name, GridStatusEvent)
            if event is not None:
                self._states[event.segment_id, event.start_s] = event.state

    @when("started")
    def subscribe_to_states(self) -> None:
        """Ask the DSO for its traffic light."""
        self.subscribe(self.settings.dso, GridStatusEvent)

    @on(GridStatusEvent)
    def take(self, event: GridStatusEvent, letter: Letter) -> None:
        """Note the state of a segment in an interval."""
        self._states[event.segment_id, event.start_s] = event.state
        self.keep(f"grid state {event.segment_id} {event.start_s % 86_400}", event)

    def state(self, segment_id: str, start_s: int) -> GridState:
        """Return the state of a segment in an interval; green where the DSO has said nothing."""
        state = self._states.get((segment_id, start_s))
        if state is None:
            if self.ever_told and (segment_id, start_s) not in self._missed:
                self._missed.add((segment_id, start_s))
                self.agent.counts["grid states missing"] += 1
            return GridState.GREEN
        return state

    def known(self, segment_id: str, start_s: int) -> GridState | None:
        """Return the state of a segment in an interval, if the DSO has said it yet."""
        return self._states.get((segment_id, start_s))

    def worst(self, start_s: int) -> GridState:
        """Return the gravest state known of any segment in an interval."""
        known = (self._states.get((segment, start_s)) for segment in self.settings.segments)
        states = [state for state in known if state is not None]
        return max(states, key=lambda state: state.severity, default=GridState.GREEN)


class LemOpening(Behaviour):
    """Opens a market for every segment and interval, and announces it until the engine has it."""

    settings: AggregatorSettings
    publishes = (Lem,)

    def setup(self) -> None:
        """Recall up to which interval markets have been opened."""
        last = self.kept("newest lem", Lem)
        self._opened_to_s = last.end_s if last else 0

    @when("started")
    async def open_now(self) -> None:
        """Open the running interval's market; after a restart, those of the intervals missed."""
        await self._open_up_to(self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S)

    @on(GridStatusEvent)
    async def void(self, event: GridStatusEvent, letter: Letter) -> None:
        """Void a market that is open already when its interval turns RED while it runs (SPEC 2.1)."""
        if letter.sender != self.settings.dso or event.state is not GridState.RED:
            return
        if self.now_s() < event.end_s <= self._opened_to_s and event.segment_id in self.settings.segments:
            self._open_segment(event.segment_id, event.start_s, await self._parameters(GridState.RED))
            self.agent.counts["markets voided"] += 1
            await self.announce_again()

    @every(minutes=15, offset_s=620)
    async def open_next(self) -> None:
        """Open the next interval's market."""
        self.sibling(TrafficLightObedience).ever_told = True
        await self._open_up_to(self.now_s() // INTERVAL_S * INTERVAL_S + 2 * INTERVAL_S)

    @every(minutes=5, offset_s=30)
    async def announce_again(self) -> None:
        """Announce once more what the engine has not acknowledged."""
        for name in self.agent.kept_names("lem "):
            await self._announce(name)

    async def _open_up_to(self, end_s: int) -> None:
        """Open every market not yet opened that begins before a time."""
        start_s = self._opened_to_s or end_s - INTERVAL_S
        while start_s < end_s:
            await self._open(start_s)
            start_s += INTERVAL_S
        await self.announce_again()

    async def _open(self, start_s: int) -> None:
        tariffs: dict[GridState, LemParameters] = {}
        for segment_id in self.settings.segments:
            state = self.sibling(TrafficLightObedience).state(segment_id, start_s)
            if state not in tariffs:
                tariffs[state] = await self._parameters(state)
            lem = self._open_segment(segment_id, start_s, tariffs[state])
            self.keep("newest lem", lem)
            self._opened_to_s = start_s + INTERVAL_S

    def _open_segment(self, segment_id: str, start_s: int, tariff: LemParameters) -> Lem:
        """Open a segment's market under the tariff of its state, to be announced until the engine has it."""
        state = self.sibling(TrafficLightObedience).state(segment_id, start_s)
        lem = Lem(
            start_s=start_s,
            end_s=start_s + INTERVAL_S,
            segment_id=segment_id,
            aggregator=self.agent.address,
            state=LemState.ACTIVE if state is not GridState.RED else LemState.VOID,
            grid_state=state,
            parameters=tariff,
            players=[],
        )
        self.keep(f"lem {start_s} {segment_id}", lem)
        self.publish(lem, segment_id)
        return lem

    async def _announce(self, name: str) -> None:
        """Bring a market to the engine; one that is not acknowledged is announced again next time."""
        lem = self.kept(name, Lem)
        if lem is None:
            return
        try:
            await self.ask(self.settings.market_engine, lem, Acknowledgement)
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
        else:
            self.keep(name, None)

    async def _parameters(self, state: GridState) -> LemParameters:
        """Ask the market operator for the tariff of a state; without an answer its last one holds."""
        query = Query(entity=_PARAMETERS, subject=state.value, latest=True)
        try:
            result = await self.ask(
                self.settings.market_operator, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["tariffs missing"] += 1
            default = YELLOW_PARAMETERS if state is GridState.YELLOW else GREEN_PARAMETERS
            kept = self.kept(f"tariff {state}", LemParameters)
            return kept or msgspec.structs.replace(default, case=state)
        tariff = next((item for item in result.items if isinstance(item, LemParameters)), GREEN_PARAMETERS)
        if tariff != self.kept(f"tariff {state}", LemParameters):
            self.keep(f"tariff {state}", tariff)
        return tariff


class PriceRelaying(Behaviour):
    """Passes the prices ahead on to the prosumers of the segment that they are for."""

    settings: AggregatorSettings
    publishes = (PriceProfile,)

    @on(PriceProfile)
    def relay(self, profile: PriceProfile, letter: Letter) -> None:
        """Publish a price profile of the market engine."""
        if letter.sender == self.settings.market_engine:
            self.publish(profile, profile.basis)
