"""What is paid for flexibility: UFTP's worked table, and the tolerant variant (SPEC 2.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trade_samples import END_S, ORDER, START_S, changed, power

from behaviours.decisions.flexibility_market.flexibility_settlement import (
    TolerantTerms,
    delivered_share,
    ordered_powers,
    settled_interval,
    settled_order,
    tolerant_payment,
    verdicts,
)
from ontology.flexibility_trading import FlexSettlement, OrderVerdict

MW, HOUR_S = 1_000_000, 3600
EURO_A_MWH = 10
"""Ticks per kWh: 10,000 ticks are an EUR, 1,000 kWh an MWh."""


def paid_eur(baseline_mw, ordered_mw, actual_mw, price=7, penalty=11):
    """Return what an hour's order brings, at prices in EUR/MWh."""
    order = changed(
        ORDER,
        price_ticks=abs(ordered_mw) * price * 10_000,
        activation_factor=1.0,
        intervals=[power(ordered_mw * MW, duration_s=HOUR_S)],
    )
    settled = settled_interval(START_S, baseline_mw * MW, ordered_mw * MW, actual_mw * MW, HOUR_S)
    return settled_order(order, [settled], penalty * EURO_A_MWH).net_ticks / 10_000


@pytest.mark.parametrize(("actual", "euros"), [(7, 14), (8, 14), (9, -4), (10, -22), (11, -33)])
def test_the_worked_table_of_uftp(actual, euros):
    assert paid_eur(10, -2, actual) == euros


@pytest.mark.parametrize(("actual", "euros"), [(13, 14), (12, 14), (11, -4), (10, -22), (9, -33)])
def test_more_consumption_is_settled_in_the_mirror(actual, euros):
    assert paid_eur(10, 2, actual) == euros


def test_what_is_ordered_is_the_option_as_far_as_it_is_activated():
    assert ordered_powers(ORDER) == {START_S: -4500, START_S + 900: -1000}


watts = st.integers(-50_000, 50_000)


@given(watts, watts.filter(bool), watts)
def test_delivered_and_missing_complete_each_other(baseline_w, ordered_w, actual_w):
    settled = settled_interval(START_S, baseline_w, ordered_w, actual_w)
    assert 0 <= abs(settled.delivered_w) <= abs(ordered_w)
    assert settled.delivered_w * ordered_w >= 0
    assert abs(settled.delivered_w) + settled.deficiency_w >= abs(ordered_w)
    assert 0 <= delivered_share([settled]) <= 1


@given(watts, watts.filter(bool), watts, watts)
def test_delivering_more_never_brings_less(baseline_w, ordered_w, one_w, other_w):
    order = changed(ORDER, activation_factor=1.0, intervals=[power(ordered_w)])
    less, more = sorted((one_w, other_w), key=lambda w: -w * (1 if ordered_w < 0 else -1))
    nets = [
        settled_order(order, [settled_interval(START_S, baseline_w, ordered_w, each)], 3000).net_ticks
        for each in (less, more)
    ]
    assert nets[0] <= nets[1] <= order.price_ticks


# -- the tolerant variant ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ordered", "delivered", "payment"),
    [(10, 10, 70), (10, 12, 70), (10, 9, 63), (10, 8, 7 * (8 - 1)), (10, 0, 7 * -9)],
)
def test_a_tenth_is_tolerated(ordered, delivered, payment):
    assert tolerant_payment(ordered, delivered, ordered, 7) == pytest.approx(payment)


def test_what_is_delivered_and_offered_in_excess_counts_by_its_weight():
    terms = TolerantTerms(beta=0.5, gamma=0.1)
    assert tolerant_payment(10, 13, 20, 1, terms) == pytest.approx(10 + 0.5 * 2 - 0.1 * 5)


def test_a_seller_is_measured_by_its_own_allocation_not_by_the_whole_request():
    alone = tolerant_payment(4, 4, 4, 10)
    assert alone == 40


# -- what the seller says ----------------------------------------------------------------------------------

FORESEEN = {START_S: 50_000, START_S + 900: 52_000}
METERED = {START_S: 46_000, START_S + 900: 51_000}


def proposal(**wrong):
    intervals = [
        settled_interval(start_s, FORESEEN[start_s], power_w, METERED[start_s])
        for start_s, power_w in ordered_powers(ORDER).items()
    ]
    settled = changed(settled_order(ORDER, intervals, 2000), **wrong)
    return FlexSettlement(period_start_s=START_S, period_end_s=END_S, orders=[settled])


def answer(settlement, foreseen=FORESEEN, metered=METERED):
    (status,) = verdicts(settlement, {"order-1": ORDER}, {"order-1": foreseen}, {"order-1": metered}, 2000)
    return status


def test_a_settlement_that_follows_from_both_sides_figures_is_accepted():
    assert answer(proposal()).verdict is OrderVerdict.ACCEPTED


@pytest.mark.parametrize(
    ("settlement", "figures", "reason"),
    [
        (proposal(net_ticks=1), {}, "net_ticks is 1"),
        (proposal(intervals=[]), {}, "intervals"),
        (proposal(), {"metered": METERED | {START_S: 45_500}}, "actual_w"),
        (proposal(), {"foreseen": FORESEEN | {START_S: 51_000}}, "baseline_w"),
        (proposal(order_reference="order-7"), {}, "no such order"),
    ],
    ids=["sum", "intervals", "metered", "baseline", "order"],
)
def test_what_the_seller_knows_otherwise_is_disputed_with_the_reason(settlement, figures, reason):
    status = answer(settlement, **figures)
    assert status.verdict is OrderVerdict.DISPUTED
    assert reason in status.reason


def test_a_baseline_that_only_the_buyer_has_is_taken_as_it_is():
    assert answer(proposal(), foreseen={}).verdict is OrderVerdict.ACCEPTED
