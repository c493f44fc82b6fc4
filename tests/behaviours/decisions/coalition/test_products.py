"""What a plant is to deliver, by where the demand comes from."""

from behaviours.decisions.coalition.products import product_of_request, product_of_sale, product_of_signal
from ontology.coalition import ProductKind
from ontology.flexibility_trading import Disposition, DRSignal, FlexRequest, RequestInterval
from ontology.market import ExternalBid, ExternalBidResult, ExternalProduct

START_S = 1_750_000_500


def interval(place, low_w, high_w, disposition=Disposition.REQUESTED):
    return RequestInterval(
        disposition=disposition, power_min_w=low_w, power_max_w=high_w, start_s=START_S + 900 * place
    )


def request(*intervals):
    return FlexRequest(
        period_start_s=START_S,
        period_end_s=START_S + 86_400,
        congestion_point="s1",
        revision=1,
        expiration_s=START_S - 900,
        intervals=list(intervals),
    )


def test_a_request_wants_less_or_more_where_it_asks_and_nothing_where_it_leaves_room():
    product = product_of_request(
        request(interval(3, 0, 2000), interval(0, -5000, 0), interval(1, 0, 9000, Disposition.AVAILABLE)),
        2500,
    )
    assert product.target_w == [-5000, 0, 0, 2000]
    assert (product.start_s, product.segment_id, product.kind) == (START_S, "s1", ProductKind.FLEX_REQUEST)
    assert product.deadline_s == START_S - 900


def test_a_request_that_wants_no_power_makes_no_product():
    assert product_of_request(request(interval(0, 0, 0)), 2500) is None


def test_what_was_sold_is_delivered_in_its_interval_at_the_price_it_fetched():
    bid = ExternalBid(
        bid_id="b1",
        product=ExternalProduct.WS_INTRADAY,
        start_s=START_S,
        energy_wh=-1500,
        price_ticks_per_kwh=900,
    )
    product = product_of_sale(bid, ExternalBidResult(bid_id="b1", accepted=True, price_ticks_per_kwh=1100))
    assert (product.target_w, product.price_ticks_per_kwh) == ([-6000], 1100)


def signal(**changes):
    return DRSignal(
        **{
            "signal_id": "x",
            "segment_id": "s1",
            "start_s": START_S + 10,
            "duration_s": 1800,
            "delta_w": -4000,
            "contract_id": "c",
            "deadline_s": START_S,
        }
        | changes
    )


def test_a_signal_begins_with_the_next_interval_and_lasts_as_long_as_it_says():
    product = product_of_signal(signal(), 5000)
    assert (product.start_s, product.target_w) == (START_S + 900, [-4000, -4000])


def test_a_limit_is_no_product():
    assert product_of_signal(signal(delta_w=None, limit_w=3000), 5000) is None
