"""A DSO outside buys from the community's aggregator, every message sealed UFTP, in virtual time (SPEC 2.5)."""

import pytest
from outside_market import AGR, DSO, Buyer, Foreigner, OutsideRun, changed, keys_in, local, night, outside

from behaviours.market.flexibility_offering import FlexibilityOffering
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
HALF_PAST_TWO_S = MIDNIGHT_S + 9000
LAST = 15
"""Intervals until an order of half past two is delivered and settled."""


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


def begin(tmp_path, buyer, *, at="2024-02-13T01:00", request=None, intervals=LAST, **changes):
    """A community that sells outside, asked at a time of the night."""
    keys = keys_in(tmp_path)
    foreigner = Foreigner(DSO, keys[DSO], buyer)
    run = OutsideRun(night(outside(tmp_path, AGR), intervals, **changes), keys, foreigner)
    if request is not None:
        run.at(local(at), lambda: foreigner.say(request, letter="request", conversation="evening"))
    return run


def sold(run):
    return run.community.agents["aggregator@localhost"].behaviour(FlexibilityOffering).sold


def responses(run, document):
    """What the community responded to a kind of document: accepted, or the reasons."""
    return [each for each in run.foreigner.of(FlexResponse) if each.document is document]


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    buyer = Buyer(activation=0.5)
    run = begin(tmp_path_factory.mktemp("keys"), buyer, request=asking())
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
    assert all(before < after for before, after in zip(told, told[1:], strict=False))


def test_the_order_becomes_a_plant_and_is_metered_as_the_sites_drew(traded):
    run, buyer = traded
    assert set(sold(run)) == {"order 1"}
    assert "vpp-order 1" in set(run.tables().plants["plant"])
    sites, drawn_wh = run.tables().sites, {}
    rows = zip(sites["start_s"], sites["consumed_wh"], sites["produced_wh"], strict=True)
    for start_s, consumed, produced in rows:
        drawn_wh[int(start_s)] = drawn_wh.get(int(start_s), 0) + int(consumed) - int(produced)
    (metering,) = run.foreigner.of(FlexMetering)
    assert {each.start_s for each in metering.intervals} == {HALF_PAST_TWO_S, HALF_PAST_TWO_S + 900}
    for each in metering.intervals:
        assert each.actual_w == pytest.approx(4 * drawn_wh[each.start_s], abs=4 * 12)
    assert buyer.orders[0].activation_factor == 0.5


def test_the_tables_tell_the_trade_and_no_token_moves_to_who_has_no_account(traded):
    run, buyer = traded
    trades = run.tables().flexibility
    assert list(trades["order"]) == ["order 1"]
    assert list(trades["state"]) == ["SETTLED"]
    assert list(trades["price_ticks"]) == [buyer.orders[0].price_ticks]
    assert not [each for each in run.tables().payments["settlement"] if "FLEXIBILITY" in str(each).upper()]


def test_inside_nobody_but_the_gateway_asks_the_aggregator(traded):
    run, _ = traded
    assert {each.envelope.sender for each in run.noted(FlexRequest, to="aggregator")} == {run.gateway}
    assert not list(run.noted(DPrognosis, to="dso"))


# -- what is rejected, and why -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"congestion_point": "ean.999999999999999999"}, "unknown congestion point"),
        ({"contract_id": "none"}, "unknown contract"),
        ({"expiration_s": MIDNIGHT_S}, "expired"),
        (
            {"intervals": [changed(asking().intervals[0], start_s=MIDNIGHT_S + 43_200)]},
            "nothing is foreseen yet",
        ),
    ],
    ids=["congestion point", "contract", "expired", "beyond the prognosis"],
)
def test_a_request_that_breaks_a_rule_is_rejected_with_the_reason(tmp_path, changes, reason):
    run = begin(tmp_path, Buyer(), request=asking(**changes)).step(5)
    (refusal,) = run.foreigner.of(Refusal)
    assert reason in refusal.reason
    assert "localhost" not in refusal.reason
    assert run.foreigner.of(FlexOffer) == []


def test_an_old_revision_is_rejected(tmp_path):
    run = begin(tmp_path, Buyer(), request=asking(revision=2))
    run.at(local("2024-02-13T01:20"), lambda: run.foreigner.say(asking(revision=1), letter="older"))
    run.step(6)
    (refusal,) = run.foreigner.of(Refusal)
    assert "outdated revision" in refusal.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price_ticks": 1}, "price differs from the offer"),
        ({"option_reference": "another"}, "unknown option"),
        ({"activation_factor": 0.01}, "activation factor below the minimum"),
        ({"baseline_reference": "same-slot-7d"}, "baseline differs from the offer"),
        (
            {"intervals": [PowerInterval(start_s=HALF_PAST_TWO_S, power_w=-5000)]},
            "intervals differ from the offer",
        ),
        ({"offer_message_id": "00000000-aaaa-4bbb-8ccc-000000000000"}, "unknown offer"),
    ],
    ids=["price", "option", "activation", "baseline", "intervals", "offer"],
)
def test_an_order_that_breaks_a_rule_is_rejected_with_the_reason(tmp_path, changes, reason):
    run = begin(tmp_path, Buyer(**changes), request=asking()).step(6)
    (failure,) = run.foreigner.of(FailureReport)
    assert reason in failure.reason
    assert sold(run) == {}


def test_a_settlement_of_other_figures_is_disputed_with_the_reason(tmp_path):
    class Miser(Buyer):
        def _settle(self, me, metering):
            me.paid_less = True
            super()._settle(me, metering)

    run = begin(tmp_path, Miser(), request=asking())
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


def test_what_the_dso_reserves_is_kept_from_other_sales_and_too_much_is_rejected(tmp_path):
    run = begin(tmp_path, Buyer())
    market = run.scenario.flexibility_market
    assert market.reserved_kw == 0

    def reserve():
        day = {"period_start_s": MIDNIGHT_S, "period_end_s": NEXT_S, "congestion_point": "segment-001"}
        whole = [PowerInterval(start_s=MIDNIGHT_S, duration_s=86_400, power_w=-500)]
        run.foreigner.say(FlexReservation(**day, contract_id="none", reference="r1", intervals=whole))

    run.at(local("2024-02-13T00:30"), reserve)
    run.step(3)
    (response,) = responses(run, TradeDocument.FLEX_RESERVATION)
    assert response.result is ResponseResult.REJECTED
    assert "unknown contract" in response.reasons[0]


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


@pytest.mark.parametrize("minute", [1, 16, 45, 190], ids=["asked", "offered", "ordered", "metered"])
def test_a_gateway_that_dies_goes_on_after_its_restart_and_nothing_counts_twice(tmp_path, minute):
    buyer = Buyer()
    run = begin(tmp_path, buyer, request=asking(), intervals=LAST + 2)
    moment_s = local("2024-02-13T01:00") + minute * 60 - 59
    run.at(moment_s, lambda: run.community.kill(run.gateway))
    run.at(moment_s + 600, lambda: run.community.restart(run.gateway))
    run.step(LAST + 2)
    assert [each.order_reference for each in buyer.orders] == ["order 1"]
    assert len(run.foreigner.of(FlexOffer)) == 1
    assert sold(run)["order 1"].agreed
    assert list(run.tables().flexibility["state"]) == ["SETTLED"]
    assert run.community.counts().get("errors", 0) == 0


def test_an_aggregator_that_is_away_is_asked_again_when_it_is_back(tmp_path):
    buyer = Buyer()
    run = begin(tmp_path, buyer, request=asking(), intervals=LAST)
    offered_s = local("2024-02-13T01:01")
    run.at(offered_s, lambda: run.community.kill("aggregator@localhost"))
    run.at(offered_s, lambda: run.foreigner.say(buyer.orders[0], letter="again", conversation="evening"))
    run.at(offered_s + 300, lambda: run.community.restart("aggregator@localhost"))
    run.step(8)
    assert set(sold(run)) == {"order 1"}
    taken = responses(run, TradeDocument.FLEX_ORDER)
    assert [each.result for each in taken] == [ResponseResult.ACCEPTED] * 2


def test_a_revocation_is_told_outside_and_answered_inside(tmp_path):
    class Patient(Buyer):
        def _order(self, me, said, offer):
            pass

    run = begin(tmp_path, Patient(), request=asking())
    run.step(5)
    (offering,) = run.community.agents["aggregator@localhost"].behaviour(FlexibilityOffering).offers.values()
    aggregator = run.community.agents["aggregator@localhost"]
    answers = []

    async def revoke():
        revocation = FlexOfferRevocation(offer_message_id=offering.message_id)
        answers.append(
            await aggregator.ask(run.gateway, revocation, FlexResponse, act=Act.CANCEL, within_s=60)
        )

    run.offline.loop.call_soon(lambda: aggregator.spawn(revoke()))
    run.foreigner._answer = lambda me, said: (
        me.say(
            FlexResponse(
                document=TradeDocument.FLEX_OFFER_REVOCATION,
                reference_message_id=said.message_id,
                result=ResponseResult.ACCEPTED,
            ),
            in_reply_to=said.message_id,
        )
        if isinstance(said.content, FlexOfferRevocation)
        else None
    )
    run.step(1)
    assert [each.result for each in answers] == [ResponseResult.ACCEPTED]
    assert len(run.foreigner.of(FlexOfferRevocation)) == 1


def test_offline_there_is_nobody_outside(tmp_path, community):
    keys_in(tmp_path)
    with pytest.raises(InvalidInput, match="a live run"):
        community(scenario=night(outside(tmp_path, AGR), 1))


def test_orders_are_signed_inside_too(traded):
    run, _ = traded
    (order,) = run.noted(FlexOrder, to="aggregator")
    assert order.envelope.signature
