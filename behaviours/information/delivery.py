"""The oracle's work: carry measurements and forecasts to the ledger's side, under pseudonyms (D8.1 3.4)."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.correction import CORRECTION_S, is_too_old
from behaviours.decisions.pseudonyms import EpochKeys
from behaviours.site.contacts import SiteContacts
from ontology.base import INTERVAL_S, INTERVALS_A_DAY, Concept
from ontology.codec import encode_body, message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.forecasts import Forecast, ForecastKind
from ontology.grid import GridConstraint, GridStatusEvent
from ontology.letter import Letter
from ontology.market import LemDataset, LemOrder
from ontology.measurements import IntervalReading, Quality
from ontology.performatives import Performative

__all__ = ["AggregateDelivery", "DatasetDelivery", "GridStateDelivery", "OracleSettings", "player_of"]

_READING = message_type_of(IntervalReading)
_FORECAST = message_type_of(Forecast)

_ORDER, _UNDELIVERED, _EXPECTED = "order ", "undelivered ", "expected"
_GRID, _HEARD = "said ", "heard "
CATCH_UP_S = 86_400
"""What the DSO said longer ago is not asked for any more: a day of states fits one letter."""
READINGS_A_LETTER = 96

C = TypeVar("C", bound=Concept)
FORECASTS_A_LETTER = 24
FORECAST_AGE_S = 3_600
"""Forecasts that began longer ago are not delivered any more."""


class OracleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose measurements an oracle carries, and how it hides who that is."""

    subject: str
    contacts: SiteContacts
    pseudonym_keys: EpochKeys
    subject_key: bytes = b""
    """Under which the link table names the subject; without it there is no line of it."""
    members: tuple[str, ...] = ()
    has_agreements: bool = False


class DatasetDelivery(Behaviour):
    """Fetches the interval's reading and a new forecast, if any, and hands them on pseudonymised.

    What cannot be read or handed on is tried again for as long as a settlement can be corrected.
    """

    settings: OracleSettings

    def setup(self) -> None:
        """Recall what was ordered; nothing has been delivered yet."""
        self._forecast_from_s = 0
        self._orders: dict[int, LemOrder] = {}
        for name in self.agent.kept_names(_ORDER):
            order = self.kept(name, LemOrder)
            if order is not None:
                self._orders[order.start_s] = order

    @on(LemOrder)
    def note_order(self, order: LemOrder, letter: Letter) -> None:
        """Keep what the site would pay and ask, sealed until the interval is metered; the first word stands.

        Raises: Refused when it is not the site's own prosumer that orders, or the interval is over.
        """
        if letter.sender != self.settings.contacts.prosumer:
            raise Refused("only the site's own prosumer orders for it")
        if order.start_s + INTERVAL_S > self.now_s():
            self._orders.setdefault(order.start_s, order)
            self.keep(f"{_ORDER}{order.start_s}", self._orders[order.start_s])

    @every(minutes=15, offset_s=30)
    async def deliver(self) -> None:
        """Deliver the interval that has just ended, and then what could not be delivered before."""
        ended_s = self.now_s() // INTERVAL_S * INTERVAL_S - INTERVAL_S
        self._expect(ended_s)
        if not self._undelivered():
            return
        readings = await self._readings(ended_s, ended_s)
        if readings and not await self._deliver(readings, await self._new_forecast()):
            return
        late = [start_s for start_s in self._due() if start_s != ended_s]
        if late:
            await self._deliver(await self._readings(late[0], late[-1]))

    def _expect(self, ended_s: int) -> None:
        """Note the intervals up to one that have to be delivered, those passed over while dead included.

        What was before this oracle was there for the first time is not for it to deliver.
        """
        known_s = int(self.agent.kept_bytes(_EXPECTED) or ended_s)
        oldest_s = ended_s - CORRECTION_S
        for start_s in range(max(known_s + INTERVAL_S, oldest_s), ended_s + 1, INTERVAL_S):
            self.keep(f"{_UNDELIVERED}{start_s}", b"")
        self.keep(_EXPECTED, str(max(known_s, ended_s)).encode())
        for start_s in [each for each in self._undelivered() if is_too_old(each, self.now_s())]:
            self._let_go(start_s)
            self.agent.counts["readings given up"] += 1

    def _undelivered(self) -> list[int]:
        return sorted(int(name.removeprefix(_UNDELIVERED)) for name in self.agent.kept_names(_UNDELIVERED))

    def _due(self) -> list[int]:
        """Return the oldest intervals that have not been delivered, as many as a letter has readings of."""
        undelivered = self._undelivered()
        return [each for each in undelivered if each < undelivered[0] + READINGS_A_LETTER * INTERVAL_S]

    async def _readings(self, first_s: int, last_s: int) -> list[IntervalReading]:
        """Return what is known of undelivered intervals from one to another."""
        subject = self.settings.subject
        found = await self._ask(
            Query(entity=_READING, subject=subject, start_s=first_s, end_s=last_s + INTERVAL_S)
        )
        wanted = set(self._undelivered())
        readings = [each for each in found if isinstance(each, IntervalReading) and each.start_s in wanted]
        self.agent.counts["readings missing"] += not readings
        return readings

    async def _deliver(self, readings: Sequence[IntervalReading], forecast: Forecast | None = None) -> bool:
        """Deliver readings, the first with a forecast, until one is not taken; tell whether all were."""
        for reading in readings:
            order = self._anonymous(self._orders.get(reading.start_s))
            player = player_of(self.settings, reading.start_s)
            dataset = anonymous_dataset(player, reading, forecast, order)
            try:
                await self.ask(self.settings.contacts.blockchain, dataset, Acknowledgement)
            except ParityError:
                self.agent.counts["not acknowledged"] += 1
                return False
            self._let_go(reading.start_s)
            forecast = None
        return True

    def _let_go(self, start_s: int) -> None:
        """Forget an interval that was delivered, with what was ordered for it."""
        self.keep(f"{_UNDELIVERED}{start_s}", None)
        if self._orders.pop(start_s, None) is not None:
            self.keep(f"{_ORDER}{start_s}", None)

    def _anonymous(self, order: LemOrder | None) -> LemOrder | None:
        """Return an order with its partners' pseudonyms instead of their names."""
        if order is None or not order.partners:
            return order
        keys = self.settings.pseudonym_keys
        partners = [keys.pseudonym_of(each, order.start_s) for each in order.partners]
        return msgspec.structs.replace(order, partners=partners)

    async def _new_forecast(self) -> Forecast | None:
        """Return the newest forecast that has not been delivered yet, if there is one."""
        now_s = self.now_s()
        query = Query(
            entity=_FORECAST,
            subject=self.settings.subject,
            start_s=max(self._forecast_from_s, now_s - FORECAST_AGE_S),
            end_s=now_s + 1,
        )
        found = [item for item in await self._ask(query) if isinstance(item, Forecast)]
        if not found:
            return None
        self._forecast_from_s = found[-1].start_s + 1
        return found[-1]

    async def _ask(self, query: Query) -> Sequence[object]:
        """Ask the repository; one that does not answer knows nothing."""
        try:
            result = await self.ask(
                self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return ()
        return result.items


class AggregateDelivery(Behaviour):
    """Delivers the sums of a portfolio's readings and forecasts, each interval (D8.1 4.1.1, SPEC 4.9)."""

    settings: OracleSettings

    @every(minutes=15, offset_s=40)
    async def deliver(self) -> None:
        """Sum up what the portfolio drew in the interval that has just ended, and what it expects."""
        now_s = self.now_s() // INTERVAL_S * INTERVAL_S
        start_s = now_s - INTERVAL_S
        readings: list[IntervalReading] = []
        forecasts: list[Forecast] = []
        try:
            for group in grouped(self.settings.members):
                metered = Query(entity=_READING, subjects=list(group), start_s=start_s, end_s=now_s)
                readings += await self._asked(metered, IntervalReading)
            for group in grouped(self.settings.members, FORECASTS_A_LETTER):
                newest = Query(entity=_FORECAST, subjects=list(group), latest=True)
                forecasts += await self._asked(newest, Forecast)
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
        blockchain, player = self.settings.contacts.blockchain, player_of(self.settings, start_s)
        if len(readings) == len(self.settings.members):
            self.tell(blockchain, aggregate_reading(player, start_s, readings))
        elif readings:
            partial = aggregate_reading(player, start_s, readings)
            self.tell(blockchain, msgspec.structs.replace(partial, quality=Quality.ESTIMATED))
        if forecasts:
            self.tell(blockchain, aggregate_forecast(player, now_s, forecasts))

    async def _asked(self, query: Query, kind: type[C]) -> list[C]:
        result = await self.ask(
            self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
        )
        return [item for item in result.items if isinstance(item, kind)]


class GridStateDelivery(Behaviour):
    """Hands the DSO's grid states and constraints on to its blockchain agent, each until it is there.

    What the DSO said while the oracle was away it has from the repository (D8.1 3.9.3).
    """

    settings: OracleSettings

    @when("started")
    async def begin(self) -> None:
        """Ask the DSO for its traffic light and constraints, and the repository for those missed."""
        for concept in (GridStatusEvent, GridConstraint):
            self.subscribe(self.settings.contacts.dso, concept)
        for name in self.agent.kept_names(_HEARD):
            await self._catch_up(name.removeprefix(_HEARD), int(self.agent.kept_bytes(name) or 0))
        await self.deliver_again()

    @on(GridStatusEvent)
    @on(GridConstraint)
    async def hand_on(self, said: GridStatusEvent | GridConstraint, letter: Letter) -> None:
        """Pass a grid state or constraint on as it is; it names nobody."""
        if letter.sender == self.settings.contacts.dso:
            await self._deliver(self._noted(said))

    @every(minutes=5, offset_s=10)
    async def deliver_again(self) -> None:
        """Deliver what was not acknowledged, oldest first, until one fails again."""
        for name in self.agent.kept_names(_GRID):
            if not await self._deliver(name):
                return

    def _noted(self, said: GridStatusEvent | GridConstraint) -> str:
        """Keep what is to be delivered, and return under which name."""
        name = f"{_GRID}{said.start_s} {message_type_of(type(said))} {said.segment_id}"
        self.keep(name, said)
        if isinstance(said, GridStatusEvent):
            self.keep(_HEARD + said.segment_id, str(said.start_s).encode())
        return name

    async def _deliver(self, name: str) -> bool:
        """Deliver what is kept under a name, and tell whether it is there; then it is kept no longer."""
        kind = GridStatusEvent if message_type_of(GridStatusEvent) in name else GridConstraint
        said = self.kept(name, kind)
        if said is None:
            return True
        try:
            await self.ask(self.settings.contacts.blockchain, said, Acknowledgement)
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
            return False
        self.keep(name, None)
        return True

    async def _catch_up(self, segment_id: str, heard_s: int) -> None:
        """Note what the DSO has said of a segment since a state that was heard."""
        missed = Query(
            entity=message_type_of(GridStatusEvent),
            subject=segment_id,
            start_s=max(heard_s, self.now_s() - CATCH_UP_S),
            end_s=self.now_s() + 2 * INTERVAL_S,
        )
        newest = Query(entity=message_type_of(GridConstraint), subject=segment_id, latest=True)
        for query in (missed, newest):
            try:
                result = await self.ask(
                    self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
                )
            except ParityError:
                self.agent.counts["repository unavailable"] += 1
                return
            for item in result.items:
                if isinstance(item, GridStatusEvent | GridConstraint):
                    self._noted(item)


def player_of(settings: OracleSettings, time_s: float) -> str:
    """Return the pseudonym of whom an oracle works for at a time: the one place where a name becomes one.

    Source: SPEC 7.2.
    """
    return settings.pseudonym_keys.pseudonym_of(settings.subject, time_s)


def anonymous_dataset(
    player: str, reading: IntervalReading, forecast: Forecast | None, order: LemOrder | None = None
) -> LemDataset:
    """Return the dataset of a player: reading and forecast without the site's identity.

    The hash of what the oracle read lets an auditor check it against the repository.
    """
    net_w = forecast.power_w if forecast else []
    return LemDataset(
        player=player,
        start_s=reading.start_s,
        reading=msgspec.structs.replace(reading, subject=player),
        forecast_start_s=forecast.start_s if forecast else reading.start_s + INTERVAL_S,
        consumption_w=[w if w > 0 else 0 for w in net_w],
        production_w=[-w if w < 0 else 0 for w in net_w],
        source_hash=hashlib.sha256(encode_body(reading)).hexdigest(),
        buy_limit_ticks_per_kwh=order.buy_limit_ticks_per_kwh if order else None,
        sell_limit_ticks_per_kwh=order.sell_limit_ticks_per_kwh if order else None,
        partners=order.partners if order else [],
    )


def aggregate_reading(player: str, start_s: int, readings: Sequence[IntervalReading]) -> IntervalReading:
    """Return the sum of readings of one interval under a pseudonym."""
    return IntervalReading(
        subject=player,
        start_s=start_s,
        consumed_wh=sum(r.consumed_wh for r in readings),
        produced_wh=sum(r.produced_wh for r in readings),
        consumed_w=sum(r.consumed_w for r in readings),
        produced_w=sum(r.produced_w for r in readings),
    )


def aggregate_forecast(player: str, start_s: int, forecasts: Sequence[Forecast]) -> Forecast:
    """Return what a portfolio expects to draw in the day from a time, under a pseudonym.

    A forecast that began earlier holds on at its end.
    """
    total_w = [0] * INTERVALS_A_DAY
    for forecast in forecasts:
        first = min(max(0, (start_s - forecast.start_s) // forecast.step_s), len(forecast.power_w) - 1)
        ahead = forecast.power_w[first : first + INTERVALS_A_DAY]
        ahead += ahead[-1:] * (INTERVALS_A_DAY - len(ahead))
        total_w = [total + w for total, w in zip(total_w, ahead, strict=True)]
    return Forecast(
        subject=player, kind=ForecastKind.NET, issued_at_s=start_s, start_s=start_s, power_w=total_w
    )


def grouped(members: Sequence[str], size: int = 100) -> list[Sequence[str]]:
    """Cut a list into groups whose answers fit one letter."""
    return [members[i : i + size] for i in range(0, len(members), size)]
