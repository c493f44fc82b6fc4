import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.dispatch import MemberRange, disaggregate, divide, limits_of_members, missing_w
from ontology.errors import InvalidInput
from tests.behaviours.decisions.quick import quick

MEMBERS = st.lists(
    st.tuples(st.integers(-10_000, 0), st.integers(0, 10_000), st.integers(0, 3)), max_size=12
).map(lambda rows: [MemberRange(f"m{i}", *row) for i, row in enumerate(rows)])


def test_the_cheapest_members_come_first():
    members = [MemberRange("dear", -900, 0, 300), MemberRange("cheap", -500, 0, 100)]
    assert disaggregate(-700, members) == {"cheap": -500, "dear": -200}


def test_equally_cheap_members_share_in_proportion():
    members = [MemberRange("a", 0, 100), MemberRange("b", 0, 300), MemberRange("c", 0, 600)]
    assert disaggregate(500, members) == {"a": 50, "b": 150, "c": 300}


@quick
@given(st.integers(-100_000, 100_000), MEMBERS)
def test_shares_stay_in_range_and_sum_to_the_order_or_to_all_there_is(ordered_w, members):
    shares = disaggregate(ordered_w, members)
    for member in members:
        assert member.least_w <= shares[member.member] <= member.most_w
    possible = sum(member.most_w if ordered_w > 0 else member.least_w for member in members)
    assert sum(shares.values()) == (min(ordered_w, possible) if ordered_w > 0 else max(ordered_w, possible))


@quick
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20), st.floats(0, 1))
def test_a_division_is_exact_fair_and_never_above_a_weight(weights, part):
    total = int(sum(weights) * part)
    parts = divide(total, weights)
    assert sum(parts) == total
    for share, weight in zip(parts, weights, strict=True):
        assert share <= weight
        assert abs(share - total * weight / max(1, sum(weights))) <= 1


def test_a_limit_is_shared_out_as_limits_of_the_members():
    planned = {"a": 4_000, "b": 2_000, "sun": -1_000}
    members = [MemberRange("a", -3_000, 0, 10), MemberRange("b", -2_000, 0, 20)]
    assert limits_of_members(1_500, planned, members) == {"a": 1_000, "b": 1_500, "sun": -1_000}
    assert limits_of_members(9_000, planned, members) == planned


def test_what_nobody_can_take_is_told():
    assert missing_w(-900, disaggregate(-900, [MemberRange("a", -500, 0)])) == -400


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0]])
def test_what_cannot_be_divided_is_refused(weights):
    with pytest.raises(InvalidInput):
        divide(1, weights)


def test_a_range_that_excludes_the_plan_is_refused():
    with pytest.raises(InvalidInput, match="around 0"):
        disaggregate(5, [MemberRange("a", 1, 2)])
