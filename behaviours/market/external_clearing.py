"""The external markets, emulated: a book of bids, a gate, seeded prices, calls and settlement (SPEC 2.6)."""

import zlib
from collections.abc import Sequence

import msgspec
import numpy as np

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.external_bids import (
    INTERVALS_AN_HOUR,
    NORDIC,
    ProductRules,
    activated_share,
    clearing_prices,
    is_called,
    judged,
    reason_to_refuse,
    settled_sale,
    within_limits,
)
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.grid import GridState, GridStatusEvent
from ontology.grid_coordination import ActivationLimits, ActivationPlan, ActivationStage
from ontology.letter import Letter
from ontology.market import (
    ExternalActivation,
    ExternalBid,
    ExternalBidResult,
    ExternalBidWithdrawal,
    ExternalDelivery,
    ExternalProduct,
    ExternalSettlement,
    SegmentShare,
)
from ontology.measurements import Measurement, Quantity

__all__ = ["BidClearing", "ExternalMarketsSettings", "FrequencyWatching", "ReserveCalling", "SaleSettling"]

_OPEN, _SOLD, _PRICE, _RESULT = "open ", "sold ", "price ", "result "
_CALLED, _SETTLED, _LIGHT = "called ", "settled ", "light "
FULL_ACTIVATION_S = 750
"""A reserve is called for so long before it has to be there (mFRR: 12.5 minutes)."""
REMEMBERED_S = 2 * 86_400
ANSWER_WITHIN_S = 5.0


class ExternalMarketsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose traffic light and bids the markets see, what seeds their prices, and at which scale they trade.

    The frequency is read every `real_time_s` seconds (0: once an interval).
    """

    dso: str
    aggregator: str
    seed: int
    scale: float = 0.001
    real_time_s: int = 0


async def asked_limits(
    who: Behaviour, bid: ExternalBid, shares: Sequence[SegmentShare], stage: ActivationStage
) -> ActivationLimits | None:
    """Tell the DSO what is planned in its segments and ask how much of it may be; None without an answer."""
    plan = ActivationPlan(
        bid_id=bid.bid_id, product=bid.product, stage=stage, start_s=bid.start_s, shares=list(shares)
    )
    settings: ExternalMarketsSettings = who.settings
    try:
        return await who.ask(settings.dso, plan, ActivationLimits, within_s=ANSWER_WITHIN_S)
    except ParityError:
        who.agent.counts["activation limits unknown"] += 1
        return None


class BidClearing(Behaviour):
    """Takes bids until their gate closes and clears them at a seeded price, in GREEN only."""

    settings: ExternalMarketsSettings

    def setup(self) -> None:
        """Recall the lights and the book from before a restart."""
        self._prices: dict[tuple[ExternalProduct, int], list[int]] = {}
        self._lights: dict[str, GridState] = {}
        for name in self.agent.kept_names(_LIGHT):
            event = self.kept(name, GridStatusEvent)
            if event is not None:
                self._lights[event.segment_id] = event.state

    @when("started")
    def watch_the_grid(self) -> None:
        """Ask the DSO for its traffic light."""
        self.subscribe(self.settings.dso, GridStatusEvent)

    @on(GridStatusEvent)
    def note_light(self, event: GridStatusEvent, letter: Letter) -> None:
        """Note the newest state of a segment."""
        if letter.sender == self.settings.dso:
            self._lights[event.segment_id] = event.state
            self.keep(_LIGHT + event.segment_id, event)

    @on(ExternalBid)
    def take(self, bid: ExternalBid, letter: Letter) -> Acknowledgement:
        """Take a bid into the book; the same bid again changes nothing, whatever became of it.

        Raises: Refused for another bid under a known id, and when the rules or the lights forbid it.
        """
        known = self.kept(_OPEN + bid.bid_id, ExternalBid) or self.kept(_SOLD + bid.bid_id, ExternalBid)
        if known is not None and known != bid:
            raise Refused(f"another bid has the id {bid.bid_id}")
        if known is None:
            if any(self.agent.kept_bytes(prefix + bid.bid_id) for prefix in (_RESULT, _SETTLED)):
                raise Refused(f"{bid.bid_id} was decided upon already")
            reason = reason_to_refuse(bid, self.rules(bid.product), self.now_s(), self._lights.values())
            if reason:
                raise Refused(reason)
            self.keep(_OPEN + bid.bid_id, bid)
        return Acknowledgement(of=letter.message_id)

    @on(ExternalBidWithdrawal)
    def take_back(self, withdrawal: ExternalBidWithdrawal, letter: Letter) -> Acknowledgement:
        """Strike a bid from the book; one that is not there is withdrawn already.

        Raises: Refused when it has been sold.
        """
        if self.agent.kept_bytes(_SOLD + withdrawal.bid_id):
            raise Refused(f"{withdrawal.bid_id} is sold")
        self.keep(_OPEN + withdrawal.bid_id, None)
        return Acknowledgement(of=letter.message_id)

    @every(minutes=15, offset_s=1)
    async def close_gates(self) -> None:
        """Clear the bids whose gate has closed, and tell the results until they are acknowledged."""
        for name in self.agent.kept_names(_OPEN):
            bid = self.kept(name, ExternalBid)
            if bid is not None and self.now_s() >= bid.start_s - self.rules(bid.product).gate_s:
                await self._clear(name, bid)
        for name in self.agent.kept_names(_RESULT):
            await self._tell(name)

    async def _clear(self, name: str, bid: ExternalBid) -> None:
        """Decide on a bid; what would be sold is first put to the DSO, whose limits may leave less of it.

        A bid that is withdrawn meanwhile is withdrawn.
        """
        result = judged(bid, self.price(bid.product, bid.start_s), self._lights.values())
        if result.accepted and bid.shares:
            result, bid = await self._prequalified(bid, result)
            if self.kept(name, ExternalBid) is None:
                return
        self.keep(name, None)
        self.keep(_RESULT + bid.bid_id, result)
        if result.accepted:
            self.keep(_SOLD + bid.bid_id, bid)
            self.keep(_PRICE + bid.bid_id, result)

    async def _prequalified(
        self, bid: ExternalBid, result: ExternalBidResult
    ) -> tuple[ExternalBidResult, ExternalBid]:
        """Return what the DSO's limits leave of a sale; nothing if it does not say what its segments bear."""
        declined = msgspec.structs.replace(result, accepted=False)
        limits = await asked_limits(self, bid, bid.shares, ActivationStage.PREQUALIFICATION)
        if limits is None:
            return msgspec.structs.replace(
                declined, reason="the DSO does not say what its segments bear"
            ), bid
        rules = self.rules(bid.product)
        step_wh, least_wh = (each // INTERVALS_AN_HOUR for each in (rules.step_w, rules.minimum_w))
        shares = within_limits(bid.shares, limits.limits, max(1, step_wh), least_wh)
        energy_wh = sum(each.energy_wh for each in shares)
        if energy_wh == bid.energy_wh:
            return result, bid
        self.agent.counts["bids limited by the DSO"] += 1
        if not energy_wh:
            return msgspec.structs.replace(declined, reason="the DSO's limits leave nothing of it"), bid
        taken = msgspec.structs.replace(bid, energy_wh=energy_wh, shares=shares)
        return msgspec.structs.replace(result, energy_wh=energy_wh, shares=shares), taken

    async def _tell(self, name: str) -> None:
        result = self.kept(name, ExternalBidResult)
        try:
            if result is not None:
                await self.ask(self.settings.aggregator, result, Acknowledgement)
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
            return
        self.keep(name, None)

    def price(self, product: ExternalProduct, start_s: int) -> int:
        """Return the clearing price of an interval in ticks per kWh, of a reserve per kW and hour."""
        key = product, start_s // 86_400
        if key not in self._prices:
            own = [] if product is ExternalProduct.WS_INTRADAY else [zlib.crc32(product.value.encode())]
            rng = np.random.default_rng([self.settings.seed, key[1], *own])
            self._prices[key] = clearing_prices(rng, INTERVALS_A_DAY, NORDIC[product].mean_ticks).tolist()
        return self._prices[key][start_s % 86_400 // INTERVAL_S]

    def rules(self, product: ExternalProduct) -> ProductRules:
        """Return the rules of a product at the scale of this emulation."""
        return NORDIC[product].scaled(self.settings.scale)


class ReserveCalling(Behaviour):
    """The system operator: calls for mFRR that was sold, now and then, 12.5 minutes ahead."""

    settings: ExternalMarketsSettings

    @every(minutes=15, offset_s=INTERVAL_S - FULL_ACTIVATION_S)
    async def call(self) -> None:
        """Call for the reserves of the next interval, if the seed has it so."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        if not is_called(np.random.default_rng([self.settings.seed, start_s, 1])):
            return
        for name in self.agent.kept_names(_SOLD):
            bid = self.kept(name, ExternalBid)
            if bid is not None and bid.product is ExternalProduct.MFRR and bid.start_s == start_s:
                await self._activate(bid)

    async def _activate(self, bid: ExternalBid) -> None:
        """Call for a reserve as far as the DSO's segments bear it; who does not answer owes it nevertheless.

        The sale stands: where the DSO says nothing, all of it is called for.
        """
        energy_wh, shares = bid.energy_wh, bid.shares
        limits = await asked_limits(self, bid, shares, ActivationStage.ACTIVATION) if shares else None
        if limits is not None:
            shares = within_limits(shares, limits.limits)
            energy_wh = sum(each.energy_wh for each in shares)
            self.agent.counts["calls limited by the DSO"] += energy_wh != bid.energy_wh
        if not energy_wh:
            return
        order = ExternalActivation(bid_id=bid.bid_id, start_s=bid.start_s, energy_wh=energy_wh, shares=shares)
        self.keep(_CALLED + bid.bid_id, order)
        try:
            await self.ask(self.settings.aggregator, order, Acknowledgement)
        except ParityError:
            self.agent.counts["calls not acknowledged"] += 1


class FrequencyWatching(Behaviour):
    """Reads the frequency and knows which share of each frequency reserve it called for (SPEC 4.7, droop)."""

    settings: ExternalMarketsSettings

    def setup(self) -> None:
        """Nothing has been read."""
        self._shares: dict[tuple[ExternalProduct, int], list[float]] = {}

    @every(seconds=lambda settings: settings.real_time_s)
    async def read(self) -> None:
        """Take down what the frequency of the step that has just ended called for."""
        interval_s = (self.now_s() - 1) // INTERVAL_S * INTERVAL_S
        for device in self.agent.surroundings.devices:
            for measured in await device.percepts():
                if isinstance(measured, Measurement) and measured.quantity is Quantity.FREQUENCY_HZ:
                    self._note(interval_s, measured.value)

    def _note(self, interval_s: int, frequency_hz: float) -> None:
        for product in (ExternalProduct.FCR_D_UP, ExternalProduct.FCR_D_DOWN):
            shares = self._shares.setdefault((product, interval_s), [])
            shares.append(activated_share(product, frequency_hz))

    def called(self, product: ExternalProduct, start_s: int) -> float:
        """Return the mean share of a reserve that an interval's frequency called for."""
        shares = self._shares.get((product, start_s), [])
        return sum(shares) / len(shares) if shares else 0.0

    @every(minutes=60, offset_s=5)
    def forget(self) -> None:
        """Forget what is too old to be settled."""
        oldest_s = self.now_s() - REMEMBERED_S
        self._shares = {key: shares for key, shares in self._shares.items() if key[1] >= oldest_s}


class SaleSettling(Behaviour):
    """Settles each sale once: what was ordered, what was delivered, and what the difference costs."""

    settings: ExternalMarketsSettings

    @on(ExternalDelivery)
    def settle(self, delivery: ExternalDelivery, letter: Letter) -> ExternalSettlement:
        """Return what a sale comes to; asked again, the same, whatever is said to have been delivered then.

        Raises: Refused when nothing was sold under this id, or its interval has not ended.
        """
        settled = self.kept(_SETTLED + delivery.bid_id, ExternalSettlement)
        if settled is not None:
            return settled
        bid = self.kept(_SOLD + delivery.bid_id, ExternalBid)
        price = self.kept(_PRICE + delivery.bid_id, ExternalBidResult)
        if bid is None or price is None or letter.sender != self.settings.aggregator:
            raise Refused(f"{delivery.bid_id} was not sold")
        if self.now_s() < bid.start_s + INTERVAL_S:
            raise Refused("its interval has not ended")
        settlement = settled_sale(
            bid,
            price.price_ticks_per_kwh,
            self.sibling(BidClearing).price(ExternalProduct.WS_INTRADAY, bid.start_s),
            self._ordered_wh(bid),
            delivery.delivered_wh,
        )
        self.keep(_SETTLED + bid.bid_id, settlement)
        for prefix in (_SOLD, _PRICE, _CALLED):
            self.keep(prefix + bid.bid_id, None)
        return settlement

    def _ordered_wh(self, bid: ExternalBid) -> int:
        """Return what was to be delivered of a sale."""
        if bid.product is ExternalProduct.WS_INTRADAY:
            return bid.energy_wh
        if bid.product is ExternalProduct.MFRR:
            called = self.kept(_CALLED + bid.bid_id, ExternalActivation)
            return called.energy_wh if called else 0
        return round(bid.energy_wh * self.sibling(FrequencyWatching).called(bid.product, bid.start_s))

    @every(minutes=60, offset_s=10)
    def forget(self) -> None:
        """Forget settlements that nobody asks for any more."""
        for name in self.agent.kept_names(_SETTLED):
            settlement = self.kept(name, ExternalSettlement)
            if settlement is not None and settlement.start_s < self.now_s() - REMEMBERED_S:
                self.keep(name, None)
