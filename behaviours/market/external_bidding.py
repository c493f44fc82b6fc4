"""Selling flexibility outside the community: the aggregator bids, an emulated market answers (SPEC 2.6)."""

import msgspec
import numpy as np

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.coalition.products import product_of_sale
from behaviours.decisions.external_bids import MEAN_TICKS_PER_KWH, clearing_prices, intraday_bid, judged
from behaviours.decisions.flexibility import flexibility_of_portfolio
from behaviours.market.opening import AggregatorSettings, TrafficLightObedience
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.vpp.initiation import VppInitiation
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.errors import ParityError
from ontology.grid import GridState, GridStatusEvent
from ontology.letter import Letter
from ontology.market import ExternalBid, ExternalBidResult, ExternalBidWithdrawal
from ontology.performatives import Performative

__all__ = ["BidClearing", "ExternalBidding", "ExternalMarketsSettings"]

GATE_INTERVALS = 4
"""Intraday bids close an hour ahead (SPEC 2.6)."""


class ExternalMarketsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose traffic light the markets watch, and what seeds their prices."""

    dso: str
    seed: int


class ExternalBidding(Behaviour):
    """Offers the portfolio's spare flexibility to the intraday market while every segment is green."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """No bid is open."""
        self._open: dict[str, ExternalBid] = {}
        self.sold_wh = 0
        self.earned_ticks = 0

    @every(minutes=15, offset_s=640)
    async def bid(self) -> None:
        """Bid for the interval behind the gate, and take bids back when the light is not green."""
        next_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        light = self.sibling(TrafficLightObedience).worst(next_s)
        if light is not GridState.GREEN:
            self._withdraw_all()
            return
        self._open = {name: bid for name, bid in self._open.items() if bid.start_s >= next_s}
        portfolio = flexibility_of_portfolio("portfolio", self.sibling(PortfolioKeeping).present(next_s))
        start_s = next_s + GATE_INTERVALS * INTERVAL_S
        bid = portfolio and intraday_bid(
            self.sibling(PortfolioKeeping).free(portfolio),
            start_s,
            MEAN_TICKS_PER_KWH,
            [light],
            f"intraday-{start_s}",
        )
        if bid:
            await self._submit(bid)

    async def _submit(self, bid: ExternalBid) -> None:
        try:
            result = await self.ask(self.settings.external_markets, bid, ExternalBidResult)
        except ParityError:
            self.agent.counts["external markets unavailable"] += 1
            return
        if result.accepted:
            self._open[bid.bid_id] = bid
            self.sibling(PortfolioKeeping).promise(bid.bid_id, {bid.start_s: power_of_w(bid)})
            self.sold_wh -= bid.energy_wh
            self.earned_ticks -= bid.energy_wh * result.price_ticks_per_kwh // 1000
            if "external" in self.settings.plants_for:
                self.sibling(VppInitiation).offer(product_of_sale(bid, result))
        self.agent.counts["bids accepted" if result.accepted else "bids declined"] += 1

    def _withdraw_all(self) -> None:
        for bid_id in sorted(self._open):
            withdrawal = ExternalBidWithdrawal(bid_id=bid_id)
            self.tell(self.settings.external_markets, withdrawal, Performative.CANCEL)
            self.sibling(PortfolioKeeping).release(bid_id)
            self.agent.counts["bids withdrawn"] += 1
        self._open.clear()


def power_of_w(bid: ExternalBid) -> int:
    """Return the power in W that a bid moves over its interval."""
    return bid.energy_wh * 3600 // INTERVAL_S


class BidClearing(Behaviour):
    """Clears bids at a seeded price of each interval; nothing is accepted unless all segments are green."""

    settings: ExternalMarketsSettings

    def setup(self) -> None:
        """No bid has come in, no light is known."""
        self._prices: dict[int, list[int]] = {}
        self._lights: dict[str, GridState] = {}
        self._accepted: dict[str, ExternalBid] = {}

    @when("started")
    def watch_the_grid(self) -> None:
        """Ask the DSO for its traffic light."""
        self.subscribe(self.settings.dso, GridStatusEvent)

    @on(GridStatusEvent)
    def note_light(self, event: GridStatusEvent, letter: Letter) -> None:
        """Note the newest state of a segment."""
        self._lights[event.segment_id] = event.state

    @on(ExternalBid)
    def clear(self, bid: ExternalBid, letter: Letter) -> ExternalBidResult:
        """Judge a bid against the interval's price; a bid that was accepted stays so."""
        result = judged(bid, self.price(bid.start_s), self._lights.values())
        if result.accepted:
            self._accepted[bid.bid_id] = bid
        return result

    @on(ExternalBidWithdrawal)
    def take_back(self, withdrawal: ExternalBidWithdrawal, letter: Letter) -> None:
        """Forget a bid."""
        self._accepted.pop(withdrawal.bid_id, None)

    def price(self, start_s: int) -> int:
        """Return the clearing price of an interval in ticks per kWh."""
        day = start_s // 86_400
        if day not in self._prices:
            rng = np.random.default_rng([self.settings.seed, day])
            self._prices[day] = clearing_prices(rng, INTERVALS_A_DAY).tolist()
        return self._prices[day][start_s % 86_400 // INTERVAL_S]
