"""An aggregator outside, as the DSO sees it: it is asked, offers, is ordered from, meters and is paid.

```
DSO:      cfp FlexRequest, accept-proposal FlexOrder, propose FlexSettlement       → outside
outside:  D-Prognosis, FlexOffer, FlexOfferRevocation, Metering                    → DSO, who takes or refuses
```
"""

import msgspec

from behaviours.behaviour import on
from behaviours.decisions.flexibility_market.daily_documents import day_start_s, expanded
from behaviours.decisions.flexibility_market.terms import NOT_CHOSEN
from behaviours.exchange.correspondence import Correspondence
from behaviours.ports import Heard
from ontology.discourse import FailureReport, Refusal
from ontology.flexibility_trading import (
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexSettlement,
    TradeDocument,
)
from ontology.letter import Letter
from ontology.performatives import Performative as Act

__all__ = ["ForeignAggregator"]

changed = msgspec.structs.replace

_REVISION = "revision "
DAY_S = 86_400
OBJECTION_S = 60
"""How long the DSO has to turn an offer down, in seconds: then it counts as taken."""


class ForeignAggregator(Correspondence):
    """Sells to the DSO what an aggregator outside offers."""

    # -- what the DSO says ----------------------------------------------------------------------

    @on(FlexRequest, Act.CFP)
    def call(self, request: FlexRequest, letter: Letter) -> None:
        """Ask outside for offers, under a revision that rises over all requests of the day.

        Raises: Refused when it is not the DSO's, Failed when UFTP cannot say it.
        """
        self.require_inside(letter)
        self.relay(f"call {letter.message_id}", letter, request, lambda: self._numbered(request))

    def _numbered(self, request: FlexRequest) -> FlexRequest:
        day_s = day_start_s(request.period_start_s, self.settings.zone)
        name = f"{_REVISION}{request.congestion_point} {day_s}"
        revision = int(self.agent.kept_bytes(name) or b"0") + 1
        self.keep(name, str(revision).encode())
        for old in self.agent.kept_names(f"{_REVISION}{request.congestion_point} "):
            if int(old.rpartition(" ")[2]) < day_s - 7 * DAY_S:
                self.keep(old, None)
        return changed(request, revision=revision)

    @on(FlexOrder, Act.ACCEPT_PROPOSAL)
    @on(FlexOrder, Act.REQUEST)
    def order(self, order: FlexOrder, letter: Letter) -> None:
        """Order outside, once; what is not answered before its intervals are over has failed.

        Raises: Refused when it is not the DSO's, Failed when it is of an offer that did not come this way.
        """
        self.require_inside(letter)
        offer_id, conversation = self.outside(order.offer_message_id)
        prognosis_id = self.outside(order.prognosis_message_id)[0] if order.prognosis_message_id else ""
        meant = changed(order, offer_message_id=offer_id, prognosis_message_id=prognosis_id)
        thread = self.relay(f"order {order.order_reference}", letter, meant, lambda: meant, conversation)
        if thread.answer is None and self.now_s() > order.period_end_s:
            why = FailureReport(reason="not answered before its intervals were over")
            self.conclude(thread, Act.FAILURE, why)

    @on(FlexReservation)
    def reserve(self, reservation: FlexReservation, letter: Letter) -> None:
        """Tell outside how much stays reserved.

        Raises: Refused when it is not the DSO's.
        """
        self.require_inside(letter)
        self.exchange.say(reservation, message_id=letter.message_id, conversation=letter.conversation)

    @on(FlexSettlement, Act.PROPOSE)
    def settle(self, settlement: FlexSettlement, letter: Letter) -> None:
        """Propose a settlement outside, once.

        Raises: Refused when it is not the DSO's, Failed when UFTP cannot say it.
        """
        self.require_inside(letter)
        self.relay(f"settlement {settlement.reference}", letter, settlement, lambda: settlement)

    @on(Refusal, Act.REJECT_PROPOSAL)
    @on(Refusal, Act.REFUSE)
    def turned_down(self, refusal: Refusal, letter: Letter) -> None:
        """Respond to an offer that the DSO rejects; one that was merely not chosen was in order."""
        made = self._offer_of(letter)
        if made is None or letter.sender != self.settings.inside:
            return
        offer_id, conversation = self.outside(made)
        reasons = [] if refusal.reason == NOT_CHOSEN else refusal.reason.split("; ")
        self.respond_to(offer_id, conversation, TradeDocument.FLEX_OFFER, reasons)

    def _offer_of(self, letter: Letter) -> str | None:
        """Return the letter that made the offer that another letter is about."""
        calls = [
            each.message_id
            for each in self.threads.values()
            if each.act is Act.CFP and each.conversation == letter.conversation
        ]
        made = (letter.in_reply_to, *(f"{each}~{Act.PROPOSE}" for each in calls))
        return next((each for each in made if self.has_told(each)), None)

    # -- what is said outside -------------------------------------------------------------------

    async def handle(self, heard: Heard) -> None:
        """Bring the DSO what the aggregator says."""
        document, said = TradeDocument, heard.content
        match said:
            case FlexOffer():
                await self._propose(heard, said)
            case DPrognosis():
                told = expanded(said)
                await self.bring_and_respond(
                    heard, document.D_PROGNOSIS, told, Act.REQUEST, said.period_end_s
                )
            case FlexMetering():
                metered, by_s = expanded(said), self.now_s() + DAY_S
                await self.bring_and_respond(heard, document.METERING, metered, Act.REQUEST, by_s)
            case FlexOfferRevocation():
                revoked = changed(said, offer_message_id=self.inside(said.offer_message_id))
                kind, by_s = document.FLEX_OFFER_REVOCATION, self.now_s() + DAY_S
                await self.bring_and_respond(heard, kind, revoked, Act.CANCEL, by_s)
            case _:
                self.answered(heard)

    async def _propose(self, heard: Heard, offer: FlexOffer) -> None:
        """Propose what was offered where it was asked for; what nobody waits for the DSO declines."""
        if self.has_told(heard.message_id):
            return
        offer = changed(offer, prognosis_message_id=self.inside(offer.prognosis_message_id))
        call = self.thread_of(heard.in_reply_to)
        if offer.unsolicited or call is None or call.act is not Act.CFP or call.answer is not None:
            kind, by_s = TradeDocument.FLEX_OFFER, offer.expiration_s
            await self.bring_and_respond(heard, kind, offer, Act.PROPOSE, by_s)
            return
        self.know(heard, f"{call.message_id}~{Act.PROPOSE}")
        self.conclude(call, Act.PROPOSE, offer)
        self.agent.counts["offers brought"] += 1
        self.agent.spawn(self._take_unless_rejected(heard))

    async def _take_unless_rejected(self, heard: Heard) -> None:
        """Respond that an offer is in order, when the DSO has had the time to say that it is not."""
        await self.clock.sleep_until(self.clock.now_s() + OBJECTION_S)
        self.respond(heard, TradeDocument.FLEX_OFFER)
