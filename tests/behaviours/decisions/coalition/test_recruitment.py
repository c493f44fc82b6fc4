import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.coalition.overlay import groups_of, neighbours_of
from behaviours.decisions.coalition.payoff import Delivery, accuracy, payoffs, price_of, reliability_after
from behaviours.decisions.coalition.recruitment import recruited, shares_of_target
from ontology.coalition import CoalitionBid, FlexProduct, ProductKind

START_S = 900 * 2000


def product(target_w, price=1000):
    return FlexProduct(
        product_id="p",
        kind=ProductKind.EXTERNAL,
        start_s=START_S,
        target_w=target_w,
        price_ticks_per_kwh=price,
        deadline_s=START_S,
    )


def bid(capacity_w, cost=500, reliability=1.0):
    return CoalitionBid(
        product_id="p", capacity_w=capacity_w, cost_ticks_per_kwh=cost, reliability=reliability
    )


def test_the_cheapest_are_taken_until_target_and_reserve_are_covered():
    bids = {"a": bid([1000], 300), "b": bid([1000], 100), "c": bid([1000], 200), "d": bid([1000], 400)}
    found = recruited(bids, product([-1900]))
    assert found.chosen == ["b", "c", "a"]
    assert found.reserves == ["d"]
    assert found.covered >= 1.15


def test_capacity_counts_as_far_as_it_is_reliable():
    bids = {name: bid([1000], reliability=0.5) for name in "abcd"}
    assert len(recruited(bids, product([1000])).chosen) == 3


def test_who_is_unreliable_is_dearer_than_it_says():
    bids = {"sure": bid([1000], 150), "risky": bid([1000], 100, reliability=0.6)}
    assert recruited(bids, product([500])).chosen == ["sure"]


def test_who_is_too_dear_or_can_do_nothing_is_not_taken():
    bids = {"dear": bid([9000], 1001), "idle": bid([0], 1), "good": bid([100])}
    found = recruited(bids, product([1000]))
    assert found.chosen == ["good"]
    assert found.covered == pytest.approx(0.1)


@given(
    st.lists(st.lists(st.integers(0, 5000), min_size=2, max_size=2), min_size=1, max_size=6),
    st.lists(st.integers(-20_000, 20_000), min_size=2, max_size=9),
)
def test_the_shares_of_a_target_sum_to_it(capacities, target):
    shares = shares_of_target(capacities, target)
    assert [sum(column) for column in zip(*shares, strict=True)] == target


@given(st.integers(1, 200))
def test_groups_are_small_and_nobody_is_forgotten(size):
    members = [f"m{i}" for i in range(size)]
    groups = groups_of(members, "epoch")
    assert sorted(member for group in groups for member in group) == sorted(members)
    assert max(map(len, groups)) <= 30
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


@given(st.integers(1, 40), st.integers(0, 1000))
def test_neighbours_know_each_other_and_reach_everybody(size, seed):
    neighbours = {i: neighbours_of(i, size, seed) for i in range(size)}
    assert all(i in neighbours[j] for i, others in neighbours.items() for j in others)
    reached, frontier = {0}, [0]
    while frontier:
        frontier = [j for i in frontier for j in neighbours[i] if j not in reached]
        reached.update(frontier)
    assert len(reached) == size


# -- payoffs ---------------------------------------------------------------------------------------

deliveries = st.lists(
    st.builds(
        Delivery,
        st.uuids().map(str),
        st.integers(0, 10_000),
        st.integers(-2_000, 12_000),
        st.integers(0, 20_000),
    ),
    max_size=8,
)


@given(deliveries, st.integers(0, 5_000), st.integers(0, 40_000))
def test_payoffs_sum_to_what_is_paid_and_nobody_pays(members, price, wanted):
    paid = price_of(members, price, wanted)
    shares, rest = payoffs(members, paid)
    assert sum(each.cost_ticks + each.surplus_ticks for each in shares) + rest == paid
    assert rest >= 0
    assert all(each.cost_ticks >= 0 and each.surplus_ticks >= 0 for each in shares)


@given(deliveries, st.integers(0, 5_000))
def test_who_delivered_what_it_promised_is_paid_its_cost(members, price):
    affordable = [each for each in members if each.cost_ticks * 1000 <= each.committed_wh * price]
    exact = [each._replace(delivered_wh=each.committed_wh) for each in affordable]
    paid = price_of(exact, price, sum(each.committed_wh for each in exact))
    shares, _ = payoffs(exact, paid)
    for each, share in zip(exact, shares, strict=True):
        assert share.cost_ticks >= each.cost_ticks - len(exact) - 1 or each.committed_wh == 0


def test_the_surplus_goes_to_who_was_accurate():
    members = [Delivery("true", 1000, 1000, 100), Delivery("half", 1000, 500, 100)]
    shares, _ = payoffs(members, price_of(members, 1000, 2000))
    assert shares[0].surplus_ticks > 0
    assert shares[1].surplus_ticks == 0


@pytest.mark.parametrize(("delivered", "expected"), [(1000, 1), (900, 0.5), (1100, 0.5), (800, 0), (0, 0)])
def test_accuracy_falls_to_nothing_at_a_fifth(delivered, expected):
    assert accuracy(Delivery("a", 1000, delivered, 0)) == pytest.approx(expected)


def test_reliability_remembers():
    assert reliability_after(1.0, Delivery("a", 1000, 500, 0)) == pytest.approx(0.95)
    assert reliability_after(0.5, Delivery("a", 1000, 2000, 0)) == pytest.approx(0.55)
    assert reliability_after(0.5, Delivery("a", 0, 0, 0)) == 0.5
