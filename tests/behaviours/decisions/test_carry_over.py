"""What goes on to a member's next pseudonym: everything, and to nobody else."""

from hypothesis import given
from hypothesis import strategies as st
from quick import quick

from behaviours.decisions.carry_over import (
    carried_balances,
    carry_over_entries,
    carry_over_hash,
    carry_over_key,
)

BALANCES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 10**6), min_size=1)


@quick
@given(BALANCES)
def test_every_token_goes_on_and_none_is_made(balances):
    successors = {account: account.upper() for account in balances}
    entries = carry_over_entries(carried_balances(successors, balances), successors)
    assert sum(entries.values()) == 0
    after = {account: tokens + entries.get(account, 0) for account, tokens in balances.items()}
    assert not any(after.values())
    assert {entries.get(account.upper(), 0) for account in "abcdefgh"} == {
        balances.get(account, 0) for account in "abcdefgh"
    }


def test_what_is_hashed_does_not_tell_who_follows_on_whom():
    carried = {"a": 5, "b": 5}
    one = carry_over_entries(carried, {"a": "x", "b": "y"})
    other = carry_over_entries(carried, {"a": "y", "b": "x"})
    key = carry_over_key(7, 0)
    assert carry_over_hash(key, one) == carry_over_hash(key, other)
    assert carry_over_hash(key, one) != carry_over_hash(carry_over_key(7, 1), one)
