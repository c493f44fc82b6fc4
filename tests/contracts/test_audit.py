"""A ledger checked from outside: what fits together passes, and each thing that does not is named."""

import pytest
from ledger_helpers import inline, opened

from contracts import EvmLedger
from contracts.audit import LedgerAudit
from contracts.calldata import key_hash
from contracts.root_ledger import RootLedger
from ontology.errors import Conflict

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def ledger():
    ledger = opened(EvmLedger.embedded())
    inline(ledger.settle("00:15", {"bob": -800, "alice": 700, "aggregator": 100}, 900))
    inline(ledger.top_up("bob", 1_000, "receipt"))
    inline(ledger.collect(["bob"]))
    inline(ledger.settle("00:30", {"bob": -20, "carol": 20}, 1_800))
    return ledger


@pytest.fixture
def audit(ledger):
    return LedgerAudit(ledger.chain, ledger.contract)


def wrong(audit, *arguments):
    return {check.what: list(check.wrong) for check in audit.checks(*arguments) if not check.holds}


def test_what_was_settled_topped_up_and_collected_fits_together(audit):
    checks = audit.checks()
    assert [check.what for check in checks if not check.holds] == []
    assert "2 settlements sum to zero" in {check.what for check in checks}


def test_accounts_are_read_with_their_tokens(audit, ledger):
    tokens = {account.key: account.tokens for account in audit.accounts()}
    held = inline(ledger.balances(["alice", "bob", "carol", "aggregator"]))
    assert {name: tokens[key_hash(name).hex()] for name in held} == held


def test_events_are_read_block_by_block(audit, monkeypatch):
    whole = list(audit.events())
    monkeypatch.setattr("contracts.audit.BLOCKS_AT_ONCE", 2)
    assert list(audit.events()) == whole
    assert [each.name for each in audit.events(4, 5)] == [e.name for e in whole if 4 <= e.block <= 5]


@pytest.mark.parametrize(
    ("event", "field", "complaint"),
    [
        ("Opened", "tokens", "balances follow"),
        ("Minted", "tokens", "supply"),
        ("Receivable", "tokens", "receivables follow"),
        ("Settled", "digest", "what was signed"),
        ("AttestorsAppointed", "quorum", "quorum"),
    ],
)
def test_an_event_that_tells_something_else_is_found(audit, monkeypatch, event, field, complaint):
    told = list(audit.events())
    for each in told:
        if each.name == event:
            each.values[field] = each.values[field] + 1 if field != "digest" else "00" * 32
    monkeypatch.setattr(audit, "events", lambda: iter(told))
    assert any(complaint in what for what in wrong(audit))


def test_a_settlement_of_which_parts_are_missing_is_named(audit, monkeypatch):
    told = list(audit.events())
    told[-1].values["rest"] = "11" * 32
    monkeypatch.setattr(audit, "events", lambda: iter(told))
    (complaint,) = wrong(audit).values()
    assert complaint == [f"{key_hash('00:30').hex()}: parts are missing"]


def test_other_code_beside_the_tokens_is_named(ledger):
    audit = LedgerAudit(ledger.chain, ledger.contract, {"registry": ledger.contract})
    assert wrong(audit) == {f"{ledger.contract} runs the registry contract of this version": ["other code"]}


@pytest.mark.parametrize(("address", "what"), [("0x" + "11" * 20, "is no contract"), ("registry", "runs no")])
def test_an_address_without_tokens_is_a_conflict(ledger, address, what):
    address = ledger.registry().contract.address if address == "registry" else address
    with pytest.raises(Conflict, match=what):
        LedgerAudit(ledger.chain, address)


def test_roots_are_those_of_the_balances_that_they_stand_for():
    ledger = opened(RootLedger.embedded())
    inline(ledger.settle("00:15", {"bob": -800, "alice": 800}, 900))
    audit = LedgerAudit(ledger.chain, ledger.contract)
    assert wrong(audit, ledger.entries, "aggregator") == {}
    assert wrong(audit) == {
        "2 roots are those of the balances": ["the file of what they stand for is not here"]
    }
    ledger.entries.strike(2)
    assert wrong(audit, ledger.entries, "aggregator") == {
        "2 roots are those of the balances": ["2 roots on the chain, 1 in the file"]
    }
    ledger.entries.add(2, ledger.entries.up_to(1)[0])
    assert (
        "root 2: another one on the chain"
        in wrong(audit, ledger.entries, "aggregator")["2 roots are those of the balances"]
    )
