"""Selling flexibility outside the community: bids, withdrawals, sales and their delivery (SPEC 2.6, 4.9).

```
bid      ── gate ──>  result ──> sale ── delivery by a plant, or by batteries ──> settlement
   └─ a segment leaves GREEN: withdrawn at once
```
A bid is open until its gate closes. What was accepted stays sold whatever the light says then: it is
delivered as far as the grid lets it, and the rest is paid as imbalance.
"""

from collections import defaultdict
from typing import TypeVar

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.coalition.products import product_of_activation, product_of_sale
from behaviours.decisions.dispatch import MemberRange, disaggregate
from behaviours.decisions.external_bids import NORDIC, ProductRules, bid_of, shared_out, spare_power
from behaviours.decisions.flexibility import flexibility_of_portfolio
from behaviours.market.opening import AggregatorSettings, TrafficLightObedience
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.vpp.initiation import VppInitiation, VppRecord, plant_of
from ontology.base import INTERVAL_S
from ontology.coalition import DeliveryReport
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.grid import GridState, GridStatusEvent
from ontology.letter import Letter
from ontology.market import (
    ExternalActivation,
    ExternalBid,
    ExternalBidResult,
    ExternalBidWithdrawal,
    ExternalDelivery,
    ExternalProduct,
    ExternalSettlement,
    ReserveAssignment,
    ReserveOffer,
    SegmentShare,
)

__all__ = ["ExternalBidding", "ExternalDelivering", "ReserveKeeping"]

_RESERVE = "external reserve "
_OPEN, _WITHDRAWN, _SALE, _DELIVERY = (
    "external open ",
    "external withdrawn ",
    "external sale ",
    "external delivery ",
)
_PROMISE = "external "
BID_AHEAD_S = 4500
"""Bids are for the interval that begins so long after the next one: one interval before the longest gate."""
HOLDING_TICKS = 20
"""What holding a kW ready for an hour costs a member."""
FREQUENCY_PRODUCTS = (ExternalProduct.FCR_D_UP, ExternalProduct.FCR_D_DOWN)


class ExternalBidding(Behaviour):
    """Offers the portfolio's spare flexibility while every segment is green, and takes it back at once."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Which bids the market has taken up is not known after a restart: they are brought again."""
        self._taken_up: set[str] = set()

    @when("started")
    def recall(self) -> None:
        """Let nobody else offer what was offered or sold before a restart."""
        for prefix in (_OPEN, _SALE):
            for name in self.agent.kept_names(prefix):
                bid = self.kept(name, ExternalBid)
                if bid is not None:
                    self._promise(bid)

    @every(minutes=15, offset_s=640)
    async def bid(self) -> None:
        """Bid for the interval behind the gate; say again what has not been acknowledged."""
        next_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        if self.sibling(TrafficLightObedience).worst(next_s) is not GridState.GREEN:
            return
        for name in self.agent.kept_names(_OPEN):
            await self._submit(name)
        for product in self.settings.external_products:
            bid = self._bid_for(product, next_s)
            if bid is not None and not self._is_known(bid):
                self.keep(_OPEN + bid.bid_id, bid)
                self._promise(bid)
                await self._submit(_OPEN + bid.bid_id)

    @on(GridStatusEvent)
    async def withdraw(self, event: GridStatusEvent, letter: Letter) -> None:
        """Take every open bid back when a segment is about to leave GREEN (SPEC 4.9: within 5 s)."""
        if event.state is GridState.GREEN or letter.sender != self.settings.dso:
            return
        for name in self.agent.kept_names(_OPEN):
            bid = self.kept(name, ExternalBid)
            if bid is not None:
                self.keep(_WITHDRAWN + bid.bid_id, bid)
                self.keep(name, None)
                self.sibling(PortfolioKeeping).release(_PROMISE + bid.bid_id)
        await self._take_back()

    @every(minutes=1, offset_s=30)
    async def say_again(self) -> None:
        """Say again what the markets have not acknowledged to be withdrawn."""
        await self._take_back()

    @on(ExternalBidResult)
    def note_result(self, result: ExternalBidResult, letter: Letter) -> Acknowledgement:
        """Turn a bid that was accepted into a sale; said again, nothing is sold twice.

        Raises: Refused when it does not come from the external markets.
        """
        if letter.sender != self.settings.external_markets:
            raise Refused("only the external markets decide on bids")
        for name in (_OPEN + result.bid_id, _WITHDRAWN + result.bid_id):
            bid = self.kept(name, ExternalBid)
            if bid is not None:
                self.keep(name, None)
                self.agent.counts["bids accepted" if result.accepted else "bids declined"] += 1
                if result.accepted:
                    bid = taken_of(bid, result)
                    self._promise(bid)
                    self.sibling(ExternalDelivering).sell(bid, result)
                else:
                    self.sibling(PortfolioKeeping).release(_PROMISE + bid.bid_id)
        return Acknowledgement(of=letter.message_id)

    def _bid_for(self, product: ExternalProduct, next_s: int) -> ExternalBid | None:
        """Return the bid for a product, of what is neither offered nor sold in that interval already."""
        start_s = next_s + BID_AHEAD_S
        rules = self.rules(product)
        free_w, cost = self._free(product, next_s, start_s)
        bid = bid_of(product, rules, free_w, cost, start_s, [GridState.GREEN])
        if bid is None:
            return None
        shares = shared_out(bid.energy_wh, self._weights(product, next_s, start_s))
        return msgspec.structs.replace(bid, shares=shares)

    def _weights(self, product: ExternalProduct, next_s: int, start_s: int) -> dict[str, int]:
        """Return how much of a product each segment's members could give, in W."""
        segment_of = {member.site: member.segment_id for member in self.settings.portfolio}
        if product in FREQUENCY_PRODUCTS:
            able_w = self.sibling(ReserveKeeping).offered_by_site_w(product, start_s)
        else:
            present = self.sibling(PortfolioKeeping).present(next_s)
            able_w = {each.subject: spare_power(each, start_s) for each in present}
        weights: dict[str, int] = defaultdict(int)
        for site, power_w in able_w.items():
            if site in segment_of:
                weights[segment_of[site]] += power_w
        return weights

    def _free(self, product: ExternalProduct, next_s: int, start_s: int) -> tuple[int, int]:
        """Return the power that is free for a product in an interval, and what it costs."""
        if product in FREQUENCY_PRODUCTS:
            return self.sibling(ReserveKeeping).offered_w(product, start_s), HOLDING_TICKS
        portfolio = flexibility_of_portfolio("portfolio", self.sibling(PortfolioKeeping).present(next_s))
        if portfolio is None:
            return 0, 0
        elsewhere_w = self.sibling(PortfolioKeeping).promised_w(start_s, besides=(_PROMISE,))
        power_w = spare_power(portfolio, start_s) - self._promised_w(start_s) - elsewhere_w
        if NORDIC[product].is_reserve:
            return power_w, HOLDING_TICKS
        step = min((start_s - portfolio.start_s) // portfolio.step_s, len(portfolio.up_w) - 1)
        return power_w, portfolio.cost_ticks_per_kwh[step]

    def _promise(self, bid: ExternalBid) -> None:
        """Let nobody else offer what is offered or sold here: energy, as the frequency is for batteries."""
        if bid.product not in FREQUENCY_PRODUCTS:
            power_w = bid.energy_wh * 3600 // INTERVAL_S
            self.sibling(PortfolioKeeping).promise(_PROMISE + bid.bid_id, {bid.start_s: power_w})

    def _promised_w(self, start_s: int) -> int:
        """Return the up-regulation that is offered or sold in an interval."""
        names = (name for prefix in (_OPEN, _SALE) for name in self.agent.kept_names(prefix))
        bids = [self.kept(name, ExternalBid) for name in names]
        return 4 * sum(max(0, -bid.energy_wh) for bid in bids if bid is not None and bid.start_s == start_s)

    def _is_known(self, bid: ExternalBid) -> bool:
        return any(self.agent.kept_bytes(prefix + bid.bid_id) for prefix in (_OPEN, _WITHDRAWN, _SALE))

    def rules(self, product: ExternalProduct) -> ProductRules:
        """Return the rules of a product, at the scale at which this community takes part."""
        return NORDIC[product].scaled(self.settings.external_scale)

    async def _submit(self, name: str) -> None:
        """Bring a bid to the market; without an answer it is brought again until its gate closes."""
        bid = self.kept(name, ExternalBid)
        if bid is None or (name in self._taken_up and self.now_s() < bid.start_s):
            return
        if self.now_s() >= bid.start_s:
            self._taken_up.discard(name)
            self.keep(name, None)
            return
        if self.now_s() >= bid.start_s - self.rules(bid.product).gate_s:
            return
        try:
            await self.ask(self.settings.external_markets, bid, Acknowledgement)
            self._taken_up.add(name)
        except Refused:
            self.agent.counts["bids refused"] += 1
            self.keep(name, None)
        except ParityError:
            self.agent.counts["external markets unavailable"] += 1

    async def _take_back(self) -> None:
        """Say of every bid that is to be withdrawn that it is, until that is acknowledged."""
        for name in self.agent.kept_names(_WITHDRAWN):
            withdrawal = ExternalBidWithdrawal(bid_id=name.removeprefix(_WITHDRAWN))
            try:
                await self.ask(self.settings.external_markets, withdrawal, Acknowledgement)
            except Refused:
                self.agent.counts["bids sold before they were withdrawn"] += 1
                continue  # its result is on the way
            except ParityError:
                self.agent.counts["external markets unavailable"] += 1
                continue
            self.agent.counts["bids withdrawn"] += self.agent.kept_bytes(name) is not None
            self.keep(name, None)


def taken_of(bid: ExternalBid, result: ExternalBidResult) -> ExternalBid:
    """Return what was sold of a bid: all, or what the DSO's limits leave."""
    if result.energy_wh is None:
        return bid
    return msgspec.structs.replace(bid, energy_wh=result.energy_wh, shares=result.shares)


P = TypeVar("P", ExternalBid, ExternalActivation)


def parts_of(sold: P) -> list[P]:
    """Return what each segment is to deliver by a plant of its own; all together where no place is named."""
    if len(sold.shares) <= 1:
        return [sold]
    return [
        msgspec.structs.replace(
            sold, bid_id=f"{sold.bid_id}-{each.segment_id}", energy_wh=each.energy_wh, shares=[each]
        )
        for each in sold.shares
    ]


class ExternalDelivering(Behaviour):
    """Sees to it that what was sold is delivered, says what was, and counts what it earned."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Nothing has been settled since the start."""
        self.settlements: list[ExternalSettlement] = []
        self._delivered_wh: dict[str, int] = defaultdict(int)

    def sell(self, bid: ExternalBid, result: ExternalBidResult) -> None:
        """Keep a sale until it is settled; have energy delivered by a plant, frequency by batteries."""
        self.keep(_SALE + bid.bid_id, bid)
        if bid.product in FREQUENCY_PRODUCTS:
            self.agent.spawn(self.sibling(ReserveKeeping).assign(bid))
        elif bid.product is ExternalProduct.WS_INTRADAY and "external" in self.settings.plants_for:
            for part in parts_of(bid):
                self.sibling(VppInitiation).offer(product_of_sale(part, result))

    @on(ExternalActivation)
    def activate(self, activation: ExternalActivation, letter: Letter) -> Acknowledgement:
        """Let a plant deliver the energy that is called for of a reserve.

        Raises: Refused when it is called by somebody else, or of what was not sold.
        """
        if letter.sender != self.settings.external_markets:
            raise Refused("only the external markets call for reserves")
        bid = self.kept(_SALE + activation.bid_id, ExternalBid)
        if bid is None or bid.start_s != activation.start_s:
            raise Refused(f"{activation.bid_id} was not sold for {activation.start_s}")
        price = 2 * NORDIC[ExternalProduct.WS_INTRADAY].mean_ticks
        for part in parts_of(activation):
            product = product_of_activation(part, price)
            if "external" in self.settings.plants_for and plant_of(product) not in self._plants():
                self.sibling(VppInitiation).offer(product)
        self.agent.counts["reserves called"] += 1
        return Acknowledgement(of=letter.message_id)

    @on(DeliveryReport)
    def note_delivery(self, report: DeliveryReport, letter: Letter) -> None:
        """Add up what batteries gave for a reserve that was sold."""
        if self.agent.kept_bytes(_SALE + report.vpp_id) and letter.sender == report.member:
            self._delivered_wh[report.vpp_id] += report.delivered_wh

    @every(minutes=15, offset_s=50)
    async def settle(self) -> None:
        """Say what was delivered of each sale whose interval has ended, until it is settled."""
        for name in self.agent.kept_names(_SALE):
            bid = self.kept(name, ExternalBid)
            if bid is not None and bid.start_s + INTERVAL_S <= self.now_s():
                self.keep(_DELIVERY + bid.bid_id, self._delivery_of(bid))
                self.keep(name, None)
        for name in self.agent.kept_names(_DELIVERY):
            await self._settle(name)

    async def _settle(self, name: str) -> None:
        delivery = self.kept(name, ExternalDelivery)
        if delivery is None:
            return
        try:
            settlement = await self.ask(self.settings.external_markets, delivery, ExternalSettlement)
        except Refused:
            self.agent.counts["sales not settled"] += 1
        except ParityError:
            self.agent.counts["external markets unavailable"] += 1
            return
        else:
            self.settlements.append(settlement)
            self.agent.counts["sales settled"] += 1
        self.keep(name, None)

    def _delivery_of(self, bid: ExternalBid) -> ExternalDelivery:
        """Return what members metered that they deviated by in the interval of a sale."""
        delivered_wh = self._delivered_wh.pop(bid.bid_id, 0)
        for vpp_id, record in self._plants().items():
            if vpp_id == f"vpp-{bid.bid_id}" or vpp_id.startswith(f"vpp-{bid.bid_id}-"):
                delivered_wh += sum(own.get(bid.start_s, 0) for own in record.delivered.values())
        return ExternalDelivery(bid_id=bid.bid_id, start_s=bid.start_s, delivered_wh=delivered_wh)

    def _plants(self) -> dict[str, VppRecord]:
        return self.sibling(VppInitiation).plants


class ReserveKeeping(Behaviour):
    """Knows what batteries could hold ready for the frequency, and shares out what was sold of it."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Recall what batteries offered before a restart."""
        self._offers: dict[tuple[int, str], ReserveOffer] = {}
        for name in self.agent.kept_names(_RESERVE):
            offer = self.kept(name, ReserveOffer)
            if offer is not None:
                self._offers[offer.start_s, offer.subject] = offer

    @on(ReserveOffer)
    def note(self, offer: ReserveOffer, letter: Letter) -> None:
        """Note what a site offers for an interval; what is over is forgotten."""
        for key in [key for key in self._offers if key[0] < self.now_s()]:
            del self._offers[key]
            self.keep(f"{_RESERVE}{key[0]} {key[1]}", None)
        self._offers[offer.start_s, offer.subject] = offer
        self.keep(f"{_RESERVE}{offer.start_s} {offer.subject}", offer)

    def offered_w(self, product: ExternalProduct, start_s: int) -> int:
        """Return what all batteries together would hold ready in an interval, in W."""
        return sum(self.offered_by_site_w(product, start_s).values())

    def offered_by_site_w(self, product: ExternalProduct, start_s: int) -> dict[str, int]:
        """Return what each site's batteries would hold ready in an interval, in W."""
        return {offer.subject: self._room(product, offer) for offer in self._of(start_s)}

    async def assign(self, bid: ExternalBid) -> None:
        """Share a sale out among the batteries of each segment, in proportion to what they offered."""
        up = bid.product is ExternalProduct.FCR_D_UP
        segment_of = {member.site: member.segment_id for member in self.settings.portfolio}
        offered_w = self.offered_by_site_w(bid.product, bid.start_s)
        shares_w: dict[str, int] = {}
        for part in bid.shares or [SegmentShare(segment_id="", energy_wh=bid.energy_wh)]:
            ranges = [
                MemberRange(site, 0, power_w)
                for site, power_w in offered_w.items()
                if part.segment_id in ("", segment_of.get(site))
            ]
            shares_w |= disaggregate(4 * abs(part.energy_wh), ranges)
        prosumers = {member.site: member.prosumer for member in self.settings.portfolio}
        for site, power_w in sorted(shares_w.items()):
            assignment = ReserveAssignment(
                bid_id=bid.bid_id,
                subject=site,
                start_s=bid.start_s,
                up_w=power_w if up else 0,
                down_w=0 if up else power_w,
            )
            try:
                await self.ask(prosumers[site], assignment, Acknowledgement)
            except ParityError:
                self.agent.counts["reserves not taken up"] += 1

    def _of(self, start_s: int) -> list[ReserveOffer]:
        return [offer for (begun_s, _), offer in sorted(self._offers.items()) if begun_s == start_s]

    def _room(self, product: ExternalProduct, offer: ReserveOffer) -> int:
        return offer.up_w if product is ExternalProduct.FCR_D_UP else offer.down_w
