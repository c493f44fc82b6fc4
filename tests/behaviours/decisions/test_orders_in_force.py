"""Which of a device's instructions hold: by time, priority and arrival."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.orders_in_force import (
    NO_ORDERS,
    ORDERS_MAX,
    Wanted,
    next_change_s,
    taken,
    wanted_at,
)
from ontology.control import Instruction, InstructionState, Priority

NOW_S = 1_000


def told(begins_s=NOW_S, ends_s=NOW_S + 900, **what):
    return Instruction(
        instruction_id="i", asset_id="h001-bess", execution_time_s=begins_s, valid_until_s=ends_s, **what
    )


def all_taken(*instructions, now_s=NOW_S):
    orders = NO_ORDERS
    for each in instructions:
        orders, _ = taken(orders, each, now_s)
    return orders


def test_without_orders_a_device_is_free():
    assert wanted_at(NO_ORDERS, NOW_S) == Wanted()
    assert wanted_at(NO_ORDERS, NOW_S).is_free
    assert next_change_s(NO_ORDERS, NOW_S) == inf


def test_a_set_point_holds_from_its_time_until_before_its_end():
    orders = all_taken(told(NOW_S + 10, NOW_S + 20, setpoint_w=500))
    held = [wanted_at(orders, NOW_S + s).setpoint_w for s in (9, 10, 19, 20)]
    assert held == [None, 500, 500, None]


@pytest.mark.parametrize(
    ("instruction", "state"),
    [
        (told(setpoint_w=1), InstructionState.STARTED),
        (told(NOW_S + 60, setpoint_w=1), InstructionState.ACCEPTED),
        (told(NOW_S - 900, NOW_S, setpoint_w=1), InstructionState.REJECTED),
        (told(mode="auto"), InstructionState.STARTED),
        (told(mode="boost"), InstructionState.REJECTED),
        (told(setpoint_degc=21.0), InstructionState.REJECTED),
    ],
    ids=["now", "later", "over", "released", "unknown mode", "a temperature"],
)
def test_what_becomes_of_an_instruction(instruction, state):
    assert taken(NO_ORDERS, instruction, NOW_S)[1] is state


def test_a_later_instruction_replaces_an_earlier_one_of_the_same_priority_also_after_it_has_ended():
    orders = all_taken(told(setpoint_w=1), told(NOW_S, NOW_S + 60, setpoint_w=2))
    assert wanted_at(orders, NOW_S).setpoint_w == 2
    assert wanted_at(orders, NOW_S + 60).is_free


def test_a_lower_one_waits_until_the_higher_one_is_over():
    red = told(NOW_S, NOW_S + 60, setpoint_w=0, priority=Priority.DSO_RED)
    orders = all_taken(red)
    orders, state = taken(orders, told(setpoint_w=3_000, priority=Priority.MARKET), NOW_S)
    assert state is InstructionState.ACCEPTED
    assert wanted_at(orders, NOW_S).setpoint_w == 0
    assert wanted_at(orders, NOW_S + 60).setpoint_w == 3_000


def test_limits_and_set_points_are_kept_apart_and_the_set_point_stays_within_the_limits():
    orders = all_taken(told(setpoint_w=5_000), told(power_max_w=1_000, ends_s=NOW_S + 60))
    assert wanted_at(orders, NOW_S) == Wanted(1_000, None, 1_000, NOW_S + 60)
    assert wanted_at(orders, NOW_S + 60).setpoint_w == 5_000


def test_releasing_ends_set_points_but_neither_limits_nor_what_outranks_it():
    orders = all_taken(told(setpoint_w=5_000), told(power_max_w=1_000), told(mode="auto"))
    assert wanted_at(orders, NOW_S) == Wanted(None, None, 1_000, NOW_S + 900)
    held = all_taken(told(setpoint_w=5, priority=Priority.CONTRACT))
    assert taken(held, told(mode="auto"), NOW_S)[1] is InstructionState.REJECTED


def test_a_plan_ahead_survives_an_order_for_now():
    plan = [told(NOW_S + 900 * k, NOW_S + 900 * (k + 1), setpoint_w=k) for k in range(1, 5)]
    orders = all_taken(*plan, told(NOW_S, NOW_S + 900, setpoint_w=99))
    assert [wanted_at(orders, NOW_S + 900 * k).setpoint_w for k in range(5)] == [99, 1, 2, 3, 4]


def test_a_device_takes_only_so_many_orders_ahead():
    flood = [told(NOW_S + k, NOW_S + k + 1, setpoint_w=k) for k in range(1, ORDERS_MAX + 1)]
    orders = all_taken(*flood)
    assert taken(orders, told(setpoint_w=1), NOW_S)[1] is InstructionState.REJECTED
    assert taken(orders, told(NOW_S + 200, NOW_S + 400, setpoint_w=1), NOW_S + 200)[1] is not (
        InstructionState.REJECTED
    )


instructions = st.builds(
    lambda begins, lasts, priority, setpoint, low, high: told(
        NOW_S + begins,
        NOW_S + begins + lasts,
        priority=priority,
        setpoint_w=setpoint,
        power_min_w=low,
        power_max_w=high if low is None or high is None else max(low, high),
    ),
    st.integers(-20, 50),
    st.integers(1, 60),
    st.sampled_from(list(Priority)),
    st.one_of(st.none(), st.integers(-5_000, 5_000)),
    st.integers(-5_000, 5_000),
    st.one_of(st.none(), st.integers(-5_000, 5_000)),
)


@given(st.lists(instructions, max_size=12), st.integers(0, 120))
def test_only_what_is_valid_is_wanted_and_nothing_prevails_over_the_last_red_limit(given_ones, later_s):
    orders, now_s = all_taken(*given_ones), NOW_S + later_s
    wanted = wanted_at(orders, now_s)
    valid = [each for each in given_ones if each.execution_time_s <= now_s < each.valid_until_s]
    limits = [each for each in valid if each.power_min_w is not None]
    if wanted.power_min_w is not None:
        assert wanted.power_min_w in {each.power_min_w for each in limits}
    if limits and limits[-1] is given_ones[-1] and limits[-1].priority is Priority.DSO_RED:
        assert wanted.power_min_w == limits[-1].power_min_w
    if wanted.setpoint_w is not None:
        assert wanted.setpoint_w >= (wanted.power_min_w if wanted.power_min_w is not None else -inf)
        assert wanted.setpoint_w <= (wanted.power_max_w if wanted.power_max_w is not None else inf)


@given(st.lists(instructions, max_size=12))
def test_between_two_changes_nothing_changes(given_ones):
    orders, now_s = all_taken(*given_ones), float(NOW_S)
    while (change_s := next_change_s(orders, now_s)) < inf:
        assert wanted_at(orders, change_s - 0.001) == wanted_at(orders, now_s)
        now_s = change_s
    assert wanted_at(orders, now_s).is_free
