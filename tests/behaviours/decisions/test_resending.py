"""Pauses before a letter is sent again: they grow, end growing, and differ between peers."""

from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.resending import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_between_half_the_first_and_the_longest(attempts, draw):
    assert FIRST_PAUSE_S / 2 <= pause_s(attempts, draw) <= LONGEST_PAUSE_S


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_a_later_attempt_waits_no_less_for_the_same_draw(attempts, draw):
    assert pause_s(attempts, draw) <= pause_s(attempts + 1, draw)


def test_two_peers_do_not_come_back_in_step():
    assert pause_s(3, 0.1) != pause_s(3, 0.9)
