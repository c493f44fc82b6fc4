"""The contract itself, without the client: who calls what, and what the chain answers."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contracts.artefact import load_artefact
from contracts.calldata import call_data, changes_of, encode_settle, key_hash, lane_of, words_in
from contracts.chain import Chain, Mined, Signer
from contracts.embedded import embedded_chain, embedded_signers

AGGREGATOR, ALICE, BOB, CAROL, DAVE, ERIN = range(6)
FIRST_TOKENS = {AGGREGATOR: 10_000, ALICE: 1_000, BOB: 500, CAROL: 0, DAVE: 1_000, ERIN: 1_000}


@dataclass
class Contract:
    """A deployed Settlement contract with six accounts."""

    chain: Chain
    owner: Signer
    operator: Signer
    address: str

    def as_owner(self, signature: str, *arguments: object) -> Mined:
        return self.chain.transact(self.owner, call_data(signature, *arguments), to=self.address)

    def as_operator(self, signature: str, *arguments: object) -> Mined:
        return self.chain.transact(self.operator, call_data(signature, *arguments), to=self.address)

    def settle(
        self,
        changes: dict[int, int],
        key: str = "interval-1",
        digest: bytes = bytes(32),
        parts_left: int = 0,
        sender: Signer | None = None,
        tamper: int = 0,
    ) -> Mined:
        """Settle changes of other accounts than the aggregator's; `tamper` is added to its change."""
        data = encode_settle(key_hash(key), digest, parts_left, 900, changes_of(changes))
        if tamper:
            word = slice(4 + 4 * 32, 4 + 5 * 32)
            change = int.from_bytes(data[word], "big", signed=True) + tamper
            data = data[: word.start] + change.to_bytes(32, "big", signed=True) + data[word.stop :]
        return self.chain.transact(sender or self.operator, data, to=self.address)

    def ask(self, signature: str, *arguments: object) -> int:
        return int.from_bytes(self.chain.call(self.address, call_data(signature, *arguments)), "big")

    def balances(self) -> dict[int, int]:
        words = words_in(self.chain.call(self.address, call_data("quadsOf(uint256[])", [0, 1])))
        return {account: lane_of(words[account // 4], account) for account in FIRST_TOKENS}

    def owes(self, account: int) -> int:
        return self.ask("receivables(uint256)", account)


@pytest.fixture
def contract() -> Iterator[Contract]:
    chain, (owner, operator) = embedded_chain(), embedded_signers()
    creation = load_artefact("settlement").deployment(bytes.fromhex(operator.address[2:]).rjust(32, b"\0"))
    deployed = Contract(chain, owner, operator, chain.transact(owner, creation, to=None).contract)
    names = ["aggregator", "alice", "bob", "carol", "dave", "erin"]
    deployed.as_owner(
        "openAccounts(bytes32[],uint256[])", [key_hash(name) for name in names], list(FIRST_TOKENS.values())
    )
    yield deployed
    assert sum(deployed.balances().values()) == deployed.ask("supply()")
