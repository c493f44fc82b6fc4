import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.charging.priority import (
    ChargingNeed,
    Rule,
    laxity_s,
    least_laxity_powers,
    powers_by_rule,
)
from tests.behaviours.decisions.quick import quick

NEEDS = st.lists(
    st.tuples(st.integers(0, 50_000), st.integers(0, 100_000), st.integers(0, 22_000)), max_size=10
).map(lambda rows: [ChargingNeed(f"s{i}", *row) for i, row in enumerate(rows)])


def test_laxity_is_the_time_left_over():
    assert laxity_s(ChargingNeed("s", 11_000, 7_200, 11_000), 0) == 3_600
    assert laxity_s(ChargingNeed("s", 0, 100, 11_000), 0) == float("inf")
    assert laxity_s(ChargingNeed("s", 1, 100, 0), 0) == float("-inf")


def test_the_most_urgent_session_is_served_first():
    urgent = ChargingNeed("urgent", 10_000, 3_600, 11_000)
    patient = ChargingNeed("patient", 10_000, 36_000, 11_000)
    assert least_laxity_powers([patient, urgent], 0, 15_000) == {"patient": 4_000, "urgent": 11_000}


def test_a_session_gets_no_more_than_completes_it():
    assert least_laxity_powers([ChargingNeed("s", 500, 36_000, 11_000)], 0, 15_000) == {"s": 2_000}


def test_who_should_have_left_gets_nothing():
    assert least_laxity_powers([ChargingNeed("s", 500, 900, 11_000)], 900, 15_000) == {"s": 0}


def test_everyone_with_time_enough_is_served_in_the_end():
    needs = [ChargingNeed(f"s{i}", 9_000, 4 * 3_600 + i * 900, 7_400) for i in range(3)]
    for step in range(16):
        powers = least_laxity_powers(needs, step * 900, 8_000)
        needs = [
            need._replace(remaining_wh=need.remaining_wh - powers[need.session_id] // 4) for need in needs
        ]
    assert all(need.remaining_wh <= 0 for need in needs)


@quick
@given(NEEDS, st.integers(0, 50_000), st.integers(0, 60_000))
def test_limits_hold_for_each_and_for_all(needs, now_s, limit_w):
    powers = least_laxity_powers(needs, now_s, limit_w)
    assert sum(powers.values()) <= limit_w
    assert all(0 <= powers[need.session_id] <= need.power_max_w for need in needs)


EARLY = ChargingNeed("early", 6_000, 30_000, 6_000)
URGENT = ChargingNeed("urgent", 6_000, 4_000, 6_000)


@pytest.mark.parametrize(
    ("rule", "powers"),
    [
        (Rule.UNCONTROLLED, {"early": 6_000, "urgent": 6_000}),
        (Rule.FIRST_COME, {"early": 6_000, "urgent": 2_000}),
        (Rule.EARLIEST_DEADLINE, {"urgent": 6_000, "early": 2_000}),
        (Rule.LEAST_LAXITY, {"urgent": 6_000, "early": 2_000}),
    ],
    ids=str,
)
def test_a_rule_says_who_is_served_first(rule, powers):
    assert powers_by_rule(rule, [EARLY, URGENT], 0, 8_000) == powers


@given(NEEDS, st.integers(0, 60_000), st.sampled_from(list(Rule)[1:]))
@quick
def test_no_rule_exceeds_the_limit(needs, limit_w, rule):
    powers = powers_by_rule(rule, needs, 0, limit_w)
    assert sum(powers.values()) <= limit_w
    assert set(powers) == {need.session_id for need in needs}
