"""The contract itself, without the client: who calls what, and what the chain answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from eth_abi import encode

from contracts.artefact import load_artefact
from contracts.calldata import (
    SettleCall,
    Signature,
    call_data,
    changes_of,
    digests_of,
    encode_settle,
    key_hash,
    lane_of,
    message_of,
    statement_of,
    words_in,
)
from contracts.chain import Chain, Mined, Signer
from contracts.embedded import embedded_chain, embedded_signers

AGGREGATOR, ALICE, BOB, CAROL, DAVE, ERIN = range(6)
ATTESTORS = [Signer(bytes([number]) * 32) for number in (11, 12, 13)]
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
        digest: bytes = b"",
        sender: Signer | None = None,
        tamper: int = 0,
        signers: Sequence[Signer] | None = None,
        kind: int = 0,
    ) -> Mined:
        """Settle changes of other accounts than the aggregator's; `tamper` is added to its change."""
        parts = [changes_of(changes)]
        call = SettleCall(key_hash(key), digest or digests_of(parts)[0], kind, time_s=900)
        data = encode_settle(call, parts[0], self.signed(call, signers))
        if tamper:
            word = slice(4 + 6 * 32, 4 + 7 * 32)
            change = int.from_bytes(data[word], "big", signed=True) + tamper
            data = data[: word.start] + change.to_bytes(32, "big", signed=True) + data[word.stop :]
        return self.chain.transact(sender or self.operator, data, to=self.address)

    def bring(self, data: bytes) -> Mined:
        """Send the operator's call."""
        return self.chain.transact(self.operator, data, to=self.address)

    def signed(self, call: SettleCall, signers: Sequence[Signer] | None = None) -> list[Signature]:
        """Return the signatures of attestors, the operator's by default, under a call of `settle`."""
        statement = statement_of(call.key, call.kind, call.result, call.digest)
        message = message_of(self.chain.id, self.address, statement)
        chosen = [self.operator] if signers is None else signers
        known = [self.operator.address, *(signer.address for signer in ATTESTORS)]
        return [Signature(known.index(each.address), *each.sign_hash(message)) for each in chosen]

    def ask(self, signature: str, *arguments: object) -> int:
        return int.from_bytes(self.chain.call(self.address, call_data(signature, *arguments)), "big")

    def balances(self) -> dict[int, int]:
        words = words_in(self.chain.call(self.address, call_data("quadsOf(uint256[])", [0, 1])))
        return {account: lane_of(words[account // 4], account) for account in FIRST_TOKENS}

    def owes(self, account: int) -> int:
        return self.ask("receivables(uint256)", account)


def deploy_settlement(
    chain: Chain, owner: Signer, operator: Signer, attestors: Sequence[str] = (), quorum: int = 1
) -> Contract:
    """Deploy the Settlement contract; the operator is the first attestor."""
    arguments = encode(
        ("address", "address[]", "uint256", "uint256"),
        (operator.address, [operator.address, *attestors], quorum, 100),
    )
    creation = load_artefact("settlement").deployment(arguments)
    return Contract(chain, owner, operator, chain.transact(owner, creation, to=None).contract)


@pytest.fixture
def contract() -> Iterator[Contract]:
    chain, (owner, operator) = embedded_chain(), embedded_signers()
    deployed = deploy_settlement(chain, owner, operator)
    names = ["aggregator", "alice", "bob", "carol", "dave", "erin"]
    deployed.as_owner(
        "openAccounts(bytes32[],uint256[])", [key_hash(name) for name in names], list(FIRST_TOKENS.values())
    )
    yield deployed
    assert sum(deployed.balances().values()) == deployed.ask("supply()")
