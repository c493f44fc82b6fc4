"""The `Ledger` port as agents use it, the same on a chain and in memory."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_helpers import ACCOUNTS, inline, opened

from behaviours.ports import Ledger
from contracts import EvmLedger, MemoryLedger
from ontology.errors import Conflict, InvalidInput, ParityError, Refused


@pytest.fixture(
    params=[
        pytest.param(MemoryLedger, id="memory"),
        pytest.param(EvmLedger.embedded, id="chain", marks=pytest.mark.chain),
    ]
)
def ledger(request):
    return opened(request.param())


def test_a_batch_is_settled_and_its_receipt_says_what_moved(ledger):
    entries = {"alice": -300, "bob": 100, "carol": 0, "aggregator": 200}
    receipt = inline(ledger.settle("00:15", entries, 900))
    assert receipt.key == "00:15"
    assert receipt.entries == entries
    assert receipt.receivables == {}
    assert receipt.fresh
    assert inline(ledger.balances(["alice", "bob", "aggregator"])) == {
        "alice": 700,
        "bob": 600,
        "aggregator": 10_200,
    }


def test_settling_again_under_the_same_key_changes_nothing_and_returns_what_is_held(ledger):
    entries = {"alice": -300, "bob": 300}
    first = inline(ledger.settle("00:15", entries, 900))
    again = inline(ledger.settle("00:15", entries, 1_800))
    assert (again.transaction, again.entries, again.fresh) == (first.transaction, entries, False)
    assert inline(ledger.balances(["alice"])) == {"alice": 700}


def test_tokens_that_numpy_computed_are_tokens(ledger):
    entries = dict(zip(ACCOUNTS, np.array([-400, 100, 100, 150, 50]), strict=True))
    inline(ledger.settle("00:15", entries, 900))
    assert inline(ledger.balances(ACCOUNTS)) == {
        "alice": 600,
        "bob": 600,
        "carol": 100,
        "aggregator": 10_150,
        "grid": 5_050,
    }


def test_the_order_of_entries_and_zeros_do_not_make_another_batch(ledger):
    inline(ledger.settle("00:15", {"alice": -300, "bob": 300}, 900))
    assert not inline(ledger.settle("00:15", {"bob": 300, "carol": 0, "alice": -300}, 900)).fresh


def test_another_batch_under_a_known_key_is_a_conflict(ledger):
    inline(ledger.settle("00:15", {"alice": -300, "bob": 300}, 900))
    with pytest.raises(Conflict, match="00:15"):
        inline(ledger.settle("00:15", {"alice": -301, "bob": 301}, 900))


def test_a_settlement_is_found_by_its_key(ledger):
    inline(ledger.settle("00:15", {"bob": -800, "alice": 800}, 900))
    held = inline(ledger.settlement("00:15"))
    assert held.entries == {"bob": -800, "alice": 800}
    assert held.receivables == {"bob": 300}
    assert not held.fresh
    assert inline(ledger.settlement("00:30")) is None


def test_what_a_member_cannot_pay_is_a_receivable_that_the_aggregator_funds(ledger):
    receipt = inline(ledger.settle("00:15", {"bob": -800, "alice": 700, "grid": 100}, 900))
    assert receipt.receivables == {"bob": 300}
    assert inline(ledger.balances(ACCOUNTS)) == {
        "alice": 1_700,
        "bob": 0,
        "carol": 0,
        "aggregator": 9_700,
        "grid": 5_100,
    }
    assert inline(ledger.receivables(["bob", "alice"])) == {"bob": 300, "alice": 0}


def test_a_receivable_is_collected_after_a_top_up(ledger):
    inline(ledger.settle("00:15", {"bob": -800, "alice": 800}, 900))
    inline(ledger.top_up("bob", 1_000))
    inline(ledger.collect(["bob", "alice"]))
    assert inline(ledger.receivables(["bob"])) == {"bob": 0}
    assert inline(ledger.balances(["bob", "aggregator"])) == {"bob": 700, "aggregator": 10_000}
    assert inline(ledger.supply()) == sum(ACCOUNTS.values()) + 1_000


def test_an_account_that_is_open_keeps_its_tokens(ledger):
    inline(ledger.open_accounts({"alice": 99_999, "dave": 7}))
    assert inline(ledger.balances(["alice", "dave"])) == {"alice": 1_000, "dave": 7}


def test_the_aggregators_account_is_opened_first():
    for ledger in (MemoryLedger(), EvmLedger.embedded()):
        with pytest.raises(InvalidInput, match="opened first"):
            inline(ledger.open_accounts({"alice": 1}))


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"alice": -300, "bob": 299}, "sum to -1"),
        ({"alice": -300, "mallory": 300}, "mallory"),
        ({"alice": -300, "mallory": 0, "bob": 300}, "mallory"),
        ({"alice": -(2**52), "bob": 2**52}, "between"),
        ({"alice": -0.5, "bob": 0.5}, "whole tokens"),
    ],
    ids=["not zero-sum", "unknown account", "unknown account with zero", "too large", "not whole"],
)
def test_a_batch_that_breaks_the_rules_is_invalid_input(ledger, entries, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        inline(ledger.settle("00:15", entries, 900))
    assert inline(ledger.settlement("00:15")) is None


def test_a_batch_that_the_aggregator_cannot_fund_is_refused_whole(ledger):
    with pytest.raises(Refused, match="cannot fund"):
        inline(ledger.settle("00:15", {"aggregator": -10_001, "alice": 10_001}, 900))
    with pytest.raises(Refused, match="cannot fund"):
        inline(ledger.settle("00:15", {"carol": -10_001, "alice": 10_001}, 900))
    assert inline(ledger.balances(ACCOUNTS)) == ACCOUNTS
    inline(ledger.top_up("aggregator", 1))
    assert inline(ledger.settle("00:15", {"carol": -10_001, "alice": 10_001}, 900)).fresh


@pytest.mark.parametrize("tokens", [-1, 2**52])
def test_first_tokens_and_top_ups_are_bounded(ledger, tokens):
    with pytest.raises(InvalidInput):
        inline(ledger.open_accounts({"dave": tokens}))
    with pytest.raises(InvalidInput):
        inline(ledger.top_up("alice", tokens))


def test_unknown_accounts_have_no_balance(ledger):
    with pytest.raises(InvalidInput, match="mallory"):
        inline(ledger.balances(["alice", "mallory"]))


@st.composite
def batches(draw: st.DrawFn) -> dict[str, int]:
    """Zero-sum changes of some accounts, some beyond what their holders have."""
    changes = draw(st.dictionaries(st.sampled_from(sorted(ACCOUNTS)), st.integers(-3_000, 3_000), min_size=1))
    last = draw(st.sampled_from(sorted(ACCOUNTS)))
    changes[last] = changes.get(last, 0) - sum(changes.values())
    return changes


@pytest.mark.chain
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from("abcdef"), batches()), min_size=1, max_size=6))
def test_the_twins_agree_on_any_sequence_of_batches(sequence):
    twins = [opened(MemoryLedger()), opened(EvmLedger.embedded())]

    def outcome(ledger: Ledger, key: str, entries: dict[str, int]) -> object:
        try:
            receipt = inline(ledger.settle(key, entries, 900))
        except ParityError as error:
            return type(error), str(error)
        return receipt.entries, receipt.receivables, receipt.fresh

    for key, entries in sequence:
        assert outcome(twins[0], key, entries) == outcome(twins[1], key, entries)
        for ask in ("balances", "receivables"):
            assert inline(getattr(twins[0], ask)(ACCOUNTS)) == inline(getattr(twins[1], ask)(ACCOUNTS))
