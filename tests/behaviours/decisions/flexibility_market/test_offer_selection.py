"""The DSO buys what is cheapest, exactly (SPEC 2.5)."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviours.decisions.flexibility_market.selection import (
    Bid,
    Chosen,
    chosen_offers,
    cost_ticks,
    greedy_offers,
    uncovered_w,
)
from ontology.flexibility_trading import FlexOffer, OfferOption, PowerInterval

START_S = 900
WILLING = 3000
"""0.30 EUR/kWh: a kW over an interval is worth 750 ticks."""


def option(power_w, price_ticks, reference="all", activation_min=1.0):
    powers = power_w if isinstance(power_w, list) else [power_w]
    return OfferOption(
        option_reference=reference,
        price_ticks=price_ticks,
        activation_min=activation_min,
        intervals=[PowerInterval(start_s=START_S + 900 * i, power_w=each) for i, each in enumerate(powers)],
    )


def bid(seller, *options, sent_at_s=0.0, reliability=1.0):
    offer = FlexOffer(
        period_start_s=START_S,
        period_end_s=START_S + 7200,
        congestion_point="s",
        expiration_s=1,
        unsolicited=True,
        options=list(options),
    )
    return Bid(seller, f"offer of {seller}", sent_at_s, offer, reliability)


def need(*powers_w):
    return {START_S + 900 * i: power_w for i, power_w in enumerate(powers_w)}


def bought(chosen):
    return {(each.bid.seller, each.option.option_reference): each.activation for each in chosen}


def test_the_cheapest_offers_are_bought_and_the_last_one_in_part():
    bids = [
        bid("dear", option(-4000, 2000)),
        bid("cheap", option(-4000, 800)),
        bid("fair", option(-4000, 1200, activation_min=0.1)),
    ]
    chosen = chosen_offers(need(-5000), bids, WILLING)
    assert bought(chosen) == {("cheap", "all"): 1.0, ("fair", "all"): 0.25}
    assert [each.price_ticks for each in chosen] == [800, 300]
    assert uncovered_w(need(-5000), chosen) == {START_S: 0}


def test_options_of_an_offer_exclude_each_other():
    offer = bid("one", option(-2000, 400, "small"), option(-5000, 1500, "large"))
    assert bought(chosen_offers(need(-5000), [offer], WILLING)) == {("one", "large"): 1.0}
    assert bought(chosen_offers(need(-2000), [offer], WILLING)) == {("one", "small"): 1.0}


def test_two_indivisible_offers_that_fit_beat_the_cheapest_that_does_not():
    bids = [
        bid("cheapest", option(-6000, 2100)),
        bid("a", option(-2500, 1000)),
        bid("b", option(-2500, 1000)),
    ]
    assert set(bought(chosen_offers(need(-5000), bids, WILLING))) == {("a", "all"), ("b", "all")}
    assert cost_ticks(need(-5000), greedy_offers(need(-5000), bids, WILLING), WILLING) == 2100


def test_nothing_dearer_than_the_willingness_to_pay_is_bought():
    assert chosen_offers(need(-1000), [bid("dear", option(-1000, 751))], WILLING) == []
    assert bought(chosen_offers(need(-1000), [bid("just", option(-1000, 749))], WILLING)) != {}


def test_a_great_indivisible_offer_is_left_where_little_is_needed():
    assert chosen_offers(need(-1000), [bid("great", option(-10_000, 2000))], WILLING) == []


def test_among_equals_the_more_reliable_and_then_the_earlier_wins():
    def equal(seller, sent_at_s, reliability):
        return bid(seller, option(-1000, 500), sent_at_s=sent_at_s, reliability=reliability)

    bids = [equal("late", 9, 0.9), equal("shaky", 1, 0.5), equal("early", 3, 0.9)]
    assert set(bought(chosen_offers(need(-1000), bids, WILLING))) == {("early", "all")}


def test_more_consumption_is_bought_where_the_segment_gives_too_much():
    bids = [bid("wrong way", option(-1000, 1)), bid("right", option(1000, 500))]
    assert set(bought(chosen_offers(need(1000), bids, WILLING))) == {("right", "all")}


def test_without_need_or_offers_nothing_is_bought():
    assert chosen_offers({}, [bid("a", option(-1000, 1))], WILLING) == []
    assert chosen_offers(need(-1000), [], WILLING) == []


# -- properties --------------------------------------------------------------------------------------------

powers = st.lists(st.integers(-6000, 500), min_size=2, max_size=2)
options = st.builds(option, powers, st.integers(0, 4000), activation_min=st.sampled_from([1.0, 0.9, 0.25]))
needs = st.lists(st.integers(-9000, 0), min_size=2, max_size=2).map(lambda each: need(*each))


def offers_of(drawn):
    """Return one offer for each list of options, their references made distinct."""
    import msgspec

    return [
        bid(
            f"seller {i}",
            *(msgspec.structs.replace(each, option_reference=f"o{j}") for j, each in enumerate(own)),
        )
        for i, own in enumerate(drawn)
    ]


some_bids = st.lists(st.lists(options, min_size=1, max_size=2), min_size=1, max_size=3).map(offers_of)
many_bids = st.lists(st.lists(options, min_size=1, max_size=3), max_size=12).map(offers_of)


def least_cost(needed, bids):
    """Try every choice of options and every activation factor: all at once in one array."""
    starts = list(needed)
    wanted = -np.array([needed[start_s] for start_s in starts], dtype=float)
    choices = []
    for each in bids:
        rows = [(0.0, np.zeros(len(starts)))]
        for one in each.offer.options:
            towards = -np.array([part.power_w for part in one.intervals], dtype=float)
            shares = range(round(one.activation_min * 100), 101)
            rows += [(one.price_ticks * s / 100, towards * s / 100) for s in shares]
        choices.append(rows)
    prices, covered = np.zeros(1), np.zeros((1, len(starts)))
    for rows in choices:
        own_prices = np.array([price for price, _ in rows])
        own = np.array([towards for _, towards in rows])
        prices = (prices[:, None] + own_prices[None, :]).ravel()
        covered = (covered[:, None, :] + own[None, :, :]).reshape(-1, len(starts))
    missing = np.maximum(wanted - covered, 0)[:, wanted > 0].sum(axis=1)
    return float((prices + missing / 4000 * WILLING).min())


@settings(deadline=None, max_examples=40)
@given(needs, some_bids)
def test_no_choice_is_better_than_the_one_that_is_made(needed, bids):
    cost = cost_ticks(needed, chosen_offers(needed, bids, WILLING), WILLING)
    assert cost == pytest.approx(least_cost(needed, bids), abs=1.5)


@settings(deadline=None, max_examples=60)
@given(needs, many_bids)
def test_the_exact_choice_is_never_worse_than_the_greedy_one(needed, bids):
    exact = cost_ticks(needed, chosen_offers(needed, bids, WILLING), WILLING)
    greedy = cost_ticks(needed, greedy_offers(needed, bids, WILLING), WILLING)
    assert exact <= greedy + 1.5


@settings(deadline=None, max_examples=60)
@given(needs, many_bids)
def test_no_more_is_paid_than_what_is_covered_is_worth(needed, bids):
    chosen = chosen_offers(needed, bids, WILLING)
    left_w = uncovered_w(
        needed, chosen
    )  # what comes where nothing is needed is worth nothing, and costs nothing
    covered_w = sum(abs(wanted) - abs(left_w.get(start_s, 0)) for start_s, wanted in needed.items() if wanted)
    assert sum(each.price_ticks for each in chosen) <= covered_w / 4000 * WILLING + 1.5 * (len(chosen) + 1)


@settings(deadline=None, max_examples=60)
@given(needs, many_bids)
def test_what_is_chosen_can_be_ordered(needed, bids):
    chosen = chosen_offers(needed, bids, WILLING)
    sellers = [each.bid.seller for each in chosen]
    assert len(set(sellers)) == len(sellers)
    for each in chosen:
        assert each.option in each.bid.offer.options
        assert each.option.activation_min <= each.activation + 1e-9 <= 1 + 1e-8
        assert isinstance(each, Chosen)


@settings(deadline=None, max_examples=30)
@given(needs, many_bids, st.randoms(use_true_random=False))
def test_the_order_in_which_offers_come_does_not_matter(needed, bids, chance):
    shuffled = list(bids)
    chance.shuffle(shuffled)
    one, other = (bought(chosen_offers(needed, each, WILLING)) for each in (bids, shuffled))
    assert one == other


def test_two_hundred_offers_are_chosen_from():
    bids = [
        bid(f"seller {i}", option(-100 - 7 * (i % 31), 40 + 13 * (i % 17), activation_min=0.5))
        for i in range(200)
    ]
    needed = need(-15_000)
    chosen = chosen_offers(needed, bids, WILLING)
    assert uncovered_w(needed, chosen) == {START_S: 0}
    assert cost_ticks(needed, chosen, WILLING) <= cost_ticks(
        needed, greedy_offers(needed, bids, WILLING), WILLING
    )
    cheapest = sorted(itertools.chain.from_iterable(b.offer.options for b in bids), key=unit_price)
    assert unit_price(max((each.option for each in chosen), key=unit_price)) < unit_price(cheapest[-1])


def unit_price(one):
    return one.price_ticks / abs(one.intervals[0].power_w)
