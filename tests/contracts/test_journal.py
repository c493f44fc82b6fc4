"""What was sent is kept, so that a node that lost its last blocks gets them again: each once."""

from pathlib import Path

import pytest
from anvil_node import need_anvil
from ledger_helpers import inline, opened

from contracts import EvmLedger
from contracts.chain import Signer
from contracts.journal import Sent, TransactionJournal
from contracts.local_node import CHAIN_ID, RICH_KEYS, LocalNode
from ontology.errors import Conflict, Unavailable


def test_what_a_node_has_not_counted_is_told_in_the_order_of_sending():
    journal = TransactionJournal()
    sent = [Sent("a", 0, b"1"), Sent("b", 7, b"2"), Sent("a", 1, b"3")]
    for each in sent:
        journal.add(each)
    assert journal.last == {"a": 1, "b": 7}
    assert journal.from_on({"a": 1, "b": 7}) == sent[1:]
    assert journal.from_on({"a": 2, "b": 8}) == []


def test_what_the_node_turned_down_is_struck_out():
    journal = TransactionJournal()
    for nonce in (3, 4):
        journal.add(Sent("a", nonce, b""))
    journal.strike(Sent("a", 4, b""))
    assert journal.last == {"a": 3}
    journal.strike(Sent("a", 3, b""))
    assert journal.last == {}


def test_a_journal_in_a_file_is_read_again_and_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("contracts.journal.KEPT", 30)
    journal = TransactionJournal(tmp_path / "journal.sqlite")
    for nonce in range(35):
        journal.add(Sent("a", nonce, b"raw"))
    journal.close()
    again = TransactionJournal(tmp_path / "journal.sqlite")
    assert again.last == {"a": 34}
    assert [each.nonce for each in again.from_on({})] == list(range(5, 35))


def test_a_folder_is_no_journal(tmp_path):
    with pytest.raises(Unavailable, match="journal"):
        TransactionJournal(tmp_path)


@pytest.fixture
def node(tmp_path):
    need_anvil()
    node = LocalNode(tmp_path)
    node.start()
    yield node
    node.kill()


@pytest.fixture
def key(tmp_path) -> Path:
    (tmp_path / "key").write_text(RICH_KEYS[0])
    return tmp_path / "key"


def ledger_on(node: LocalNode, key: Path, journal: Path | None = None, contract: str = "") -> EvmLedger:
    return EvmLedger.on_node(
        node.url, operator_key=key, owner_key=key, journal=journal, contract=contract, chain_id=CHAIN_ID
    )


@pytest.mark.chain
@pytest.mark.server
def test_a_node_that_lost_everything_is_given_everything_again(node, key):
    ledger = opened(ledger_on(node, key))
    inline(ledger.settle("a", {"alice": -5, "bob": 5}, 900))
    before = inline(ledger.balances(["alice", "bob"]))
    node.kill()
    node.forget()
    node.start()
    assert inline(ledger.balances(["alice", "bob"])) == before
    assert inline(opened(ledger_on(node, key, contract=ledger.contract)).settlement("a")) is not None


@pytest.mark.chain
@pytest.mark.server
def test_a_client_that_died_with_its_node_gives_back_what_it_had_sent(node, key, tmp_path):
    journal = tmp_path / "journal.sqlite"
    ledger = opened(ledger_on(node, key, journal))
    inline(ledger.settle("a", {"alice": -5, "bob": 5}, 900))
    ledger.close()
    node.kill()
    node.forget()
    node.start()
    again = ledger_on(node, key, journal, ledger.contract)
    assert inline(again.balances(["alice"])) == {"alice": 995}
    assert not inline(again.settle("a", {"alice": -5, "bob": 5}, 900)).fresh


@pytest.mark.chain
@pytest.mark.server
def test_where_another_client_used_the_lost_numbers_there_is_a_conflict(node, key):
    ledger = opened(ledger_on(node, key))
    inline(ledger.settle("a", {"alice": -5, "bob": 5}, 900))
    node.kill()
    node.forget()
    node.start()
    thief = ledger_on(node, key)._chain
    thief.transact(Signer(bytes.fromhex(RICH_KEYS[0])), b"", to="0x" + "11" * 20)
    with pytest.raises(Conflict, match="another client"):
        inline(ledger.balances(["alice"]))
