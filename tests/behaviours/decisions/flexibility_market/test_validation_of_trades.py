"""Every rule of the trade rejects what breaks it, and nothing else (UFTP; SPEC 2.5)."""

import pytest
from trade_samples import (
    BASIC,
    END_S,
    METERED_S,
    METERING,
    NOW_S,
    OFFER,
    ORDER,
    PROGNOSIS,
    REQUEST,
    RESERVATION,
    REVOCATION,
    SETTLEMENT,
    START_S,
    changed,
    power,
    wanted,
)

from behaviours.decisions.flexibility_market.validation import (
    RULES,
    KnownOffer,
    KnownRequest,
    Rule,
    breaches,
    price_ticks_at,
    reasons,
)
from ontology.flexibility_trading import Disposition, OfferOption

GOOD = [REQUEST, OFFER, ORDER, REVOCATION, PROGNOSIS, RESERVATION, METERING, SETTLEMENT]


@pytest.mark.parametrize("document", GOOD, ids=lambda each: type(each).__name__)
def test_what_keeps_the_rules_is_accepted(document):
    assert breaches(document, "new", BASIC) == []


def test_the_samples_are_of_every_document_that_there_are_rules_for():
    assert {type(each) for each in GOOD} == set(RULES)


def first_option(**changes):
    return [changed(OFFER.options[0], **changes), *OFFER.options[1:]]


def request(**changes):
    return changed(REQUEST, **changes), BASIC


def offer(**changes):
    return changed(OFFER, **changes), BASIC


def order(**changes):
    return changed(ORDER, **changes), BASIC


def knowing(document, **changes):
    return document, changed(BASIC, **changes)


def offer_known_as(**changes):
    return {"offers": {"offer-1": KnownOffer(OFFER, **changes)}}


BROKEN = {
    Rule.INTERVAL_LENGTH: [
        request(intervals=[wanted(-9000, duration_s=600)]),
        offer(options=first_option(intervals=[power(-1000, duration_s=1000)])),
    ],
    Rule.INTERVAL_OUTSIDE_PERIOD: [
        request(intervals=[wanted(-9000), wanted(-1, END_S)]),
        (changed(PROGNOSIS, intervals=[power(1, START_S - 900)]), BASIC),
        (changed(METERING, period_start_s=METERED_S + 900), BASIC),
    ],
    Rule.INTERVAL_TWICE: [
        request(intervals=[wanted(-9000, duration_s=1800), wanted(-4000, START_S + 900)]),
        offer(options=first_option(intervals=[power(-9000), power(-8000)])),
    ],
    Rule.NO_INTERVALS: [
        offer(options=first_option(intervals=[])),
        (changed(RESERVATION, intervals=[]), BASIC),
    ],
    Rule.TIME_ZONE: [request(time_zone="Europe/Amsterdam"), order(time_zone="Europe/Zurich")],
    Rule.CONGESTION_POINT: [
        request(congestion_point="elsewhere"),
        (changed(PROGNOSIS, congestion_point="elsewhere"), BASIC),
    ],
    Rule.PAST: [
        knowing(ORDER, now_s=END_S, offers={"offer-1": KnownOffer(changed(OFFER, expiration_s=END_S + 1))}),
        knowing(PROGNOSIS, now_s=END_S),
    ],
    Rule.EXPIRED: [request(expiration_s=NOW_S), offer(expiration_s=NOW_S - 1)],
    Rule.OUTDATED_REVISION: [
        request(revision=0),
        (changed(PROGNOSIS, revision=2), BASIC),
        knowing(METERING, revisions={("FlexMetering", "segment-1", METERED_S): 1}),
    ],
    Rule.NOTHING_REQUESTED: [request(intervals=[wanted(0)])],
    Rule.CONTRACT: [
        request(contract_id="another"),
        offer(contract_id="another"),
        order(contract_id="another"),
        (changed(RESERVATION, contract_id="another"), BASIC),
    ],
    Rule.CURRENCY: [
        offer(currency="CHF"),
        order(currency="SEK"),
        (changed(SETTLEMENT, currency="CHF"), BASIC),
    ],
    Rule.UNSOLICITED: [offer(unsolicited=True)],
    Rule.REQUEST_UNKNOWN: [offer(request_message_id="cfp-2")],
    Rule.REQUEST_OUTDATED: [
        knowing(OFFER, requests={"cfp-1": KnownRequest(REQUEST, outdated=True)}),
        knowing(OFFER, now_s=REQUEST.expiration_s),
    ],
    Rule.PERIOD_DIFFERS: [offer(period_end_s=END_S + 900), order(period_end_s=END_S + 900)],
    Rule.CONGESTION_POINT_DIFFERS: [
        offer(congestion_point="segment-2"),
        order(congestion_point="segment-2"),
    ],
    Rule.NOT_REQUESTED: [
        knowing(OFFER, requests={"cfp-1": KnownRequest(changed(REQUEST, intervals=[wanted(-9000)]))})
    ],
    Rule.POWER_OUTSIDE_REQUEST: [
        offer(options=first_option(intervals=[power(-9001)])),
        offer(options=first_option(intervals=[power(1)])),
    ],
    Rule.BASELINE: [offer(baseline_reference="MBMA")],
    Rule.PROGNOSIS: [
        offer(prognosis_message_id="lost"),
        knowing(OFFER, foreseen={}),
        knowing(
            changed(OFFER, prognosis_message_id="first"),
            prognoses=frozenset({"first"}),
            foreseen={"first": {START_S}},
        ),
    ],
    Rule.OFFER_UNKNOWN: [
        order(offer_message_id="offer-2"),
        (changed(REVOCATION, offer_message_id="offer-2"), BASIC),
    ],
    Rule.OFFER_EXPIRED: [knowing(ORDER, now_s=OFFER.expiration_s)],
    Rule.OFFER_REVOKED: [
        knowing(ORDER, **offer_known_as(revoked=True)),
        knowing(REVOCATION, **offer_known_as(revoked=True)),
    ],
    Rule.OFFER_ORDERED: [
        knowing(ORDER, **offer_known_as(ordered=True)),
        knowing(REVOCATION, **offer_known_as(ordered=True)),
    ],
    Rule.OPTION_UNKNOWN: [order(option_reference="none")],
    Rule.ACTIVATION: [order(activation_factor=0.3, price_ticks=price_ticks_at(3001, 0.3))],
    Rule.INTERVALS_DIFFER: [
        order(intervals=ORDER.intervals[:1]),
        order(intervals=[power(-8999), *ORDER.intervals[1:]]),
        order(intervals=ORDER.intervals[::-1]),
    ],
    Rule.PRICE_DIFFERS: [order(price_ticks=1500), order(activation_factor=1.0)],
    Rule.BASELINE_DIFFERS: [order(baseline_reference="")],
    Rule.DUPLICATE_REFERENCE: [
        order(order_reference="order-0"),
        (changed(SETTLEMENT, orders=SETTLEMENT.orders * 2), BASIC),
    ],
    Rule.ORDER_UNKNOWN: [
        (changed(SETTLEMENT, orders=[changed(SETTLEMENT.orders[0], order_reference="order-9")]), BASIC)
    ],
    Rule.RESERVED_TOO_MUCH: [(changed(RESERVATION, intervals=[power(-10_001)]), BASIC)],
    Rule.NOT_OVER: [knowing(METERING, now_s=METERED_S + 899)],
}


@pytest.mark.parametrize(
    ("rule", "document", "known"),
    [
        pytest.param(rule, *case, id=f"{rule} {i}")
        for rule, cases in BROKEN.items()
        for i, case in enumerate(cases, start=1)
    ],
)
def test_what_breaks_one_rule_is_rejected_for_it_alone(rule, document, known):
    assert {breach.rule for breach in breaches(document, "new", known)} == {rule}


@pytest.mark.parametrize("document", GOOD, ids=lambda each: type(each).__name__)
def test_a_message_is_taken_once(document):
    assert {breach.rule for breach in breaches(document, "read before", BASIC)} == {Rule.DUPLICATE_MESSAGE}


def test_no_rule_is_untested():
    assert set(BROKEN) | {Rule.DUPLICATE_MESSAGE} == set(Rule)


def test_everything_that_is_wrong_is_told_at_once():
    bad = changed(ORDER, time_zone="Mars", price_ticks=1, order_reference="order-0", activation_factor=0.2)
    found = breaches(bad, "read before", BASIC)
    assert {breach.rule for breach in found} == {
        Rule.DUPLICATE_MESSAGE,
        Rule.TIME_ZONE,
        Rule.ACTIVATION,
        Rule.PRICE_DIFFERS,
        Rule.DUPLICATE_REFERENCE,
    }
    assert "activation factor below the minimum: activation_factor is 0.2, expected at least 0.4" in reasons(
        found
    )


def test_an_unsolicited_offer_is_taken_where_the_market_takes_them():
    alone = changed(OFFER, unsolicited=True, request_message_id="")
    assert breaches(alone, "new", changed(BASIC, takes_unsolicited=True)) == []


def test_a_revocation_after_the_order_changes_nothing():
    (breach,) = breaches(REVOCATION, "new", changed(BASIC, **offer_known_as(ordered=True)))
    assert breach.expected == "an offer not ordered yet"


@pytest.mark.parametrize(("price", "factor", "total"), [(3001, 0.5, 1501), (3001, 1.0, 3001), (99, 0.01, 1)])
def test_an_option_activated_in_part_costs_its_share_rounded(price, factor, total):
    assert price_ticks_at(price, factor) == total


def test_available_power_may_be_offered_too():
    free = [wanted(-9000), wanted(0, START_S + 900, disposition=Disposition.AVAILABLE, power_max_w=3000)]
    known = changed(BASIC, requests={"cfp-1": KnownRequest(changed(REQUEST, intervals=free))})
    rebound = OfferOption(
        option_reference="rebound", price_ticks=1, intervals=[power(-9000), power(3000, START_S + 900)]
    )
    assert breaches(changed(OFFER, options=[rebound]), "new", known) == []
