"""The closed loop of dispatch against members that obey, lag, fail or can do less than they said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.dispatch_loop import (
    DispatchState,
    Responder,
    dispatched,
    room_left,
)
from tests.behaviours.decisions.quick import quick


def street(number=10, promised_w=-400, room_w=1_000):
    return [Responder(f"m{i}", promised_w, -room_w, room_w, cost_ticks_per_kwh=i) for i in range(number)]


def told(members, answers_w):
    return [each._replace(delivered_w=answers_w.get(each.member)) for each in members]


def run(order_w, members, does, cycles):
    """Return what was delivered in all in each cycle; `does` says what a member makes of what it is asked."""
    state, answers, course = DispatchState(), {}, []
    for cycle in range(cycles):
        _, state = dispatched(order_w, told(members, answers), state)
        answers = {who: does(who, asked_w, cycle) for who, asked_w in state.asked_w.items()}
        course.append(sum(w for w in answers.values() if w is not None))
    return course


def test_members_that_keep_their_promises_are_left_alone():
    beyond_w, _ = dispatched(-4_000, street(), DispatchState())
    assert set(beyond_w.values()) == {0}


def test_what_was_not_promised_is_asked_of_the_cheapest():
    beyond_w, _ = dispatched(-5_500, street(), DispatchState())
    assert (beyond_w["m0"], beyond_w["m1"], beyond_w["m2"]) == (-1_000, -500, 0)


def test_a_silent_member_is_replaced_within_two_cycles():
    course = run(-4_000, street(), lambda who, w, _: None if who == "m3" else w, 4)
    assert course[:2] == [-3_600, -3_600]
    assert course[2:] == [-4_000, -4_000]


def test_a_member_that_does_the_opposite_is_made_up_for():
    course = run(-4_000, street(), lambda who, w, _: 700 if who == "m3" else w, 4)
    assert course[-1] == -4_000


def test_a_member_that_can_do_less_is_asked_no_more_than_it_showed():
    course = run(-6_000, street(), lambda who, w, _: max(w, -600) if who in ("m0", "m1") else w, 8)
    assert course[-1] == pytest.approx(-6_000, rel=0.02)


def test_what_all_do_a_little_too_little_is_corrected():
    course = run(-4_000, street(), lambda who, w, _: round(0.9 * w), 20)
    assert abs(course[-1] + 4_000) < 40


def test_answers_that_come_a_cycle_late_do_not_swing():
    before = {}

    def late(who, asked_w, cycle):
        now, before[who] = before.get(who, -400), asked_w
        return round(0.95 * now)

    course = run(-4_000, street(), late, 30)
    assert max(abs(each + 4_000) for each in course[10:]) < 200


def test_a_member_that_is_back_is_counted_on_again():
    course = run(-4_000, street(), lambda who, w, c: None if who == "m3" and c < 4 else w, 8)
    assert course[-1] == -4_000


def test_the_next_interval_remembers_who_has_failed():
    state = DispatchState(asked_w={"a": 1}, misses={"a": 2, "b": 1}, integral_w=5.0, limits_w={"b": -3})
    assert state.renewed() == DispatchState(misses={"a": 2})


def test_an_order_of_higher_priority_takes_room_first():
    (left,) = room_left([Responder("m", 0, -1_000, 1_000)], {"m": -700})
    assert (left.least_w, left.most_w) == (-300, 1_000)


MEMBERS = st.lists(
    st.tuples(st.integers(-3_000, 3_000), st.integers(-5_000, 0), st.integers(0, 5_000), st.integers(0, 3)),
    min_size=1,
    max_size=8,
).map(lambda rows: [Responder(f"m{i}", *row) for i, row in enumerate(rows)])


@quick
@given(
    MEMBERS,
    st.integers(-20_000, 20_000),
    st.lists(st.lists(st.none() | st.integers(-6_000, 6_000), min_size=8, max_size=8), max_size=6),
)
def test_no_member_is_ever_asked_beyond_its_envelope(members, order_w, answers):
    state = DispatchState()
    for cycle in [[None] * 8, *answers]:
        present = [m._replace(delivered_w=w) for m, w in zip(members, cycle, strict=False)]
        beyond_w, state = dispatched(order_w, present, state)
        for each in members:
            assert each.least_w <= beyond_w[each.member] <= each.most_w
            assert state.asked_w[each.member] == each.promised_w + beyond_w[each.member]
