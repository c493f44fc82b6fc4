"""A DSO outside, as the aggregator sees it: it is told prognoses, asks, orders, and settles what was metered.

```
aggregator: DPrognosis, FlexOfferRevocation, FlexMetering                       → outside, a document a day
outside:    FlexRequest, FlexOrder, FlexReservationUpdate, FlexSettlement       → aggregator, who answers
```
"""

from typing import NamedTuple

import msgspec

from behaviours.behaviour import on, when
from behaviours.decisions.flexibility_market.daily_documents import (
    DayRecord,
    day_end_s,
    day_start_s,
    days_of,
    expanded,
    metering_of_day,
    narrowed,
    noted,
    prognosis_of_day,
)
from behaviours.exchange.correspondence import Correspondence
from behaviours.ports import Heard
from ontology.base import INTERVAL_S, Concept
from ontology.codec import decode_body, encode_body, message_type_of
from ontology.discourse import Query, QueryResult, Refusal
from ontology.errors import ParityError
from ontology.flexibility_trading import (
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexSettlement,
    FlexSettlementResponse,
    OrderStatus,
    OrderVerdict,
    TradeDocument,
)
from ontology.letter import Letter
from ontology.performatives import Performative as Act

__all__ = ["ForeignOperator"]

changed = msgspec.structs.replace

_ASKED, _OFFERED, _DAY = "asked ", "offered ", "day "
_PROGNOSIS = message_type_of(DPrognosis)
DAY_S = 86_400
OFFER_WITHIN_S = 300.0
"""How long the aggregator has to make an offer: it asks its members first."""


class _Asked(msgspec.Struct):
    """A request from outside that has not been answered yet."""

    message_id: str
    conversation: str
    body: bytes


class _Offered(msgspec.Struct, frozen=True):
    """What an order is held to that UFTP does not say: the offer's baseline, and the hours asked about."""

    baseline_reference: str
    start_s: int
    end_s: int


class _Call(NamedTuple):
    """A conversation in which the aggregator was called and has proposed."""

    conversation: str
    offer_id: str


class ForeignOperator(Correspondence):
    """Buys from the aggregator what a DSO outside orders."""

    def setup(self) -> None:
        """Recall what was told of days before a restart; conversations of calls end with it."""
        super().setup()
        self._calls: dict[str, _Call] = {}

    # -- what the aggregator says ---------------------------------------------------------------

    @on(DPrognosis, Act.INFORM)
    def foresee(self, prognosis: DPrognosis, letter: Letter) -> None:
        """Tell outside what is foreseen of each day that a prognosis reaches, as the day's next revision.

        Raises: Refused when it is not the aggregator's.
        """
        self.require_inside(letter)
        self._foresee(prognosis, letter.message_id)

    def _foresee(self, prognosis: DPrognosis, letter_id: str) -> None:
        power_w = {each.start_s: each.power_w for each in expanded(prognosis).intervals}
        for day_s, told_w in days_of(power_w, self.settings.zone).items():
            record = self._noted("prognosis", prognosis.congestion_point, day_s, told_w)
            self.exchange.say(
                prognosis_of_day(record, prognosis.congestion_point),
                message_id=_daily(letter_id, day_s),
                conversation=f"prognoses of {prognosis.congestion_point}",
            )

    @on(FlexOfferRevocation, Act.CANCEL)
    def revoke(self, revocation: FlexOfferRevocation, letter: Letter) -> None:
        """Take an offer back outside, once.

        Raises: Refused when it is not the aggregator's.
        """
        self.require_inside(letter)
        self.relay(f"revocation {revocation.offer_message_id}", letter, revocation, lambda: revocation)

    @on(FlexMetering, Act.REQUEST)
    def meter(self, metering: FlexMetering, letter: Letter) -> None:
        """Tell outside what was metered, with all that was metered of the day before; the same only once.

        Raises: Refused when it is not the aggregator's, Failed when UFTP cannot say it.
        """
        self.require_inside(letter)
        point, start_s, end_s = metering.congestion_point, metering.period_start_s, metering.period_end_s
        key = f"metering {point} {start_s} {end_s}"
        self.relay(key, letter, changed(metering, revision=0), lambda: self._metered(metering))

    def _metered(self, metering: FlexMetering) -> FlexMetering:
        actual_w = {each.start_s: each.actual_w for each in expanded(metering).intervals}
        day_s = day_start_s(metering.period_start_s, self.settings.zone)
        record = self._noted("metering", metering.congestion_point, day_s, actual_w)
        return metering_of_day(record, metering.congestion_point)

    def _noted(self, kind: str, point: str, day_s: int, power_w: dict[int, int]) -> DayRecord:
        """Add to what is known of a day, and forget the days a week before."""
        name = f"{_DAY}{kind} {point} "
        kept = self.agent.kept_bytes(f"{name}{day_s}")
        zone = self.settings.zone
        record = (
            msgspec.json.decode(kept, type=DayRecord) if kept else DayRecord(day_s, day_end_s(day_s, zone))
        )
        record = noted(record, power_w)
        self.keep(f"{name}{day_s}", msgspec.json.encode(record))
        for old in self.agent.kept_names(name):
            if int(old.rpartition(" ")[2]) < day_s - 7 * DAY_S:
                self.keep(old, None)
        return record

    # -- what is said outside -------------------------------------------------------------------

    async def handle(self, heard: Heard) -> None:
        """Bring the aggregator what the DSO says."""
        said = heard.content
        match said:
            case FlexRequest():
                self._note_request(heard, said)
            case FlexOrder():
                await self._order(heard, said)
            case FlexReservation():
                kind, by_s = TradeDocument.FLEX_RESERVATION, said.period_end_s
                await self.bring_and_respond(heard, kind, expanded(said), Act.REQUEST, by_s)
            case FlexSettlement():
                await self._settle(heard, expanded(said))
            case Refusal() if heard.act is Act.REJECT_PROPOSAL:
                self._turn_down(heard.in_reply_to, said)
            case _:
                self.answered(heard)

    def _note_request(self, heard: Heard, request: FlexRequest) -> None:
        """Write a request down, and have it answered while others are dealt with."""
        if self.agent.kept_bytes(_ASKED + heard.message_id):
            return
        asked = _Asked(heard.message_id, heard.conversation, encode_body(request))
        self.keep(_ASKED + heard.message_id, msgspec.json.encode(asked))
        self.agent.spawn(self._call(heard, request))

    @when("started")
    def call_again(self) -> None:
        """Ask the aggregator what was not answered before a restart."""
        for name in self.agent.kept_names(_ASKED):
            asked = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=_Asked)
            request = decode_body(message_type_of(FlexRequest), asked.body)
            assert isinstance(request, FlexRequest)
            heard = Heard(Act.CFP, request, asked.message_id, asked.conversation, "")
            self.agent.spawn(self._call(heard, request))

    async def _call(self, heard: Heard, request: FlexRequest) -> None:
        """Call for the aggregator's proposal, and offer it outside or say why there is none."""
        conversation = self.agent.post.new_conversation()
        asked = expanded(request)
        try:
            letter = await self.bring(
                asked, Act.CFP, request.expiration_s, conversation=conversation, within_s=OFFER_WITHIN_S
            )
        except ParityError as error:
            self.respond(heard, TradeDocument.FLEX_REQUEST, self.told(error))
        else:
            if isinstance(letter.content, FlexOffer):
                await self._offer(heard, asked, letter, letter.content)
        self.tell(self.settings.repository, narrowed(asked))
        self.keep(_ASKED + heard.message_id, None)

    async def _offer(self, heard: Heard, request: FlexRequest, letter: Letter, offer: FlexOffer) -> None:
        """Offer outside what the aggregator proposes; a baseline that is a prognosis has no name there."""
        period = narrowed(request)
        offered = _Offered(offer.baseline_reference, period.period_start_s, period.period_end_s)
        self.keep(_OFFERED + letter.message_id, msgspec.json.encode(offered))
        self._calls[letter.message_id] = _Call(letter.conversation, letter.message_id)
        self.agent.commit()
        if not await self._is_foreseen(offer):
            lost = Refusal(reason="the prognosis that the offer names was lost on the way")
            self._turn_down(letter.message_id, lost)
            self.respond(heard, TradeDocument.FLEX_REQUEST, [lost.reason])
            return
        prognosis_id = self._prognosis_of(offer)
        document = changed(
            offer,
            request_message_id=heard.message_id,
            prognosis_message_id=prognosis_id,
            baseline_reference="" if prognosis_id else offer.baseline_reference,
        )
        self.exchange.say(document, message_id=letter.message_id, conversation=heard.conversation)
        self.agent.counts["offers brought"] += 1

    def _prognosis_of(self, offer: FlexOffer) -> str:
        """Return what is called outside the part of an offer's prognosis that is about its day."""
        day_s = day_start_s(offer.period_start_s, self.settings.zone)
        return _daily(offer.prognosis_message_id, day_s) if offer.prognosis_message_id else ""

    async def _is_foreseen(self, offer: FlexOffer) -> bool:
        """Tell whether an offer's prognosis has been told outside; one that was missed is told now."""
        prognosis_id = self._prognosis_of(offer)
        if not prognosis_id or self.exchange.has_said(prognosis_id):
            return True
        query = Query(entity=_PROGNOSIS, subject=offer.congestion_point, latest=True)
        try:
            found = await self.ask(self.settings.repository, query, QueryResult, act=Act.QUERY_REF)
        except ParityError:
            return False
        wanted = {part.start_s for option in offer.options for part in option.intervals}
        for each in found.items:
            if isinstance(each, DPrognosis) and wanted <= {part.start_s for part in each.intervals}:
                self._foresee(each, offer.prognosis_message_id)
        return self.exchange.has_said(prognosis_id)

    async def _order(self, heard: Heard, order: FlexOrder) -> None:
        """Order of the aggregator, in the conversation of its proposal where it has survived."""
        kept = self.agent.kept_bytes(_OFFERED + order.offer_message_id)
        offered = msgspec.json.decode(kept, type=_Offered) if kept else None
        order = changed(
            expanded(order),
            order_reference=self._reference(order.order_reference),
            prognosis_message_id=order.prognosis_message_id.rpartition("/")[0],
            baseline_reference=order.baseline_reference or (offered.baseline_reference if offered else ""),
        )
        call = self._calls.pop(order.offer_message_id, None)
        act = Act.ACCEPT_PROPOSAL if call else Act.REQUEST
        by_s = min(each.start_s for each in order.intervals) if order.intervals else 0
        try:
            await self.bring(order, act, by_s, conversation=call.conversation if call else "")
        except ParityError as error:
            self.respond(heard, TradeDocument.FLEX_ORDER, self.told(error))
            return
        self.respond(heard, TradeDocument.FLEX_ORDER)
        self.agent.counts["orders brought"] += 1
        if offered is not None:
            self.tell(
                self.settings.repository,
                changed(order, period_start_s=offered.start_s, period_end_s=offered.end_s),
            )

    def _turn_down(self, offer_id: str, refusal: Refusal) -> None:
        """Tell the aggregator that its offer is rejected outside."""
        call = self._calls.pop(offer_id, None)
        self.agent.counts["offers rejected outside"] += 1
        if call is not None:
            self.agent.post.send(
                self.settings.inside, refusal, Act.REJECT_PROPOSAL, conversation=call.conversation
            )

    async def _settle(self, heard: Heard, settlement: FlexSettlement) -> None:
        """Have the aggregator judge a settlement, and say its verdicts outside."""
        told = [changed(o, order_reference=self._reference(o.order_reference)) for o in settlement.orders]
        settlement = changed(settlement, orders=told)
        try:
            letter = await self.bring(settlement, Act.PROPOSE, self.now_s() + DAY_S)
            answer: Concept = letter.content
        except ParityError as error:
            answer = _disputed(settlement, "; ".join(self.told(error)))
        if not isinstance(answer, FlexSettlementResponse):
            return
        verdict = changed(answer, settlement_message_id=heard.message_id, orders=self._outward(answer.orders))
        said_as = f"verdict on {heard.message_id}"
        if not self.exchange.has_said(said_as):
            self.exchange.say(
                verdict, message_id=said_as, conversation=heard.conversation, in_reply_to=heard.message_id
            )
        self._record(settlement, answer)

    def _reference(self, reference: str) -> str:
        """Return what an order is called inside: two DSOs may call theirs the same."""
        return f"{reference}@{self.settings.domain}"

    def _outward(self, statuses: list[OrderStatus]) -> list[OrderStatus]:
        """Return verdicts on orders by their names outside."""
        ending = f"@{self.settings.domain}"
        return [changed(each, order_reference=each.order_reference.removesuffix(ending)) for each in statuses]

    def _record(self, settlement: FlexSettlement, verdict: FlexSettlementResponse) -> None:
        """Have each order's settlement that was accepted written down."""
        accepted = {each.order_reference for each in verdict.orders if each.verdict is OrderVerdict.ACCEPTED}
        for each in settlement.orders:
            if each.order_reference in accepted and each.intervals:
                single = changed(
                    settlement,
                    reference=each.order_reference,
                    period_start_s=each.intervals[0].start_s,
                    period_end_s=each.intervals[-1].start_s + INTERVAL_S,
                    orders=[each],
                )
                self.tell(self.settings.repository, single)


def _daily(message_id: str, day_s: int) -> str:
    """Return what the part of a prognosis that is about a day is called."""
    return f"{message_id}/{day_s}"


def _disputed(settlement: FlexSettlement, reason: str) -> FlexSettlementResponse:
    """Return that every order of a settlement is disputed for one reason."""
    orders = [
        OrderStatus(order_reference=each.order_reference, verdict=OrderVerdict.DISPUTED, reason=reason)
        for each in settlement.orders
    ]
    return FlexSettlementResponse(settlement_message_id="-", orders=orders)
