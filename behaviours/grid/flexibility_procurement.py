"""The DSO's smart marketplace: it buys flexibility where congestion is foreseen (SPEC 2.5, 4.10).

```
outlook → cfp FlexRequest → propose FlexOffer → accept-proposal FlexOrder | reject-proposal
        (90 min before)      (60 min before)     (45 min before)  → inform FlexResponse | failure
```
What is bought is kept over a restart. Where it is too little, the interval is RED 15 minutes before.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from behaviours.behaviour import Behaviour, on, when
from behaviours.decisions.flexibility_market.baselines import Baseline
from behaviours.decisions.flexibility_market.daily_documents import day_end_s
from behaviours.decisions.flexibility_market.marketplace import energy_wh
from behaviours.decisions.flexibility_market.need import still_needed_w
from behaviours.decisions.flexibility_market.selection import Bid, Chosen, chosen_offers
from behaviours.decisions.flexibility_market.terms import NOT_CHOSEN, ProcurementTerms
from behaviours.decisions.flexibility_market.validation import (
    Known,
    KnownOffer,
    KnownRequest,
    breaches,
    reasons,
)
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.traffic_light import Strain, Thresholds, severity
from behaviours.grid.flexibility_orders import OrderRecord, acquired
from behaviours.grid.marketplace_keeping import MarketplaceKeeping
from behaviours.protocols.contract_net import ContractNet
from ontology.base import INTERVAL_S
from ontology.errors import Failed, NotUnderstood, ParityError, Refused
from ontology.flexibility_trading import (
    Disposition,
    DPrognosis,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexResponse,
    PowerInterval,
    RequestInterval,
    ResponseResult,
    TradeDocument,
)
from ontology.grid import GridState
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["FlexibilityProcurement"]

log = structlog.get_logger()

LEAST_OFFER_S, LEAST_ORDER_S = 60, 120
"""How long offers and orders take at least where congestion is foreseen late, in seconds from the request."""
_ORDER, _REQUEST, _RELIABILITY = "flex order ", "flex request ", "flex reliability "
LEAST_NEED_W = 1000
"""Less than this is not asked for."""
LEARNING = 0.3
"""Weight of the newest order in what is known of a seller's reliability."""


class Outlook(NamedTuple):
    """What is foreseen of a segment in an interval: strain, and the deviation needed in W."""

    strain: Strain
    needed_w: int


class _Made(NamedTuple):
    """An offer that came in: from whom, when, for which need, and what became of it."""

    seller: str
    sent_at_s: float
    offer: FlexOffer
    revoked: bool = False
    ordered: bool = False


class _Foreseen(NamedTuple):
    """A prognosis that came in, and whose it is."""

    seller: str
    prognosis: DPrognosis

    @property
    def power_w(self) -> dict[int, int]:
        """What it tells, in W by start of interval."""
        return {each.start_s: each.power_w for each in self.prognosis.intervals}


class FlexibilityProcurement(Behaviour):
    """Turns a foreseen congestion into a request, offers into orders, and too little of them into RED."""

    def setup(self) -> None:
        """Recall the orders and how far requests had come before a restart."""
        self.terms: ProcurementTerms | None = getattr(self.settings, "flexibility", None)
        self._thresholds: Thresholds = self.settings.thresholds
        self.orders: dict[str, OrderRecord] = {}
        for name in self.agent.kept_names(_ORDER):
            record = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=OrderRecord)
            self.orders[record.order.order_reference] = record
        self.outlook: dict[tuple[str, int], Outlook] = {}
        """By segment and start of interval."""
        self._to_cover_w: dict[tuple[str, int], int] = {}
        """What orders were to cover, as it was known when they were placed, in W."""
        self._asked = {(r.order.congestion_point, s) for r in self.orders.values() for s in r.powers_w}
        self._pending: set[tuple[str, int]] = set()
        self._requests: dict[str, KnownRequest] = {}
        self._offers: dict[str, _Made] = {}
        self._prognoses: dict[str, _Foreseen] = {}
        self._revisions: dict[str, dict[tuple[str, str, int], int]] = {}
        """By seller: type, congestion point and start of the period give the newest revision."""

    def sellers(self, point: str) -> tuple[str, ...]:
        """Return whom the DSO asks at a congestion point."""
        sellers: Mapping[str, tuple[str, ...]] | None = self.settings.sellers
        return (self.settings.aggregator,) if sellers is None else sellers.get(point, ())

    def points_of(self, seller: str) -> frozenset[str]:
        """Return the congestion points at which an aggregator sells."""
        points = (network.segment_id for network in self.settings.networks)
        return frozenset(point for point in points if seller in self.sellers(point))

    # -- foreseeing -----------------------------------------------------------------------------

    def consider(
        self, network: Network, strains: Sequence[Strain], needs_w: Sequence[int], start_s: int
    ) -> None:
        """Take an outlook of a segment, and ask for flexibility where and as soon as it is due.

        Args:
            network: the segment.
            strains: foreseen, interval by interval.
            needs_w: by how much what its sites draw must change beside what the DSO does, in W.
            start_s: of the first interval.
        """
        point = network.segment_id
        if self.terms is None or not self.sellers(point):
            return
        for i, (strain, need_w) in enumerate(zip(strains, needs_w, strict=True)):
            foreseen, at_s = self._foreseen(strain, need_w), start_s + i * INTERVAL_S
            left_w = still_needed_w(foreseen.needed_w, self._bought_outside_w(point, at_s))
            self.outlook[point, at_s] = foreseen._replace(needed_w=left_w)
        self._reserve(point)
        starts = self._to_ask(point)
        if starts:
            self._pending |= {(point, each) for each in starts}
            self._asked |= {(point, each) for each in starts}
            self.agent.spawn(self._procure(point, starts))
        self._forget_past()

    def _to_ask(self, point: str) -> list[int]:
        """Return the intervals to ask for now: from the first that is due to the end of what is foreseen.

        What is put off in one interval comes back in the next, so they are asked for together; a plant
        keeps to its members' plans in between. What has been ordered already is in the outlook: what is
        still missing when it is due is asked for again.
        """
        assert self.terms is not None
        due = [each for each in self._in_time() if self._is_wanted(point, each)]
        reach = range(due[0], self._reach_s(due[0]), INTERVAL_S) if due else ()
        return [each for each in reach if self._is_wanted(point, each)]

    def _reach_s(self, start_s: int) -> int:
        """Return where a request from a time on ends at the latest."""
        assert self.terms is not None
        end_s, zone = start_s + self.terms.span_s, self.terms.day_zone
        return min(end_s, day_end_s(start_s, zone)) if zone else end_s

    def _is_wanted(self, point: str, start_s: int) -> bool:
        needed = abs(self.outlook.get((point, start_s), _CALM).needed_w)
        return needed >= LEAST_NEED_W and (point, start_s) not in self._pending

    def _foreseen(self, strain: Strain, need_w: int) -> Outlook:
        """Return what is needed of a segment: nothing while it is green, since nothing is traded then."""
        green = severity(strain, self._thresholds) is GridState.GREEN
        return Outlook(strain, 0 if green else need_w)

    def _in_time(self) -> list[int]:
        """Return the intervals for which it is time to ask, and not too late to order."""
        assert self.terms is not None
        now_s, terms = self.now_s(), self.terms
        first_s = -(-(now_s + terms.order_lead_s) // INTERVAL_S) * INTERVAL_S
        return list(range(first_s, now_s + terms.request_lead_s + INTERVAL_S, INTERVAL_S))

    def _reserve(self, point: str) -> None:
        """Say of the interval that has come within reach how much contracted flexibility stays reserved."""
        assert self.terms is not None
        start_s = self._in_time()[-1]
        needed = self.outlook.get((point, start_s), _CALM).needed_w
        for contract_id, held_w in self.terms.contracts_w.items():
            power_w = held_w if needed > 0 else -held_w if needed < 0 else 0
            reservation = FlexReservation(
                contract_id=contract_id,
                reference=f"{contract_id}-{point}-{start_s}",
                congestion_point=point,
                period_start_s=start_s,
                period_end_s=start_s + INTERVAL_S,
                intervals=[PowerInterval(start_s=start_s, power_w=power_w)],
            )
            if self.settings.aggregator in self.sellers(point):
                self.tell(self.settings.aggregator, reservation)

    def _forget_past(self) -> None:
        """Forget what is more than a day old."""
        day_ago_s = self.now_s() - 86_400
        self.outlook = {key: value for key, value in self.outlook.items() if key[1] > day_ago_s}
        self._asked = {key for key in self._asked if key[1] > day_ago_s}
        self._to_cover_w = {key: value for key, value in self._to_cover_w.items() if key[1] > day_ago_s}
        self._offers = {k: v for k, v in self._offers.items() if v.offer.period_end_s > day_ago_s}
        self._requests = {k: v for k, v in self._requests.items() if v.request.period_end_s > day_ago_s}
        self._revisions = {
            seller: {k: v for k, v in known.items() if k[2] > day_ago_s}
            for seller, known in self._revisions.items()
        }
        self._prognoses = {k: v for k, v in self._prognoses.items() if v.prognosis.period_end_s > day_ago_s}

    # -- asking ---------------------------------------------------------------------------------

    async def _procure(self, point: str, starts: list[int]) -> None:
        """Ask all aggregators for what some intervals need, and order in time what suits best."""
        assert self.terms is not None
        now_s = self.now_s()
        order_s = max(starts[0] - self.terms.order_lead_s, now_s + LEAST_ORDER_S)
        offer_s = max(starts[0] - self.terms.offer_lead_s, now_s + LEAST_OFFER_S)
        request = self._request(point, starts, order_s)
        self.tell(self.settings.repository, request)
        self.sibling(MarketplaceKeeping).note_request(request)
        net = ContractNet(self.agent, FlexOffer)
        asked = [self._offer_of(net, each, request, offer_s - now_s) for each in self.sellers(point)]
        await asyncio.gather(*asked)
        await self.clock.sleep_until(order_s)
        await self._order(net, request, starts)
        self._pending -= {(point, each) for each in starts}

    async def _order(self, net: ContractNet[FlexOffer], request: FlexRequest, starts: list[int]) -> None:
        """Choose among the offers that still hold, order, and reject the others."""
        assert self.terms is not None
        need_w = {each: self._need_now_w(request, each) for each in starts}
        chosen = chosen_offers(need_w, self._bids(net), self.terms.willingness_ticks_per_kwh)
        for who in sorted(set(net.bidders) - {each.bid.seller for each in chosen}):
            net.reject(who, NOT_CHOSEN)
        point = request.congestion_point
        self._to_cover_w |= {
            (point, each): abs(need_w[each]) + self._bought_w(point, each) for each in starts
        }
        numbered = enumerate(chosen, start=1)
        await asyncio.gather(*(self._place(net, request, each, number) for number, each in numbered))

    def _request(self, point: str, starts: list[int], expiration_s: int) -> FlexRequest:
        """Return the request for some intervals; asked again after a restart, it is a revision."""
        assert self.terms is not None
        name = f"{_REQUEST}{point} {starts[0] % 86_400}"
        revision = int(self.agent.kept_bytes(name) or b"0") + 1
        self.keep(name, str(revision).encode())
        needs = [(start_s, self.outlook[point, start_s].needed_w) for start_s in starts]
        return FlexRequest(
            period_start_s=starts[0],
            period_end_s=starts[-1] + INTERVAL_S,
            congestion_point=point,
            revision=revision,
            expiration_s=expiration_s,
            contract_id=next(iter(self.terms.contracts_w), ""),
            intervals=[
                RequestInterval(
                    disposition=Disposition.REQUESTED,
                    power_min_w=min(0, needed),
                    power_max_w=max(0, needed),
                    start_s=start_s,
                )
                for start_s, needed in needs
            ],
        )

    async def _offer_of(
        self, net: ContractNet[FlexOffer], who: str, request: FlexRequest, within_s: float
    ) -> None:
        """Ask one aggregator, check its offer, and note it or reject it with every reason."""
        if who != self.settings.aggregator:  # contracts are with one's own
            request = msgspec.structs.replace(request, contract_id="")
        answer = await net.call([who], request, within_s=within_s)
        if who not in answer:
            self.agent.counts["flexibility not offered"] += 1
            return
        offer, letter = answer[who], net.proposal_letter(who)
        self._requests[letter.in_reply_to] = KnownRequest(request)
        found = breaches(offer, letter.message_id, self._known(who))
        if found:
            self.agent.counts["offers rejected"] += 1
            net.reject(who, "; ".join(reasons(found))[:4000])
            return
        self._offers[letter.message_id] = _Made(who, letter.envelope.sent_at_s, offer)
        self.sibling(MarketplaceKeeping).note_offer(who, offer, letter.message_id)

    def _need_now_w(self, request: FlexRequest, start_s: int) -> int:
        """Return what the newest outlook needs of an interval, at most what was asked for."""
        (asked,) = (each for each in request.intervals if each.start_s == start_s)
        needed = self.outlook.get((request.congestion_point, start_s), _CALM).needed_w
        return min(max(needed, asked.power_min_w), asked.power_max_w)

    def _bids(self, net: ContractNet[FlexOffer]) -> list[Bid]:
        """Return the offers of a call that still hold."""
        return [
            Bid(made.seller, message_id, made.sent_at_s, made.offer, self._reliability(made.seller))
            for message_id, made in self._offers.items()
            if not made.revoked
            and made.seller in net.bidders
            and net.proposal_letter(made.seller).message_id == message_id
        ]

    # -- ordering -------------------------------------------------------------------------------

    async def _place(
        self, net: ContractNet[FlexOffer], request: FlexRequest, chosen: Chosen, number: int
    ) -> None:
        """Order an option: first it is written down, then said, so that it is paid whatever happens."""
        assert self.terms is not None
        bid = chosen.bid
        order = FlexOrder(
            period_start_s=bid.offer.period_start_s,
            period_end_s=bid.offer.period_end_s,
            congestion_point=bid.offer.congestion_point,
            order_reference=f"{request.congestion_point}-{request.period_start_s}-{request.revision}-{number}",
            offer_message_id=bid.message_id,
            option_reference=chosen.option.option_reference,
            baseline_reference=bid.offer.baseline_reference,
            prognosis_message_id=bid.offer.prognosis_message_id,
            contract_id=bid.offer.contract_id,
            price_ticks=chosen.price_ticks,
            currency=bid.offer.currency,
            activation_factor=chosen.activation,
            intervals=chosen.option.intervals,
        )
        offered_wh = energy_wh(each.power_w for each in bid.offer.options[0].intervals)
        record = OrderRecord(bid.seller, order, self._baseline_w(bid.offer), offered_wh)
        self._offers[bid.message_id] = self._offers[bid.message_id]._replace(ordered=True)
        self._remember(record)
        try:
            await net.accept(bid.seller, order, FlexResponse, within_s=self.terms.answer_within_s)
        except (Refused, NotUnderstood, Failed) as error:
            self._drop(record, str(error))
        except ParityError:
            await self._repeat(record)
        else:
            self._confirm(record)

    @when("started")
    async def repeat_orders(self) -> None:
        """Say once more what has been ordered and not been answered, after a restart or a lost letter."""
        for record in list(self.orders.values()):
            if not record.state.accepted:
                await self._repeat(record)

    async def _repeat(self, record: OrderRecord) -> None:
        """Say an order again, in case that it or its answer was lost; known by its reference."""
        if self.terms is None:
            return
        try:
            await self.ask(record.aggregator, record.order, FlexResponse, within_s=self.terms.answer_within_s)
        except (Refused, NotUnderstood, Failed) as error:
            self._drop(record, str(error))
        except ParityError:
            self.agent.counts["orders unanswered"] += 1
        else:
            self._confirm(record)

    def _confirm(self, record: OrderRecord) -> None:
        if record.state.accepted:
            return
        self.advance(record, accepted=True)
        self.tell(self.settings.repository, record.order)
        self.agent.counts["orders"] += 1

    def _drop(self, record: OrderRecord, why: str) -> None:
        """Forget an order that the aggregator does not take."""
        self.agent.counts["orders rejected"] += 1
        log.warning("order rejected", order=record.order.order_reference, why=why)
        self.orders.pop(record.order.order_reference, None)
        self.keep(_ORDER + record.order.order_reference, None)

    def _remember(self, record: OrderRecord) -> None:
        self.orders[record.order.order_reference] = record
        self.keep(_ORDER + record.order.order_reference, msgspec.json.encode(record))
        self.tell(self.settings.repository, acquired(record))

    def _baseline_w(self, offer: FlexOffer) -> dict[int, int]:
        """Return the prognosis that an offer deviates from, in W by start of interval."""
        foreseen = self._prognoses.get(offer.prognosis_message_id)
        return foreseen.power_w if foreseen else {}

    # -- what others say --------------------------------------------------------------------

    @on(DPrognosis)
    def note_prognosis(self, prognosis: DPrognosis, letter: Letter) -> FlexResponse | None:
        """Note what an aggregator foresees; one that breaks rules is rejected with all reasons.

        Who asks is told that it is taken, too; the same said again is taken again.
        """
        if self.terms is None or not self.points_of(letter.sender):
            return None
        again = _Foreseen(letter.sender, prognosis) in self._prognoses.values()
        found = [] if again else breaches(prognosis, letter.message_id, self._known(letter.sender))
        if found:
            self.agent.counts["prognoses rejected"] += 1
        else:
            self._prognoses[letter.message_id] = _Foreseen(letter.sender, prognosis)
            key = ("DPrognosis", prognosis.congestion_point, prognosis.period_start_s)
            self._revisions.setdefault(letter.sender, {})[key] = prognosis.revision
        if not found and letter.performative is not Performative.REQUEST:
            return None
        return FlexResponse(
            document=TradeDocument.D_PROGNOSIS,
            reference_message_id=letter.message_id,
            result=ResponseResult.REJECTED if found else ResponseResult.ACCEPTED,
            reasons=reasons(found),
        )

    @on(FlexOfferRevocation, Performative.CANCEL)
    def take_back(self, revocation: FlexOfferRevocation, letter: Letter) -> FlexResponse:
        """Forget an offer that its aggregator takes back.

        Raises: Failed with the reasons: it is not known, taken back already, or ordered.
        """
        made = self._offers.get(revocation.offer_message_id)
        found = breaches(revocation, letter.message_id, self._known(letter.sender))
        if found or made is None or made.seller != letter.sender:
            raise Failed("; ".join(reasons(found)) or "another aggregator's offer")
        self._offers[revocation.offer_message_id] = made._replace(revoked=True)
        self.agent.counts["offers revoked"] += 1
        return FlexResponse(
            document=TradeDocument.FLEX_OFFER_REVOCATION,
            reference_message_id=letter.message_id,
            result=ResponseResult.ACCEPTED,
        )

    @on(FlexOffer, Performative.PROPOSE)
    def decline_unasked(self, offer: FlexOffer, letter: Letter) -> None:
        """Decline an offer that answers no request of this agent.

        Raises: Refused with every reason.
        """
        found = breaches(offer, letter.message_id, self._known(letter.sender))
        raise Refused("; ".join(reasons(found)) or "a new offer for a request is not considered")

    def _known(self, seller: str) -> Known:
        """Return what a seller's documents are checked against."""
        assert self.terms is not None
        foreseen = {k: v.power_w for k, v in self._prognoses.items() if v.seller == seller}
        return Known(
            now_s=self.now_s(),
            congestion_points=self.points_of(seller),
            contracts_w=self.terms.contracts_w,
            baselines=frozenset(Baseline),
            prognoses=frozenset(foreseen),
            foreseen=foreseen,
            revisions=self._revisions.get(seller, {}),
            requests=self._requests,
            offers={k: KnownOffer(v.offer, v.revoked, v.ordered) for k, v in self._offers.items()},
            orders=frozenset(self.orders),
        )

    # -- how it stands --------------------------------------------------------------------------

    def unresolved(self, point: str, start_s: int) -> Strain | None:
        """Return the strain foreseen of an interval for which too little was bought, if it is RED; else None.

        Source: SPEC 2.1 (YELLOW, and accepted flexibility below the need).
        """
        foreseen = self.outlook.get((point, start_s))
        to_cover_w = self._to_cover_w.get((point, start_s), 0)
        if foreseen is None or self._bought_w(point, start_s) >= to_cover_w:
            return None
        red = severity(foreseen.strain, self._thresholds) is GridState.RED
        return foreseen.strain if red else None

    def _bought_w(self, point: str, start_s: int) -> int:
        """Return how much aggregators have agreed to deliver in an interval, in W."""
        return sum(
            abs(record.powers_w.get(start_s, 0))
            for record in self.orders.values()
            if record.order.congestion_point == point and record.state.accepted
        )

    def _bought_outside_w(self, point: str, start_s: int) -> int:
        """Return what was ordered of others than the own aggregator, whose plans no forecast tells, in W."""
        return sum(
            record.powers_w.get(start_s, 0)
            for record in self.orders.values()
            if record.order.congestion_point == point and record.aggregator != self.settings.aggregator
        )

    def was_asked(self, point: str, start_s: int) -> bool:
        """Tell whether flexibility was asked for in an interval."""
        return (point, start_s) in self._asked

    def learn(self, seller: str, share: float) -> None:
        """Learn how reliable a seller is from the share of an order that was delivered."""
        known = (1 - LEARNING) * self._reliability(seller) + LEARNING * share
        self.keep(_RELIABILITY + seller, f"{known:.4f}".encode())

    def advance(self, record: OrderRecord, **changes: object) -> None:
        """Note how far an order has come, over a restart."""
        record.state = msgspec.structs.replace(record.state, **changes)
        self._remember(record)

    def _reliability(self, seller: str) -> float:
        return float(self.agent.kept_bytes(_RELIABILITY + seller) or b"1")


_CALM = Outlook(Strain(0.0, 1.0, 1.0), 0)
