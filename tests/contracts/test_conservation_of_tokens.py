"""Tokens are conserved over ten thousand settlements, and settling again changes nothing (SPEC 2.10)."""

import numpy as np
import pytest
from ledger_helpers import inline

from behaviours.ports import Ledger
from contracts.ledger import EvmLedger
from contracts.memory import MemoryLedger
from ontology.errors import Conflict

AGGREGATOR = "aggregator"
MEMBERS = [f"m{number:02d}" for number in range(20)]
TOKENS = 5_000


def batch(draw: np.random.Generator) -> dict[str, int]:
    """Return signed changes of some members, large enough to leave debts, and the aggregator's share."""
    chosen = draw.choice(MEMBERS, size=draw.integers(1, 8), replace=False)
    changes = {str(name): int(draw.integers(-1_500, 1_501)) for name in chosen}
    return changes | {AGGREGATOR: -sum(changes.values())}


def settled_at_random(ledger: Ledger, settlements: int) -> None:
    """Settle random batches, some of them again, and check after each thousandth that all adds up."""
    accounts = {AGGREGATOR: 10**9} | dict.fromkeys(MEMBERS, TOKENS)
    inline(ledger.open_accounts(accounts))
    supply, draw = sum(accounts.values()), np.random.default_rng(7)
    moved = dict.fromkeys(accounts, 0)
    before: list[tuple[str, dict[str, int]]] = []
    for number in range(settlements):
        entries = batch(draw)
        receipt = inline(ledger.settle(f"key {number}", entries, number))
        assert receipt.fresh
        before.append((f"key {number}", entries))
        for name, tokens in entries.items():
            moved[name] += tokens
        if number % 10 == 0:
            key, again = before[int(draw.integers(len(before)))]
            assert not inline(ledger.settle(key, again, number)).fresh
        if number % (settlements // 10) == 0:
            assert_conserved(ledger, accounts, moved, supply)
    assert_conserved(ledger, accounts, moved, supply)


def assert_conserved(ledger: Ledger, accounts: dict[str, int], moved: dict[str, int], supply: int) -> None:
    """Nobody is overdrawn, debts say what could not be paid, and the sum is what it was."""
    held, owed = inline(ledger.balances(accounts)), inline(ledger.receivables(accounts))
    assert sum(held.values()) == inline(ledger.supply()) == supply
    assert min(held.values()) >= 0
    for name in MEMBERS:
        assert held[name] - owed[name] == accounts[name] + moved[name]
    assert held[AGGREGATOR] + sum(owed.values()) == accounts[AGGREGATOR] + moved[AGGREGATOR]


def test_ten_thousand_settlements_conserve_tokens():
    settled_at_random(MemoryLedger(AGGREGATOR), 10_000)


@pytest.mark.chain
@pytest.mark.parametrize(
    "settlements", [100, pytest.param(10_000, marks=pytest.mark.soak)], ids=["some", "ten thousand"]
)
def test_settlements_on_the_chain_conserve_tokens(settlements):
    settled_at_random(EvmLedger.embedded(AGGREGATOR), settlements)


@pytest.mark.chain
def test_a_signed_transaction_that_is_sent_again_changes_nothing(monkeypatch):
    """Whoever has overheard the chain can send every transaction once more: its number is used up."""
    ledger = EvmLedger.embedded(AGGREGATOR)
    eth = ledger._chain._web3.eth
    overheard: list[bytes] = []
    send = eth.send_raw_transaction
    monkeypatch.setattr(eth, "send_raw_transaction", lambda raw: overheard.append(raw) or send(raw))
    inline(ledger.open_accounts({AGGREGATOR: 10**6, "m00": TOKENS}))
    inline(ledger.settle("key", {"m00": -70, AGGREGATOR: 70}, 1))
    before = ledger._chain.state_root
    assert len(overheard) >= 2
    for raw in overheard:
        with pytest.raises(Exception, match=r"nonce"):
            send(raw)
    assert ledger._chain.state_root == before
    with pytest.raises(Conflict):
        inline(ledger.settle("key", {"m00": -71, AGGREGATOR: 71}, 1))
    assert inline(ledger.balances(["m00"])) == {"m00": TOKENS - 70}
