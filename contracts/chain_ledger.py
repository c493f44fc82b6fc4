"""What every ledger on a chain has beside its tokens: attestors, events and the contracts around it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from contracts.attestation import EvmAttestor
from contracts.chain import Chain, Signer
from contracts.events import ContractEvent, decode_event
from contracts.register import Registry
from contracts.service_levels import EvmServiceLevels
from ontology.errors import Refused
from ontology.ledger import SettlementKind

__all__ = ["ChainLedger"]


class ChainLedger:
    """A client of the contract with a community's tokens.

    Args:
        chain: where the contract is.
        operator: settles.
        owner: opens accounts and tops them up; None when somebody else does.
    """

    contract_name: ClassVar[str]
    """Which of the contracts shipped here it is."""
    contract: str
    attestors: Sequence[str]
    quorum: int

    def __init__(self, chain: Chain, operator: Signer, owner: Signer | None) -> None:
        self._chain = chain
        self._operator = operator
        self._owner = owner
        self._registry: Registry | None = None

    def message(self, key: str, entries: Mapping[str, int], kind: SettlementKind, result: str) -> bytes:
        """Return the hash that an attestor of this ledger signs for a batch."""
        raise NotImplementedError

    @property
    def chain(self) -> Chain:
        """Where the contract is."""
        return self._chain

    @property
    def operator(self) -> Signer:
        """Who settles."""
        return self._operator

    @property
    def state_root(self) -> str:
        """The root hash (hexadecimal) of the chain's state after its last block."""
        return self._chain.state_root

    def attestor(self, signer: Signer) -> EvmAttestor:
        """Return one of the attestors of this ledger, by its key."""
        return EvmAttestor(self, self._chain, signer)

    async def events(self, first_block: int = 0) -> tuple[list[ContractEvent], int]:
        """Return what the contract has told since a block, and the block to go on from next time.

        Whoever follows keeps that number; what happened while the follower or the node was away comes then.

        Raises: Unavailable when the chain cannot be reached.
        """
        last_block = self._chain.last_block()
        if last_block < first_block:
            return [], first_block
        logs = self._chain.logs(self.contract, [], first_block, last_block)
        return [decode_event(self.contract_name, log) for log in logs], last_block + 1

    def service_levels(self) -> EvmServiceLevels:
        """Return agreements on the chain of this ledger; the operator writes there.

        Raises: Refused without the owner's key, Unavailable when the chain cannot be reached.
        """
        return EvmServiceLevels(self._chain, registry=self.registry(), writer=self._operator)

    def registry(self, dso: Signer | None = None, address: str = "") -> Registry:
        """Return the contract of roles and register on the chain of this ledger, always the same one.

        The DSO's key, the owner's by default, deploys it where there is none, and appoints the others.

        Raises: Refused without a key, Unavailable when the chain cannot be reached.
        """
        if self._registry is None:
            self._registry = Registry(
                self._chain,
                dso=dso or self._owning(),
                aggregator=self._operator.address,
                settlement=self.contract,
                address=address,
            )
        return self._registry

    def can_pay(self, signer: Signer) -> bool:
        """Tell whether somebody can send transactions on this chain; otherwise the operator writes for it."""
        return self._chain.can_pay(signer.address)

    def close(self) -> None:
        """Let go of the chain; what it holds stays."""
        self._chain.close()

    def _owning(self) -> Signer:
        if self._owner is None:
            raise Refused("the ledger's owner opens accounts and mints; this client has not its key")
        return self._owner
