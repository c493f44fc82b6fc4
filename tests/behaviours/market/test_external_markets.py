"""Bids, sales and their settlement between the aggregator and the emulated markets, in a town (SPEC 2.6)."""

import pytest

from behaviours.behaviour import Behaviour, on
from behaviours.market.external_bidding import ExternalBidding, ExternalDelivering, ReserveKeeping
from behaviours.market.external_clearing import (
    BidClearing,
    ExternalMarketsSettings,
    FrequencyWatching,
    ReserveCalling,
    SaleSettling,
)
from behaviours.market.opening import AggregatorSettings, PortfolioMember, TrafficLightObedience
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.signing import Signer
from behaviours.vpp.initiation import VppInitiation
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.flexibility import FlexibilityForecast
from ontology.grid import GridState, GridStatusEvent
from ontology.grid_coordination import ActivationLimit, ActivationLimits, ActivationPlan, ActivationStage
from ontology.market import (
    ExternalBid,
    ExternalBidWithdrawal,
    ExternalDelivery,
    ExternalProduct,
    ExternalSettlement,
)
from ontology.roles import Role

INTRADAY, MFRR = ExternalProduct.WS_INTRADAY, ExternalProduct.MFRR
AGGREGATOR, MARKETS, DSO = "aggregator@town", "markets@town", "dso@town"
DAY_S = 1_750_032_000
"""Midnight, so that intervals are easy to count."""


class Lights(Behaviour):
    """A DSO that publishes what it is told to, and caps activations at `room_w`, or says nothing (None)."""

    publishes = (GridStatusEvent,)

    def setup(self):
        self.room_w = 1_000_000
        self.plans = []

    @on(ActivationPlan)
    def limit(self, plan, letter):
        if self.room_w is None:
            raise Refused("nothing is foreseen")
        self.plans.append(plan)
        limits = [
            ActivationLimit(segment_id=each.segment_id, less_max_w=self.room_w, more_max_w=self.room_w)
            for each in plan.shares
        ]
        return ActivationLimits(bid_id=plan.bid_id, start_s=plan.start_s, limits=limits)

    def show(self, state, start_s):
        event = GridStatusEvent(
            segment_id="f1",
            start_s=start_s,
            end_s=start_s + 900,
            published_at_s=self.now_s(),
            state=state,
            causes=[],
            loading=0.5,
            voltage_min_pu=1.0,
            voltage_max_pu=1.0,
        )
        self.publish(event, "f1")


class Trade:
    """An aggregator with flexibility, the emulated markets, and a DSO with a switch."""

    def __init__(self, town):
        self.town = town
        town.clock.advance_to(DAY_S)
        self.signers = {
            name: Signer(bytes([i]) * 32) for i, name in enumerate(("aggregator", "markets", "dso"))
        }
        self.dso = town.agent("dso", Role.DSO, Lights, signer=self.signers["dso"])
        self.start_markets()
        self.start_aggregator()
        town.run(1)

    def start_markets(self):
        settings = ExternalMarketsSettings(dso=DSO, aggregator=AGGREGATOR, seed=1)
        self.markets = self.town.agent(
            "markets",
            Role.EXTERNAL_MARKETS,
            BidClearing,
            ReserveCalling,
            FrequencyWatching,
            SaleSettling,
            settings=settings,
            signer=self.signers["markets"],
        )

    def start_aggregator(self, products=(INTRADAY,)):
        settings = AggregatorSettings(
            market_engine="",
            market_operator="",
            dso=DSO,
            repository="",
            external_markets=MARKETS,
            segments=("f1",),
            portfolio=(PortfolioMember(site="h001", segment_id="f1", prosumer="h001-prosumer@town"),),
            external_products=products,
        )
        self.aggregator = self.town.agent(
            "aggregator",
            Role.AGGREGATOR,
            PortfolioKeeping,
            TrafficLightObedience,
            VppInitiation,
            ExternalBidding,
            ExternalDelivering,
            ReserveKeeping,
            settings=settings,
            signer=self.signers["aggregator"],
        )

    def until(self, minute, second=0):
        """Let time pass until a minute of the day."""
        self.town.clock.advance_to(DAY_S + 60 * minute + second)

    def has_flexibility(self, power_w=10_000):
        """Let a member report what it could do in the two hours from the present interval."""
        start_s = int(self.town.clock.now_s()) // 900 * 900
        forecast = FlexibilityForecast(
            subject="h001",
            start_s=start_s,
            up_w=[power_w] * 8,
            down_w=[0] * 8,
            duration_max_s=[900] * 8,
            cost_ticks_per_kwh=[300] * 8,
        )
        self.aggregator.behaviour(PortfolioKeeping).note(forecast, None)

    def show(self, state):
        start_s = int(self.town.clock.now_s()) // 900 * 900 + 900
        self.town.soon(self.dso.behaviour(Lights).show, state, start_s)

    @property
    def settlements(self):
        return self.aggregator.behaviour(ExternalDelivering).settlements

    def book(self, kind="open "):
        return self.markets.kept_names(kind)

    def ask(self, content, answer):
        return self.town.outcome(self.aggregator.ask(MARKETS, content, answer))


@pytest.fixture
def trade(town):
    return Trade(town)


def an_open_bid(trade):
    """Bid for 1:30 at 0:10:40; the gate closes at 0:30."""
    trade.has_flexibility()
    trade.until(10, 41)
    (name,) = trade.book()
    return name.removeprefix("open ")


def a_sale(trade):
    bid_id = an_open_bid(trade)
    trade.until(30, 2)
    assert trade.book("sold ") == [f"sold {bid_id}"]
    return bid_id


def test_a_bid_is_open_until_its_gate_and_then_sold_at_the_clearing_price(trade):
    bid_id = an_open_bid(trade)
    assert bid_id == f"ws-intraday-{DAY_S + 90 * 60}"
    trade.until(29, 59)
    assert f"open {bid_id}" in trade.book()
    trade.until(30, 2)
    assert f"open {bid_id}" not in trade.book()
    assert trade.aggregator.kept(f"external sale {bid_id}", ExternalBid).energy_wh == -2_000


def test_when_a_segment_leaves_green_open_bids_are_withdrawn_within_five_seconds(trade):
    bid_id = an_open_bid(trade)
    trade.until(25)
    trade.show(GridState.YELLOW)
    trade.until(25, 5)
    assert trade.book() == []
    assert trade.aggregator.counts["bids withdrawn"] == 1
    trade.until(31)
    assert trade.book("sold ") == []
    assert trade.aggregator.kept_names(f"external sale {bid_id}") == []


@pytest.mark.parametrize("state", [GridState.YELLOW, GridState.RED])
def test_while_a_segment_is_not_green_the_book_is_closed_to_everyone(trade, state):
    trade.has_flexibility()
    trade.until(5)
    trade.show(state)
    trade.until(11)
    assert trade.book() == []
    bid = ExternalBid(
        bid_id="anyway", product=INTRADAY, start_s=DAY_S + 7_200, energy_wh=-100, price_ticks_per_kwh=1
    )
    with pytest.raises(Refused, match="GREEN"):
        trade.ask(bid, Acknowledgement)


def test_a_sale_stays_sold_when_the_light_turns_and_what_is_not_delivered_is_imbalance(trade):
    bid_id = a_sale(trade)
    trade.until(40)
    trade.show(GridState.RED)
    with pytest.raises(Refused, match="is sold"):
        trade.ask(ExternalBidWithdrawal(bid_id=bid_id), Acknowledgement)
    trade.until(106)
    (settlement,) = trade.settlements
    price = trade.markets.behaviour(BidClearing).price(INTRADAY, DAY_S + 90 * 60)
    assert (settlement.ordered_wh, settlement.delivered_wh) == (-2_000, 0)
    assert settlement.energy_ticks == 2 * price
    assert settlement.imbalance_ticks == 3 * price


def test_a_withdrawal_that_the_market_does_not_hear_is_said_again_and_its_gate_sells_nothing_in_yellow(trade):
    an_open_bid(trade)
    trade.until(24)
    trade.markets.kill()
    trade.show(GridState.YELLOW)
    trade.until(26)
    assert len(trade.aggregator.kept_names("external withdrawn ")) == 1
    trade.start_markets()
    trade.until(41)
    assert trade.book() == trade.book("sold ") == []
    assert trade.aggregator.kept_names("external ") == []


@pytest.mark.parametrize("who", ["aggregator", "markets"])
@pytest.mark.parametrize("minute", [12, 29, 31, 60, 100])
def test_bids_and_sales_survive_a_restart_of_either_side_and_nothing_is_sold_twice(trade, who, minute):
    bid_id = an_open_bid(trade)
    trade.until(minute)
    getattr(trade, who).kill()
    trade.until(minute, 30)
    getattr(trade, f"start_{who}")()
    trade.until(120)
    assert trade.markets.kept_names("settled ") == [f"settled {bid_id}"]
    assert trade.markets.kept(f"settled {bid_id}", ExternalSettlement).ordered_wh == -2_000
    assert [each.bid_id for each in trade.settlements] == [bid_id]
    bid = ExternalBid(
        bid_id=bid_id, product=INTRADAY, start_s=DAY_S + 18_000, energy_wh=-100, price_ticks_per_kwh=1
    )
    with pytest.raises(Refused, match="decided"):
        trade.ask(bid, Acknowledgement)


def test_a_sale_is_settled_once_whatever_is_said_to_have_been_delivered_afterwards(trade):
    bid_id = a_sale(trade)
    trade.until(106)
    late = ExternalDelivery(bid_id=bid_id, start_s=DAY_S + 90 * 60, delivered_wh=-2_000)
    assert trade.ask(late, ExternalSettlement) == trade.settlements[0]


def test_what_was_not_sold_cannot_be_settled(trade):
    with pytest.raises(Refused, match="not sold"):
        trade.ask(ExternalDelivery(bid_id="x", start_s=DAY_S, delivered_wh=-5), ExternalSettlement)


def test_the_same_flexibility_is_not_offered_for_two_products(trade):
    trade.aggregator.kill()
    trade.start_aggregator(products=(INTRADAY, MFRR))
    trade.town.run(1)
    trade.has_flexibility()
    trade.until(10, 41)
    bids = [trade.markets.kept(name, ExternalBid) for name in trade.book()]
    assert [bid.product for bid in bids] == [INTRADAY]
    assert 4 * sum(-bid.energy_wh for bid in bids) <= 10_000


def test_a_reserve_is_called_now_and_then_and_paid_for_being_there_at_any_rate(trade):
    trade.aggregator.kill()
    trade.start_aggregator(products=(MFRR,))
    trade.town.run(1)
    for quarter in range(24):
        trade.until(15 * quarter, 30)
        trade.has_flexibility()
    trade.until(15 * 24)
    called = [each for each in trade.settlements if each.ordered_wh]
    idle = [each for each in trade.settlements if not each.ordered_wh]
    assert called
    assert idle
    assert all(each.capacity_ticks > 0 for each in trade.settlements)
    assert all(each.energy_ticks == each.imbalance_ticks == 0 for each in idle)
    assert all(each.imbalance_ticks > 0 for each in called)  # nobody delivers in this town
    assert trade.aggregator.counts["reserves called"] >= len(called)


# -- the DSO's limits ----------------------------------------------------------------------------------------


def lights(trade):
    return trade.dso.behaviour(Lights)


def test_at_the_gate_the_dso_is_told_where_a_bid_is_to_be_delivered(trade):
    bid_id = a_sale(trade)
    (plan,) = lights(trade).plans
    assert (plan.bid_id, plan.stage, plan.start_s) == (
        bid_id,
        ActivationStage.PREQUALIFICATION,
        DAY_S + 90 * 60,
    )
    assert [(each.segment_id, each.energy_wh) for each in plan.shares] == [("f1", -2_000)]


def test_only_what_the_dsos_segments_bear_is_sold(trade):
    bid_id = an_open_bid(trade)
    lights(trade).room_w = 4_950
    trade.until(30, 2)
    sold = trade.aggregator.kept(f"external sale {bid_id}", ExternalBid)
    assert sold.energy_wh == -1_225, "whole steps of 100 W"
    assert trade.markets.kept(f"sold {bid_id}", ExternalBid) == sold
    assert trade.markets.counts["bids limited by the DSO"] == 1


def test_nothing_is_sold_where_the_dsos_limits_leave_nothing(trade):
    bid_id = an_open_bid(trade)
    lights(trade).room_w = 99
    trade.until(30, 2)
    assert not trade.book("sold ")
    assert not trade.aggregator.kept_names(f"external sale {bid_id}")
    assert trade.aggregator.counts["bids declined"] == 1


def test_nothing_is_sold_while_the_dso_does_not_say_what_its_segments_bear(trade):
    an_open_bid(trade)
    lights(trade).room_w = None
    trade.until(30, 10)
    assert not trade.book("sold ")
    assert trade.markets.counts["activation limits unknown"] == 1
