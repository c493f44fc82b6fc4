"""A DSO outside buys from the community's aggregator, all of it sealed UFTP, in virtual time (SPEC 2.5)."""

from itertools import pairwise

import pytest
from outside_market import (
    AGR,
    DSO,
    Buyer,
    Foreigner,
    OutsideRun,
    changed,
    keys_in,
    local,
    night,
    outside,
)

from behaviours.market.flexibility_offering import FlexibilityOffering
from behaviours.market.portfolio import PortfolioKeeping
from ontology.discourse import FailureReport, Refusal
from ontology.errors import InvalidInput
from ontology.flexibility_trading import (
    Disposition,
    DPrognosis,
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
    PowerInterval,
    RequestInterval,
    ResponseResult,
    TradeDocument,
)
from ontology.performatives import Performative as Act

MIDNIGHT_S = local("2024-02-13T00:00")
NEXT_S = MIDNIGHT_S + 86_400
ONE_S, HALF_PAST_TWO_S = MIDNIGHT_S + 3600, MIDNIGHT_S + 9000
LAST = 15
"""Intervals until an order of half past two is delivered and settled."""
FIRST = "order 1@dso.example.org"
"""What its first order is called inside."""
ACCEPTED, REJECTED = ResponseResult.ACCEPTED, ResponseResult.REJECTED


def asking(**changes):
    """A request for 3 kW less from half past two, for half an hour in one ISP; its period is the day."""
    fields = {
        "period_start_s": MIDNIGHT_S,
        "period_end_s": NEXT_S,
        "congestion_point": "segment-001",
        "revision": 1,
        "expiration_s": HALF_PAST_TWO_S - 900,
        "intervals": [
            RequestInterval(
                disposition=Disposition.REQUESTED,
                power_min_w=-3000,
                power_max_w=0,
                start_s=HALF_PAST_TWO_S,
                duration_s=1800,
            )
        ],
    }
    return FlexRequest(**(fields | changes))


def begin(tmp_path, buyer, *, intervals=LAST + 2, **changes):
    """Three households whose aggregator sells outside, asked by `buyer` at one o'clock."""
    keys = keys_in(tmp_path)
    foreigner = Foreigner(DSO, keys[DSO], buyer)
    homes = {"sites": 3, "shares": {"battery": 1.0, "pv": 1.0}}
    scenario = night(outside(tmp_path, AGR), intervals, population=homes, **changes)
    return OutsideRun(scenario, keys, foreigner)


def asked(tmp_path, buyer, **changes):
    run = begin(tmp_path, buyer)
    run.at(ONE_S, lambda: run.foreigner.say(asking(**changes), letter="request", conversation="evening"))
    return run


def sold(run):
    return run.community.agents["aggregator@localhost"].behaviour(FlexibilityOffering).sold


def responses(run, document):
    """What the community responded to a kind of document: accepted, or the reasons."""
    return [each for each in run.foreigner.of(FlexResponse) if each.document is document]


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    buyer = Buyer(activation=0.5)
    run = asked(tmp_path_factory.mktemp("keys"), buyer)
    return run.step(LAST), buyer


def test_from_the_request_to_the_settlement_each_step_is_answered(traded):
    run, _ = traded
    request, order = (responses(run, each) for each in (TradeDocument.FLEX_REQUEST, TradeDocument.FLEX_ORDER))
    assert [each.result for each in (*request, *order)] == [ResponseResult.ACCEPTED] * 2
    assert len(run.foreigner.of(FlexOffer)) == len(run.foreigner.of(FlexMetering)) == 1
    (verdict,) = run.foreigner.of(FlexSettlementResponse)
    assert [each.verdict for each in verdict.orders] == [OrderVerdict.ACCEPTED]
    assert run.community.counts().get("errors", 0) == 0


def test_the_offer_names_a_prognosis_of_the_day_that_tells_its_intervals(traded):
    run, _ = traded
    (offer,) = run.foreigner.of(FlexOffer)
    assert (offer.period_start_s, offer.period_end_s) == (MIDNIGHT_S, NEXT_S)
    foreseen = run.foreigner.prognosis(offer.prognosis_message_id)
    assert {each.start_s for option in offer.options for each in option.intervals} <= foreseen.keys()


def test_the_day_has_one_prognosis_whose_revision_rises(traded):
    run, _ = traded
    prognoses = run.foreigner.of(DPrognosis)
    assert {(each.period_start_s, each.period_end_s) for each in prognoses} == {(MIDNIGHT_S, NEXT_S)}
    assert [each.revision for each in prognoses] == list(range(1, len(prognoses) + 1))
    told = [{each.start_s for each in prognosis.intervals} for prognosis in prognoses]
    assert all(before < after for before, after in pairwise(told))


def test_the_order_becomes_a_plant_and_is_metered_as_the_sites_drew(traded):
    run, buyer = traded
    assert set(sold(run)) == {FIRST}
    assert f"vpp-{FIRST}" in set(run.tables().plants["plant"])
    sites, drawn_wh = run.tables().sites, {}
    rows = zip(sites["start_s"], sites["consumed_wh"], sites["produced_wh"], strict=True)
    for start_s, consumed, produced in rows:
        drawn_wh[int(start_s)] = drawn_wh.get(int(start_s), 0) + int(consumed) - int(produced)
    (metering,) = run.foreigner.of(FlexMetering)
    assert {each.start_s for each in metering.intervals} == {HALF_PAST_TWO_S, HALF_PAST_TWO_S + 900}
    for each in metering.intervals:
        assert each.actual_w == pytest.approx(4 * drawn_wh[each.start_s], abs=4 * 3)
    assert buyer.orders[0].activation_factor == 0.5


def test_the_tables_tell_the_trade_and_no_token_moves_to_who_has_no_account(traded):
    run, buyer = traded
    trades = run.tables().flexibility
    assert list(trades["order"]) == [FIRST]
    assert list(trades["state"]) == ["SETTLED"]
    assert list(trades["price_ticks"]) == [buyer.orders[0].price_ticks]
    assert not [each for each in run.tables().payments["settlement"] if "FLEXIBILITY" in str(each).upper()]


def test_inside_nobody_but_the_gateway_asks_the_aggregator(traded):
    run, _ = traded
    assert {each.envelope.sender for each in run.noted(FlexRequest, to="aggregator")} == {run.gateway}
    assert not list(run.noted(DPrognosis, to="dso"))


# -- what is rejected, and why -----------------------------------------------------------------------------

NOON = changed(asking().intervals[0], start_s=MIDNIGHT_S + 43_200)
NOT_ASKED_SO = {
    "congestion point": ({"congestion_point": "ean.999999999999999999"}, "unknown congestion point"),
    "contract": ({"contract_id": "none"}, "unknown contract"),
    "expired": ({"expiration_s": MIDNIGHT_S}, "expired"),
    "beyond the prognosis": ({"intervals": [NOON]}, "nothing is foreseen yet"),
    "older revision": ({"revision": 1}, "outdated revision"),
}
NOT_ORDERED_SO = {
    "price": ({"price_ticks": 1}, "price differs from the offer"),
    "option": ({"option_reference": "another"}, "unknown option"),
    "activation": ({"activation_factor": 0.01}, "activation factor below the minimum"),
    "baseline": ({"baseline_reference": "same-slot-7d"}, "baseline differs from the offer"),
    "intervals": (
        {"intervals": [PowerInterval(start_s=HALF_PAST_TWO_S, power_w=-5000)]},
        "intervals differ from the offer",
    ),
    "offer": ({"offer_message_id": "00000000-aaaa-4bbb-8ccc-000000000000"}, "unknown offer"),
    "again": ({"order_reference": "order 1", "price_ticks": 2}, "duplicate reference"),
}


class Clumsy(Buyer):
    """Orders once as is right, and then in every wrong way."""

    def _order(self, me, said, offer):
        super()._order(me, said, offer)
        for name, (changes, _) in NOT_ORDERED_SO.items():
            other = changed(self.orders[0], **({"order_reference": name} | changes))
            me.say(other, letter=name, conversation=said.conversation)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    run = begin(tmp_path_factory.mktemp("keys"), Clumsy())

    def ask():
        run.foreigner.say(asking(revision=2), letter="request", conversation="evening")

    def ask_wrongly():
        for name, (changes, _) in NOT_ASKED_SO.items():
            run.foreigner.say(asking(**({"revision": 9} | changes)), letter=name)

    run.at(ONE_S, ask)
    run.at(ONE_S + 600, ask_wrongly)
    return run.step(6)


def objection(run, letter, kind):
    """Why something that was said outside was not taken."""
    (said,) = (e for e in run.foreigner.heard if e.in_reply_to == letter and isinstance(e.content, kind))
    return said.content.reason


@pytest.mark.parametrize("name", NOT_ASKED_SO)
def test_a_request_that_breaks_a_rule_is_rejected_with_the_reason(refused, name):
    reason = objection(refused, name, Refusal)
    assert NOT_ASKED_SO[name][1] in reason
    assert "localhost" not in reason


@pytest.mark.parametrize("name", NOT_ORDERED_SO)
def test_an_order_that_breaks_a_rule_is_rejected_with_the_reason(refused, name):
    assert NOT_ORDERED_SO[name][1] in objection(refused, name, FailureReport)
    assert set(sold(refused)) == {FIRST}


def test_an_order_by_another_way_to_write_its_intervals_is_the_same(tmp_path):
    class Brief(Buyer):
        def _order(self, me, said, offer):
            first, *_ = offer.options[0].intervals
            self.changes = {"intervals": [changed(first, duration_s=1800)]}
            super()._order(me, said, offer)

    little = changed(asking().intervals[0], power_min_w=-600)
    run = asked(tmp_path, Brief(), intervals=[little]).step(6)
    offered = run.foreigner.of(FlexOffer)[0].options[0].intervals
    assert [each.power_w for each in offered] == [-600, -600]
    assert set(sold(run)) == {FIRST}


@pytest.mark.slow
def test_a_settlement_of_other_figures_is_disputed_with_the_reason(tmp_path):
    run = asked(tmp_path, Buyer())
    say = run.foreigner.say

    def less(content, **about):
        if isinstance(content, FlexSettlement):
            content = changed(content, orders=[changed(each, net_ticks=-1) for each in content.orders])
        return say(content, **about)

    run.foreigner.say = less
    run.step(LAST)
    (verdict,) = run.foreigner.of(FlexSettlementResponse)
    assert verdict.orders[0].verdict is OrderVerdict.DISPUTED
    assert "net_ticks is -1" in verdict.orders[0].reason


def test_a_reservation_is_taken_under_a_contract_up_to_what_it_holds(tmp_path):
    run = begin(tmp_path, Buyer())
    market = changed(run.scenario.flexibility_market, reserved_kw=2.0)
    run = OutsideRun(changed(run.scenario, flexibility_market=market), run.keys, run.foreigner)
    day = {"period_start_s": MIDNIGHT_S, "period_end_s": NEXT_S, "congestion_point": "segment-001"}

    def reserve():
        for contract, power_w in (("reserve", -500), ("reserve", -5000), ("none", -500)):
            whole = [PowerInterval(start_s=MIDNIGHT_S, duration_s=86_400, power_w=power_w)]
            run.foreigner.say(FlexReservation(**day, contract_id=contract, intervals=whole))

    run.at(local("2024-02-13T00:30"), reserve)
    run.step(3)
    taken, too_much, unknown = responses(run, TradeDocument.FLEX_RESERVATION)
    assert taken.result is ACCEPTED
    assert "more than the contract holds" in too_much.reasons[0]
    assert "unknown contract" in unknown.reasons[0]
    portfolio = run.community.agents["aggregator@localhost"].behaviour(PortfolioKeeping)
    assert portfolio.promised_w(HALF_PAST_TWO_S, "segment-001") == 500


# -- midnight, deaths, repetitions --------------------------------------------------------------------------


def test_a_prognosis_that_passes_midnight_is_one_for_each_day(tmp_path):
    run = begin(tmp_path, Buyer(), intervals=6, start="2024-02-12T18:00").step(6)
    by_day = {}
    for each in run.foreigner.of(DPrognosis):
        by_day.setdefault(each.period_start_s, []).append(each)
    assert set(by_day) == {MIDNIGHT_S - 86_400, MIDNIGHT_S}
    for day_s, prognoses in by_day.items():
        assert [each.revision for each in prognoses] == list(range(1, len(prognoses) + 1))
        for each in prognoses:
            assert all(day_s <= part.start_s < day_s + 86_400 for part in each.intervals)


def slow(kind):
    return pytest.param(kind, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "kind",
    [
        slow(FlexRequest),
        slow(FlexOffer),
        FlexOrder,
        slow(FlexResponse),
        slow(FlexMetering),
        slow(FlexSettlement),
        slow(FlexSettlementResponse),
    ],
)
def test_a_gateway_that_dies_at_any_message_goes_on_and_nothing_counts_twice(tmp_path, kind):
    buyer = Buyer()
    run = asked(tmp_path, buyer)
    deaths = []

    def die_at(content):
        if isinstance(content, kind) and not deaths:
            deaths.append(content)
            run.crash()
            run.offline.loop.call_later(600, run.recover)

    run.foreigner.at_each(die_at)
    run.step(LAST + 2)
    assert deaths
    assert [each.order_reference for each in buyer.orders] == ["order 1"]
    assert len(run.foreigner.of(FlexOffer)) == 1
    assert sold(run)[FIRST].agreed
    assert list(run.tables().flexibility["state"]) == ["SETTLED"]
    assert run.community.counts().get("errors", 0) == 0


@pytest.mark.slow
def test_what_comes_while_the_aggregator_is_away_is_brought_when_it_is_back(tmp_path):
    buyer = Buyer()
    run = asked(tmp_path, buyer)

    def die_at(content):
        if isinstance(content, FlexOrder):
            run.community.kill("aggregator@localhost")
            run.offline.loop.call_later(300, run.community.restart, "aggregator@localhost")

    run.foreigner.at_each(die_at)
    run.step(6)
    assert set(sold(run)) == {FIRST}
    assert [each.result for each in responses(run, TradeDocument.FLEX_ORDER)] == [ACCEPTED]


@pytest.mark.slow
def test_an_order_that_is_said_again_counts_once(tmp_path):
    buyer = Buyer()
    run = asked(tmp_path, buyer)
    again_s = ONE_S + 900
    run.at(again_s, lambda: run.foreigner.say(buyer.orders[0], letter="again", conversation="evening"))
    run.step(6)
    assert [each.result for each in responses(run, TradeDocument.FLEX_ORDER)] == [ACCEPTED] * 2
    plants = [each for each in run.tables().plants["plant"] if each == f"vpp-{FIRST}"]
    assert len(plants) == 1


def test_a_revocation_is_told_outside_once_and_answered_inside(tmp_path):
    class Patient(Buyer):
        def __call__(self, me, said):
            if isinstance(said.content, FlexOfferRevocation):
                me.respond(said, TradeDocument.FLEX_OFFER_REVOCATION)

    run = asked(tmp_path, Patient()).step(5)
    aggregator = run.community.agents["aggregator@localhost"]
    (made,) = aggregator.behaviour(FlexibilityOffering).offers.values()
    answers = []

    async def revoke():
        revocation = FlexOfferRevocation(offer_message_id=made.message_id)
        for _ in range(2):
            answers.append(await aggregator.ask(run.gateway, revocation, FlexResponse, act=Act.CANCEL))

    run.offline.loop.call_soon(lambda: aggregator.spawn(revoke()))
    run.step(1)
    assert [each.result for each in answers] == [ACCEPTED] * 2
    assert len(run.foreigner.of(FlexOfferRevocation)) == 1


def test_offline_there_is_nobody_outside(tmp_path, community):
    keys_in(tmp_path)
    with pytest.raises(InvalidInput, match="a live run"):
        community(scenario=night(outside(tmp_path, AGR), 1))
