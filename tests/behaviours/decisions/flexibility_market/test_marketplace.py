"""What the DSO's marketplace says of an order, and of a period's trade."""

from behaviours.decisions.flexibility_market.flexibility_settlement import settled_interval, settled_order
from behaviours.decisions.flexibility_market.marketplace import acquired_flexibility, marketplace_state
from ontology.flexibility_trading import Disposition, FlexOrder, FlexRequest, PowerInterval, RequestInterval
from ontology.marketplace import AcquisitionState

START_S = 1_705_000_500


def order(powers_w=(-2_000, -1_000), reference="o-1"):
    return FlexOrder(
        period_start_s=START_S,
        period_end_s=START_S + 900 * len(powers_w),
        congestion_point="f1",
        order_reference=reference,
        offer_message_id="m-1",
        option_reference="option-1",
        baseline_reference="d-prognosis",
        price_ticks=500,
        currency="EUR",
        activation_factor=1.0,
        intervals=[PowerInterval(start_s=START_S + 900 * i, power_w=w) for i, w in enumerate(powers_w)],
    )


def request(power_w):
    return FlexRequest(
        period_start_s=START_S,
        period_end_s=START_S + 900,
        congestion_point="f1",
        revision=1,
        expiration_s=START_S - 900,
        intervals=[
            RequestInterval(
                disposition=Disposition.REQUESTED, power_min_w=power_w, power_max_w=0, start_s=START_S
            )
        ],
    )


def settled(placed, actual_w=(8_500, 9_000), penalty=2000):
    baseline_w = 10_000
    parts = [
        settled_interval(each.start_s, baseline_w, each.power_w, actual, 900)
        for each, actual in zip(placed.intervals, actual_w, strict=True)
    ]
    return settled_order(placed, parts, penalty)


def test_an_order_that_was_only_placed_has_brought_nothing_yet():
    acquired = acquired_flexibility(order(), "agr@town", AcquisitionState.ORDERED)
    assert (acquired.ordered_wh, acquired.delivered_wh, acquired.earned_ticks) == (-750, 0, 0)
    assert (acquired.start_s, acquired.end_s) == (START_S, START_S + 1800)


def test_what_was_metered_tells_what_was_delivered_what_is_missing_and_what_it_came_to():
    placed = order()
    settlement = settled(placed)
    acquired = acquired_flexibility(placed, "agr@town", AcquisitionState.METERED, settlement)
    assert (acquired.delivered_wh, acquired.missing_wh) == (-625, 125)
    assert acquired.earned_ticks == settlement.price_ticks
    assert acquired.penalty_ticks == settlement.penalty_ticks == 250


def test_a_periods_trade_adds_up_whatever_the_sign():
    orders = [order(), order((1_000,), "o-2")]
    acquired = [acquired_flexibility(each, "agr@town", AcquisitionState.ACCEPTED) for each in orders]
    state = marketplace_state("f1", (0, 2**32), [request(-2_000), request(-1_000)], [], acquired)
    assert (state.requests, state.asked_wh) == (2, 750)
    assert (state.orders, state.ordered_wh) == (2, 1_000)
