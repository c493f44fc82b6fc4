"""An aggregator outside sells to the community's DSO beside its own, all of it sealed UFTP (SPEC 2.5)."""

import asyncio

import pytest
from outside_market import (
    AGR,
    CAREFUL,
    DSO,
    ZONE,
    Foreigner,
    OutsideRun,
    Seller,
    changed,
    keys_in,
    least_cost_ticks,
    local,
    night,
    outside,
    url_of,
)

import behaviours.grid.flexibility_procurement as procurement
from behaviours.decisions.flexibility_market.daily_documents import day_end_s, day_start_s
from behaviours.decisions.flexibility_market.flexibility_settlement import ordered_powers
from behaviours.decisions.flexibility_market.selection import chosen_offers, cost_ticks
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from environments.uftp.endpoint import Receipt
from ontology.discourse import FailureReport, Refusal
from ontology.errors import ParityError
from ontology.flexibility_trading import (
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
    OrderStatus,
    OrderVerdict,
    PowerInterval,
    TradeDocument,
)
from ontology.performatives import Performative as Act

LAST = 16
"""Intervals until the first orders outside are delivered and settled."""
CHEAP = {"all": (1.0, 600), "half": (0.5, 280)}
DEAR = {"all": (1.0, 2999)}
RUINOUS = {"all": (1.0, 9000)}


def begin(tmp_path, seller, **changes):
    """Four households on a small transformer, whose DSO also asks an aggregator outside."""
    keys = keys_in(tmp_path)
    homes = {
        "population": {"sites": 4},
        "seed": 1,
        "grid": {"transformer_kva": 10, "thresholds": CAREFUL},
    }
    scenario = night(outside(tmp_path, DSO), LAST + 4, **(homes | changes))
    return OutsideRun(scenario, keys, Foreigner(AGR, keys[AGR], seller))


def orders(run):
    return run.community.agents["dso@localhost"].behaviour(FlexibilityProcurement).orders


def bought_outside(run):
    return [each for each in orders(run).values() if each.aggregator == run.gateway]


def responses(run, document):
    return [each for each in run.foreigner.of(FlexResponse) if each.document is document]


def slow(kind):
    return pytest.param(kind, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A night of trade, and each time what was needed, what was offered and what was chosen."""
    choices = []

    def choose(need_w, bids, willingness):
        chosen = chosen_offers(need_w, bids, willingness)
        choices.append((need_w, bids, willingness, chosen))
        return chosen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(procurement, "chosen_offers", choose)
        run = begin(tmp_path_factory.mktemp("keys"), Seller(CHEAP)).step(LAST)
    return run, choices


def test_both_aggregators_are_asked_and_both_sell(traded):
    run, choices = traded
    assert {bid.seller for _, bids, *_ in choices for bid in bids} == {"aggregator@localhost", run.gateway}
    assert any(len({each.bid.seller for each in chosen}) == 2 for *_, chosen in choices)
    assert run.community.counts().get("errors", 0) == 0


def test_what_the_dso_chooses_between_is_what_was_offered_outside(traded):
    run, choices = traded
    requests = run.foreigner.of(FlexRequest)
    offered = [bid.offer for _, bids, *_ in choices for bid in bids if bid.seller == run.gateway]
    assert len(offered) == len(requests)
    for request, offer in zip(requests, offered, strict=True):
        wanted = {each.start_s: each.power_min_w for each in request.intervals}
        whole = next(each for each in offer.options if each.option_reference == "all")
        assert {each.start_s: each.power_w for each in whole.intervals} == wanted


def test_no_other_choice_among_the_offers_would_have_cost_less(traded):
    _, choices = traded
    contested = [each for each in choices if len({bid.seller for bid in each[1]}) == 2]
    assert contested
    for need_w, bids, willingness, chosen in contested:
        least = least_cost_ticks(need_w, bids, willingness)
        assert cost_ticks(need_w, chosen, willingness) <= least + 0.5


def test_what_was_ordered_outside_is_metered_settled_and_paid_there(traded):
    run, _ = traded
    settled = [each for each in bought_outside(run) if each.state.agreed]
    assert settled
    named = {o.order_reference: o for each in run.foreigner.of(FlexSettlement) for o in each.orders}
    payments = [str(each) for each in run.tables().payments["settlement"]]
    for record in settled:
        name = record.order.order_reference
        assert named[name].price_ticks == record.order.price_ticks
        assert named[name].penalty_ticks == 0
        assert record.state.paid
        assert not [each for each in payments if name in each]


def test_each_order_names_offer_option_and_prognosis_of_the_seller(traded):
    run, _ = traded
    told = {each.message_id: each.content for each in run.foreigner.heard}
    said = run.foreigner.gateway.has_said
    for order in (each for each in told.values() if isinstance(each, FlexOrder)):
        assert said(order.offer_message_id)
        assert order.prognosis_message_id.startswith("prognosis ")


def test_every_document_of_the_seller_gets_its_response(traded):
    run, _ = traded
    asked = len(run.foreigner.of(FlexRequest))
    assert [r.reasons for r in responses(run, TradeDocument.D_PROGNOSIS)] == [[]] * asked
    assert [r.reasons for r in responses(run, TradeDocument.FLEX_OFFER)] == [[]] * asked


def test_requests_of_a_day_bear_revisions_that_rise(traded):
    run, _ = traded
    revisions = [each.revision for each in run.foreigner.of(FlexRequest)]
    assert len(revisions) > 1
    assert revisions == list(range(1, len(revisions) + 1))


@pytest.mark.slow
def test_what_was_bought_outside_is_not_asked_for_again(tmp_path):
    run = begin(tmp_path, Seller({"all": (1.0, 1)})).step(LAST)
    last_asked_w = {
        i.start_s: i.power_min_w for each in run.foreigner.of(FlexRequest) for i in each.intervals
    }
    assert bought_outside(run)
    for order in bought_outside(run):
        assert order.powers_w.items() <= last_asked_w.items()


def test_an_offer_that_is_not_chosen_was_in_order(tmp_path):
    run = begin(tmp_path, Seller(RUINOUS)).step(8)
    assert run.foreigner.of(FlexRequest)
    assert bought_outside(run) == run.foreigner.of(FlexOrder) == run.foreigner.of(Refusal) == []
    taken = responses(run, TradeDocument.FLEX_OFFER)
    assert [each.reasons for each in taken] == [[]] * len(run.foreigner.of(FlexRequest))


class Careless(Seller):
    """Makes, beside a good offer, offers that break rules."""

    def _offer(self, me, said, request):
        day = {"period_start_s": request.period_start_s, "period_end_s": request.period_end_s}
        good, say = [], me.say

        def keep(content, **about):
            if isinstance(content, FlexOffer):
                good.append(content)
            return say(content, **about)

        me.say = keep
        super()._offer(me, said, request)
        me.say = say
        (offer,) = good
        unasked = changed(offer, unsolicited=True, request_message_id="", **day)
        me.later(60, offer, letter=f"second {said.message_id}", conversation=said.conversation)
        me.later(60, unasked, letter=f"unasked {said.message_id}")


def test_a_second_offer_and_one_that_nobody_asked_for_are_rejected(tmp_path):
    run = begin(tmp_path, Careless(DEAR)).step(7)
    rejected = {e.in_reply_to.split()[0]: e.content.reason for e in run.foreigner.heard if is_refusal(e)}
    assert "not considered" in rejected["second"]
    assert "unsolicited" in rejected["unasked"]


def is_refusal(said):
    return isinstance(said.content, Refusal) and said.act is Act.REJECT_PROPOSAL


@pytest.mark.slow
def test_an_offer_that_comes_too_late_is_rejected(tmp_path):
    class Late(Seller):
        def __call__(self, me, said):
            if isinstance(said.content, FlexRequest):
                asyncio.get_running_loop().call_later(2400, self._offer, me, said, said.content)

    run = begin(tmp_path, Late(CHEAP)).step(8)
    reasons = [each.content.reason for each in run.foreigner.heard if is_refusal(each)]
    assert reasons == ["too late"]
    assert bought_outside(run) == []


def test_an_offer_without_a_prognosis_is_rejected_since_nothing_could_be_settled(tmp_path):
    run = begin(tmp_path, Seller(CHEAP, prognosis=False)).step(7)
    reasons = [each.content.reason for each in run.foreigner.heard if is_refusal(each)]
    assert reasons
    assert all("unknown prognosis" in each for each in reasons)
    assert bought_outside(run) == []


@pytest.mark.slow
def test_metering_before_the_time_is_rejected(tmp_path):
    class Prophet(Seller):
        def __call__(self, me, said):
            if isinstance(said.content, FlexOrder):
                self._meter(me, said.content)
            super().__call__(me, said)

    run = begin(tmp_path, Prophet(CHEAP)).step(10)
    (response,) = responses(run, TradeDocument.METERING)[:1]
    assert "interval is not over yet" in response.reasons[0]
    assert not any(each.state.settlement for each in bought_outside(run))


@pytest.mark.slow
def test_an_offer_that_is_taken_back_in_time_is_not_ordered_and_later_not_taken_back(tmp_path):
    class Fickle(Seller):
        def _offer(self, me, said, request):
            super()._offer(me, said, request)
            back = FlexOfferRevocation(offer_message_id=f"AGR {me._said}")
            me.later(60, back, letter=f"back {said.message_id}")

    run = begin(tmp_path, Fickle({"all": (1.0, 1)})).step(10)
    taken = responses(run, TradeDocument.FLEX_OFFER_REVOCATION)
    assert taken
    assert {each.result for each in taken} == {"Accepted"}
    assert bought_outside(run) == []


def test_after_the_order_a_revocation_fails(tmp_path):
    class Sorry(Seller):
        def __call__(self, me, said):
            answer = super().__call__(me, said)
            if isinstance(said.content, FlexOrder):
                back = FlexOfferRevocation(offer_message_id=said.content.offer_message_id)
                me.later(60, back, letter="back")
            return answer

    run = begin(tmp_path, Sorry({"all": (1.0, 1)})).step()
    while not bought_outside(run):
        run.step()
    run.step()
    (failed,) = (each.content for each in run.foreigner.heard if each.in_reply_to == "back")
    assert isinstance(failed, FailureReport)
    assert "already ordered" in failed.reason


@pytest.mark.slow
def test_an_order_that_the_seller_rejects_is_not_paid(tmp_path):
    class Unable(Seller):
        def __call__(self, me, said):
            if isinstance(said.content, FlexOrder):
                me.respond(said, TradeDocument.FLEX_ORDER, "out of order; sorry")
                return None
            return super().__call__(me, said)

    run = begin(tmp_path, Unable({"all": (1.0, 1)})).step(10)
    assert run.foreigner.of(FlexOrder)
    assert bought_outside(run) == []
    assert run.community.counts()["orders rejected"] == len(run.foreigner.of(FlexOrder))


@pytest.mark.slow
def test_an_order_without_an_answer_is_said_once_and_dropped_when_it_is_over(tmp_path):
    class Silent(Seller):
        def __call__(self, me, said):
            return None if isinstance(said.content, FlexOrder) else super().__call__(me, said)

    run = begin(tmp_path, Silent({"all": (1.0, 1)})).step(LAST + 4)
    said = run.foreigner.of(FlexOrder)
    references = [each.order_reference for each in said]
    assert len(references) == len(set(references)) > 0
    over = {e.order_reference for e in said if max(ordered_powers(e)) + 2700 < run.world.now_s}
    assert over
    assert not over & set(orders(run))


@pytest.mark.slow
def test_what_cannot_be_delivered_outside_has_failed(tmp_path):
    run = begin(tmp_path, Seller({"all": (1.0, 1)})).step()
    take = run.foreigner.gateway.take

    async def take_requests_only(body):
        return Receipt(401, "another key") if run.foreigner.of(FlexRequest) else await take(body)

    run.room.open(url_of(AGR), take_requests_only)
    run.step(8)
    assert run.foreigner.of(FlexOrder) == bought_outside(run) == []
    assert run.community.counts()["orders rejected"] > 0


@pytest.mark.slow
def test_an_aggregator_that_cannot_be_reached_leaves_the_trade_to_the_own_one(tmp_path):
    run = begin(tmp_path, Seller(CHEAP)).step()

    async def refuse(body):
        return Receipt(403, "unknown sender")

    run.room.open(url_of(AGR), refuse)
    run.step(9)
    assert bought_outside(run) == []
    assert run.community.counts()["flexibility not offered"] > 0
    assert orders(run)


@pytest.mark.slow
def test_a_penalty_for_what_is_missing_is_settled_as_agreed(tmp_path):
    run = begin(tmp_path, Seller({"all": (1.0, 100)}, delivers=0.5)).step(LAST)
    settled = [each.state.settlement for each in bought_outside(run) if each.state.agreed]
    assert settled
    for each in settled:
        missing_wh = sum(part.deficiency_w for part in each.intervals) / 4
        assert each.penalty_ticks == pytest.approx(2 * missing_wh, abs=1)


@pytest.mark.slow
def test_a_disputed_settlement_is_not_paid(tmp_path):
    class Litigious(Seller):
        def _judge(self, me, said, settlement):
            verdict = FlexSettlementResponse(
                settlement_message_id=said.message_id,
                orders=[
                    OrderStatus(
                        order_reference=each.order_reference,
                        verdict=OrderVerdict.DISPUTED,
                        reason="see our meter",
                    )
                    for each in settlement.orders
                ],
            )
            me.say(verdict, conversation=said.conversation, in_reply_to=said.message_id)

    run = begin(tmp_path, Litigious(CHEAP)).step(LAST)
    disputed = [each for each in bought_outside(run) if each.state.disputed]
    assert disputed
    assert {each.state.disputed for each in disputed} == {"see our meter"}
    assert not any(each.state.paid for each in disputed)


@pytest.mark.slow
def test_no_request_passes_the_local_midnight(tmp_path):
    grid = {"transformer_kva": 8, "thresholds": CAREFUL}
    run = begin(tmp_path, Seller(DEAR), start="2024-02-12T19:00", seed=5, grid=grid).step(18)
    requests = run.foreigner.of(FlexRequest)
    midnight_s = local("2024-02-13T00:00")
    assert {each.period_start_s < midnight_s for each in requests} == {True, False}
    for each in requests:
        day = day_start_s(each.period_start_s, ZONE), day_end_s(each.period_start_s, ZONE)
        assert all(day[0] <= part.start_s < day[1] for part in each.intervals)
    assert run.community.counts().get("errors", 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        slow(FlexRequest),
        slow(FlexOffer),
        slow(DPrognosis),
        FlexOrder,
        slow(FlexResponse),
        slow(FlexMetering),
        slow(FlexSettlement),
        slow(FlexSettlementResponse),
    ],
)
def test_a_gateway_that_dies_at_any_message_goes_on_and_nothing_counts_twice(tmp_path, kind):
    run = begin(tmp_path, Seller({"all": (1.0, 1)}))
    deaths = []

    def die_at(content):
        if isinstance(content, kind) and not deaths:
            deaths.append(content)
            run.crash()
            run.offline.loop.call_later(120, run.recover)

    run.foreigner.at_each(die_at)
    run.step(LAST + 4)
    assert deaths
    references = [each.order_reference for each in run.foreigner.of(FlexOrder)]
    assert len(references) == len(set(references)) > 0
    over = [each for each in bought_outside(run) if each.end_s < run.world.now_s - 3600]
    assert over
    assert all(each.state.paid for each in over)
    settled = [o.order_reference for each in run.foreigner.of(FlexSettlement) for o in each.orders]
    assert len(settled) == len(set(settled))
    assert run.community.counts().get("errors", 0) == 0


def test_a_document_that_was_taken_is_taken_again_when_it_comes_again(tmp_path):
    run = begin(tmp_path, Seller(CHEAP)).step(6)
    gateway, answers = run.community.agents[run.gateway], []
    prognosis = run.contents(DPrognosis, to="dso", sender=named(run))[0]

    async def say_again():
        for content in (prognosis, changed(prognosis, period_end_s=prognosis.period_end_s - 900)):
            answers.append(await gateway.ask("dso@localhost", content, FlexResponse))

    run.offline.loop.call_soon(lambda: gateway.spawn(say_again()))
    run.step(1)
    assert [each.result for each in answers] == ["Accepted", "Rejected"]
    assert "outdated revision" in answers[1].reasons[0]


def named(run):
    return run.gateway.partition("@")[0]


def test_a_reservation_goes_outside_and_what_is_objected_to_it_comes_back(tmp_path):
    class Unbound(Seller):
        def __call__(self, me, said):
            if isinstance(said.content, FlexReservation):
                me.respond(said, TradeDocument.FLEX_RESERVATION, "no contract")
            return super().__call__(me, said)

    run = begin(tmp_path, Unbound(DEAR)).step(2)
    start_s = run.world.now_s + 3600
    reservation = FlexReservation(
        contract_id="reserve",
        congestion_point="segment-001",
        period_start_s=start_s,
        period_end_s=start_s + 900,
        intervals=[PowerInterval(start_s=start_s, power_w=-500)],
    )
    dso = run.community.agents["dso@localhost"]
    run.offline.loop.call_soon(lambda: dso.tell(run.gateway, reservation))
    run.step(1)
    (heard,) = run.foreigner.of(FlexReservation)
    assert heard.intervals == reservation.intervals
    (objection,) = run.contents(FlexResponse, sender=named(run), to="dso")
    assert objection.reasons == ["no contract"]


def test_a_stranger_in_the_community_does_not_speak_outside(tmp_path):
    run = begin(tmp_path, Seller(CHEAP)).step(8)
    aggregator = run.community.agents["aggregator@localhost"]
    (order,) = run.foreigner.of(FlexOrder)[:1]
    answers = []

    async def impersonate():
        try:
            await aggregator.ask(run.gateway, changed(order, order_reference="mine"), FlexResponse)
        except ParityError as error:
            answers.append(str(error))

    run.offline.loop.call_soon(lambda: aggregator.spawn(impersonate()))
    run.step(1)
    assert "trades with dso@localhost only" in answers[0]
    assert "mine" not in {each.order_reference for each in run.foreigner.of(FlexOrder)}


def test_verdicts_are_of_the_orders_that_were_settled(traded):
    run, _ = traded
    said = run.contents(FlexSettlementResponse, sender=named(run))
    settled = {each.order_reference for verdict in said for each in verdict.orders}
    assert settled == {each.order.order_reference for each in bought_outside(run) if each.state.agreed}
