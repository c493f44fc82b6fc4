"""DSO and aggregator trade flexibility explicitly, and pay for what was delivered (SPEC 2.5, 2.1)."""

import msgspec
import pytest
from recorded_run import RecordedRun

from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.market.flexibility_offering import FlexibilityOffering
from behaviours.market.opening import TrafficLightObedience
from behaviours.market.portfolio import PortfolioKeeping
from launch.scenario import scenario_of
from ontology.errors import Failed, ParityError
from ontology.flexibility_trading import (
    Disposition,
    DPrognosis,
    DRSignal,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexResponse,
    FlexSettlement,
    FlexSettlementResponse,
    OrderVerdict,
    RequestInterval,
)
from ontology.grid import GridState, GridStatusEvent
from ontology.ledger import SettlementKind
from ontology.performatives import Performative

changed = msgspec.structs.replace

CAREFUL = {"loading_yellow": 0.20, "loading_red": 3.0}
"""Thresholds of a DSO that calls a quarter of the transformer congestion: no night is without."""
NIGHT = {
    "start": "2024-02-13",
    "zone": "Europe/Berlin",
    "seed": 5,
    "population": {"sites": 12},
    "record": False,
}
LAST = 28
"""Intervals until the first orders are delivered and paid."""


def market(intervals=LAST, *, thresholds=CAREFUL, faults=None, **terms):
    """Return a night in which the DSO buys flexibility."""
    return scenario_of(
        NIGHT
        | {
            "intervals": intervals,
            "grid": {"transformer_kva": 30, "thresholds": thresholds},
            "flexibility_market": {"active": True, "loading": 0.25} | terms,
            "faults": faults or {},
        }
    )


def agent(run, name):
    return run.community.agents[f"{name}@localhost"]


def bought(run):
    return agent(run, "dso").behaviour(FlexibilityProcurement).orders


def sold(run):
    return agent(run, "aggregator").behaviour(FlexibilityOffering).sold


def noted(run, kind):
    """Return the letters of a type that were read."""
    return list(run.noted(kind))


def ran(scenario, at=None):
    """Run a scenario, doing something before some intervals."""
    run = RecordedRun(scenario)
    for interval in range(scenario.intervals):
        if at and interval in at:
            at[interval](run)
        run.step()
    run.offline.settle()
    return run


def until_ordered(intervals=12):
    """Run a market until the first order stands; return the run and the order."""
    run = RecordedRun(market(intervals)).step()
    while not bought(run):
        assert run.intervals_done < intervals
        run.step()
    return run, next(iter(bought(run).values()))


def restart(run, name):
    run.offline.loop.call_soon(run.community.restart, f"{name}@localhost")


def outcome(run, work):
    """Return (or raise) what comes of a conversation within a minute."""
    tasks = []
    loop = run.offline.loop
    loop.call_soon(lambda: tasks.append(loop.create_task(work)))
    run.offline.clock.advance_to(run.offline.clock.now_s() + 60)
    return tasks[0].result()


def flexibility_payments(run):
    """Return order, payer and tokens of each payment for flexibility."""
    payments = run.tables().payments
    names = run.community.cast.accounts
    return [
        (str(key).split(" ")[2], names[payer], int(tokens))
        for key, payer, tokens in zip(
            payments["settlement"], payments["payer"], payments["tokens"], strict=True
        )
        if str(key).startswith(SettlementKind.FLEXIBILITY_ORDER)
    ]


@pytest.fixture(scope="module")
def night():
    return ran(market())


# -- from the request to the payment -----------------------------------------------------------------------


def test_requests_offers_and_orders_come_in_time_before_delivery(night):
    for kind in (FlexRequest, FlexOffer):
        ahead_s = [each.content.period_start_s - each.time_s for each in noted(night, kind)]
        assert min(ahead_s) >= 2700
        assert max(ahead_s) <= 6300
    placed = [each for each in noted(night, FlexOrder) if each.envelope.performative == "accept-proposal"]
    for each in placed:
        assert each.content.period_start_s - each.time_s <= 2701


def test_an_order_is_for_an_option_of_the_offer_and_within_the_request(night):
    offers = {each.envelope.message_id: each.content for each in noted(night, FlexOffer)}
    requests = {each.envelope.message_id: each.content for each in noted(night, FlexRequest)}
    assert bought(night)
    for record in bought(night).values():
        offer = offers[record.order.offer_message_id]
        asked = {each.start_s: each for each in requests[offer.request_message_id].intervals}
        assert record.order.intervals in [option.intervals for option in offer.options]
        for start_s, power_w in record.powers_w.items():
            assert asked[start_s].power_min_w <= power_w <= asked[start_s].power_max_w


def test_no_kwh_costs_more_than_the_dso_is_willing_to_pay(night):
    for record in bought(night).values():
        energy_wh = sum(map(abs, record.powers_w.values())) / 4
        assert record.order.price_ticks <= energy_wh * 3000 / 1000 + 1


def test_what_was_metered_is_what_the_sites_drew(night):
    sites = night.tables().sites
    drawn_wh = {}
    for start_s, consumed, produced in zip(
        sites["start_s"], sites["consumed_wh"], sites["produced_wh"], strict=True
    ):
        drawn_wh[int(start_s)] = drawn_wh.get(int(start_s), 0) + int(consumed) - int(produced)
    metered = [each for letter in noted(night, FlexMetering) for each in letter.content.intervals]
    assert metered
    for each in metered:
        assert each.actual_w == pytest.approx(4 * drawn_wh[each.start_s], abs=4 * 12)


def test_the_baseline_is_the_prognosis_that_the_offer_named(night):
    prognoses = {each.envelope.message_id: each.content for each in noted(night, DPrognosis)}
    settled = [each for each in bought(night).values() if each.state.settlement]
    assert settled
    for record in settled:
        foreseen = {p.start_s: p.power_w for p in prognoses[record.order.prognosis_message_id].intervals}
        for each in record.state.settlement.intervals:
            assert each.baseline_w == foreseen[each.start_s]


def test_the_tokens_that_moved_are_what_was_delivered_less_penalties(night):
    payments = flexibility_payments(night)
    assert payments
    for reference, payer, tokens in payments:
        net = bought(night)[reference].state.settlement.net_ticks
        assert payer == ("grid" if net > 0 else "aggregator")
        assert tokens == abs(net)


def test_what_is_ordered_is_delivered_by_plants_that_members_form(night):
    plants = night.tables().plants
    assert {f"vpp-{reference}" for reference in sold(night)} <= set(plants["plant"])
    assert sum(plants["committed_wh"]) < 0


def test_nothing_went_wrong_on_the_way(night):
    counts = night.community.counts()
    assert counts.get("errors", 0) == 0
    assert counts.get("offers rejected", 0) == counts.get("orders rejected", 0) == 0
    assert counts.get("settlements disputed", 0) == counts.get("meterings not taken", 0) == 0


def test_the_tables_tell_what_was_ordered_delivered_and_paid(night):
    trades = night.tables().flexibility
    settled = trades["state"] == "SETTLED"
    assert settled.any()
    delivered, ordered = trades["delivered_wh"][settled], trades["ordered_wh"][settled]
    assert (ordered <= delivered).all()
    assert (delivered <= 0).all()
    assert (trades["earned_ticks"] <= trades["price_ticks"]).all()


def test_a_market_that_is_off_says_nothing():
    run = ran(market(4, active=False))
    assert noted(run, FlexRequest) == noted(run, DPrognosis) == []


@pytest.mark.slow
def test_the_trade_is_the_same_in_every_run():
    one, other = (ran(market(10)).tables().flexibility for _ in range(2))
    assert len(one["order"]) > 0
    assert {name: list(column) for name, column in one.items()} == {
        name: list(column) for name, column in other.items()
    }


# -- deaths and lost letters -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dso", "aggregator"])
def test_whoever_dies_after_ordering_the_order_is_paid_once(name):
    run, first = until_ordered(LAST)
    reference = first.order.order_reference
    run.community.kill(f"{name}@localhost")
    run.step(2)
    restart(run, name)
    while run.offline.clock.now_s() < first.end_s + 3600:
        run.step()
    record = bought(run)[reference]
    assert record.state.paid
    paid = [each for each in flexibility_payments(run) if each[0] == reference]
    assert len(paid) == (record.state.settlement.net_ticks != 0)
    assert run.community.counts().get("errors", 0) == 0


@pytest.mark.slow
def test_an_aggregator_that_dies_before_metering_meters_after_its_restart():
    run, first = until_ordered(LAST)
    reference = first.order.order_reference
    while run.offline.clock.now_s() < first.end_s - 900:
        run.step()
    run.community.kill("aggregator@localhost")
    run.step(2)
    assert bought(run)[reference].state.settlement is None
    restart(run, "aggregator")
    run.step(2)
    assert bought(run)[reference].state.agreed
    named = [o.order_reference for each in noted(run, FlexSettlementResponse) for o in each.content.orders]
    assert named.count(reference) == 1


@pytest.mark.slow
def test_an_order_said_again_counts_once_and_another_under_its_reference_is_refused():
    run, record = until_ordered()
    dso = agent(run, "dso")
    for _ in range(2):
        answer = outcome(run, dso.ask("aggregator@localhost", record.order, FlexResponse))
        assert answer.result == "Accepted"
    plants = [p for p in run.tables().plants["plant"] if p == f"vpp-{record.order.order_reference}"]
    assert len(plants) == 1
    other = changed(record.order, price_ticks=record.order.price_ticks + 1)
    with pytest.raises(Failed, match="duplicate reference"):
        outcome(run, dso.ask("aggregator@localhost", other, FlexResponse))


@pytest.mark.slow
def test_lost_letters_cost_no_order_twice():
    lossy = ran(market(faults={"loss": 0.02}))
    payments = flexibility_payments(lossy)
    assert len({reference for reference, *_ in payments}) == len(payments)
    for record in bought(lossy).values():
        if record.state.paid:
            assert sold(lossy)[record.order.order_reference].agreed


# -- what is refused ---------------------------------------------------------------------------------------


def ask_for(run, start_s, **changes):
    """Let the DSO ask the aggregator for an interval's flexibility; return the offer."""
    request = FlexRequest(
        period_start_s=start_s,
        period_end_s=start_s + 900,
        revision=50,
        expiration_s=start_s - 60,
        intervals=[
            RequestInterval(
                disposition=Disposition.REQUESTED, power_min_w=-2000, power_max_w=0, start_s=start_s
            )
        ],
        **{"congestion_point": "segment-001"} | changes,
    )
    asking = agent(run, "dso").ask(
        "aggregator@localhost", request, FlexOffer, within_s=30, act=Performative.CFP
    )
    return outcome(run, asking)


@pytest.fixture(scope="module")
def calm():
    """A market in whose first half hour nothing has been traded."""
    return RecordedRun(market(12, loading=1.0)).step(2)


def soon(run, intervals):
    return int(run.offline.clock.now_s()) // 900 * 900 + intervals * 900


def test_a_request_that_breaks_rules_is_refused_with_every_reason(calm):
    with pytest.raises(ParityError) as refused:
        ask_for(calm, soon(calm, 6), congestion_point="elsewhere", contract_id="none")
    assert "unknown congestion point" in str(refused.value)
    assert "unknown contract" in str(refused.value)


def light(state, start_s):
    return GridStatusEvent(
        segment_id="segment-001",
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=0,
        state=state,
        causes=[],
        loading=0.9,
        voltage_min_pu=0.97,
        voltage_max_pu=1.0,
    )


def test_flexibility_is_traded_for_yellow_intervals_only(calm):
    obedience = agent(calm, "aggregator").behaviour(TrafficLightObedience)
    start_s = soon(calm, 5)
    for state in (GridState.GREEN, GridState.RED):
        obedience.take(light(state, start_s), None)
        with pytest.raises(ParityError, match=f"not traded while {state}"):
            ask_for(calm, start_s)
    obedience.take(light(GridState.YELLOW, start_s), None)
    assert ask_for(calm, start_s).options


def test_an_unasked_offer_is_declined_with_the_reason(calm):
    offer = ask_for(calm, soon(calm, 6))
    unasked = changed(offer, unsolicited=True, request_message_id="")
    asking = agent(calm, "aggregator").ask("dso@localhost", unasked, FlexResponse, act=Performative.PROPOSE)
    with pytest.raises(ParityError, match="unsolicited"):
        outcome(calm, asking)


@pytest.mark.slow
def test_an_offer_is_taken_back_when_the_portfolio_can_no_longer_do_it():
    run = RecordedRun(market(12)).step()
    offering = agent(run, "aggregator").behaviour(FlexibilityOffering)
    while not (made := [o for o in offering.offers.values() if o.is_open(run.offline.clock.now_s())]):
        assert run.intervals_done < 12
        run.step()
    portfolio = agent(run, "aggregator").behaviour(PortfolioKeeping)
    for each in list(portfolio.covering([f"p{n:03d}" for n in range(1, 13)], made[0].offer.period_start_s)):
        none = [0] * len(each.up_w)
        portfolio.note(changed(each, up_w=none, down_w=none), None)
    outcome(run, offering.revoke())
    assert made[0].revoked
    run.step(4)
    assert noted(run, FlexOfferRevocation)
    assert made[0].message_id not in {each.order.offer_message_id for each in bought(run).values()}


def test_after_the_order_a_revocation_is_refused():
    run, record = until_ordered()
    revocation = FlexOfferRevocation(offer_message_id=record.order.offer_message_id)
    asking = agent(run, "aggregator").ask("dso@localhost", revocation, FlexResponse, act=Performative.CANCEL)
    with pytest.raises(Failed, match="already ordered"):
        outcome(run, asking)


def test_a_settlement_of_other_figures_is_disputed(night):
    record = next(each for each in bought(night).values() if each.state.paid)
    wrong = changed(record.state.settlement, net_ticks=1)
    settlement = FlexSettlement(
        period_start_s=record.order.period_start_s, period_end_s=record.order.period_end_s, orders=[wrong]
    )
    asking = agent(night, "dso").ask(
        "aggregator@localhost", settlement, FlexSettlementResponse, act=Performative.PROPOSE
    )
    answer = outcome(night, asking)
    assert [each.verdict for each in answer.orders] == [OrderVerdict.DISPUTED]
    assert "net_ticks is 1" in answer.orders[0].reason


# -- reservations and RED ----------------------------------------------------------------------------------


def test_what_a_contract_holds_is_kept_from_other_sales_until_the_dso_releases_it():
    run = ran(market(9, thresholds={}, loading=1.0, reserved_kw=5.0))
    portfolio = agent(run, "aggregator").behaviour(PortfolioKeeping)
    released = {each.content.period_start_s for each in noted(run, FlexReservation)}
    assert released
    assert {portfolio.promised_w(start_s, "segment-001") for start_s in released} == {0}
    assert portfolio.promised_w(max(released) + 900, "segment-001") == 5000


def test_too_little_flexibility_makes_an_interval_red_15_minutes_ahead():
    """The DSO is willing to pay nothing, so nothing is bought, and the emergency contract is called once."""
    strict = {"loading_yellow": 0.20, "loading_red": 0.28}
    run = ran(market(12, thresholds=strict, loading=0.22, willingness=0.0))
    events = run.contents(GridStatusEvent, to="repository")
    early = [e for e in events if e.start_s - e.published_at_s == 900]
    assert early
    assert {event.state for event in early} == {GridState.RED}
    assert bought(run) == {}
    signals = [each.start_s for each in run.contents(DRSignal, to="aggregator")]
    for event in early:
        later = [
            e.state for e in events if e.start_s == event.start_s and e.published_at_s > event.published_at_s
        ]
        assert set(later) <= {GridState.RED}
        assert signals.count(event.start_s) == 1
