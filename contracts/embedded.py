"""The embedded chain: py-evm in this process, with the community's time and nothing left to chance.

Two runs with the same calls give the same transactions, blocks and state. In a file it outlives all.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eth.db.atomic import AtomicDB
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.backends.pyevm.main import get_default_account_state, setup_tester_chain
from eth_tester.backends.pyevm.serializers import serialize_transaction, serialize_transaction_receipt
from eth_tester.exceptions import TransactionFailed, TransactionNotFound
from eth_utils import to_canonical_address
from web3 import EthereumTesterProvider, Web3

from contracts.chain import Chain, Signer
from contracts.chain_file import ChainFile, ChainMemory

__all__ = ["EmbeddedChain", "embedded_chain", "embedded_signers"]

BLOCK_GAS = 4_000_000_000
TRANSACTION_GAS = 1_000_000_000
GAS_PRICE_WEI = 2_000_000_000
NO_RANDOMNESS = bytes(32)
FIRST_SECOND = 1


class _Backend(PyEVMBackend):  # type: ignore[misc]
    """py-evm on our store, without the wall clock and the random numbers that eth-tester puts into blocks."""

    def __init__(self, store: ChainMemory | ChainFile, funded: Sequence[str]) -> None:
        self._store = store
        rich = get_default_account_state()
        super().__init__(
            self.generate_genesis_params({"gas_limit": BLOCK_GAS, "timestamp": FIRST_SECOND}),
            {to_canonical_address(address): rich for address in funded},
        )

    def reset_to_genesis(self, genesis_params: Any = None, genesis_state: Any = None, *others: Any) -> None:
        """Take up the chain that is in the store, or begin one there."""
        self.account_keys, blank = setup_tester_chain(genesis_params, genesis_state, *others)
        database = AtomicDB(self._store)
        if self._store.is_new:
            self.chain = type(blank).from_genesis(database, genesis_params, genesis_state)
            self._store.commit()
        else:
            self.chain = type(blank)(database)

    def set_time(self, time_s: int) -> None:
        """Give the block that comes next a timestamp, later than the last block's in any case."""
        last_s = self.chain.get_canonical_head().timestamp
        self.chain.set_header_timestamp(max(time_s, last_s + 1))

    def mine_blocks(self, num_blocks: int = 1, coinbase: bytes = bytes(20)) -> tuple[bytes, ...]:
        """Close blocks, write them down and return their hashes."""
        mine = partial(self.chain.mine_block, coinbase=coinbase, mix_hash=NO_RANDOMNESS, blob_gas_used=0)
        hashes = tuple(mine().hash for _ in range(num_blocks))
        self._store.commit()
        return hashes

    def get_transaction_by_hash(self, transaction_hash: bytes) -> Any:
        """Return a transaction by the chain's own index; eth-tester would read every block."""
        block, index = self._place_of(transaction_hash)
        return serialize_transaction(block, block.transactions[index], index, is_pending=False)

    def get_transaction_receipt(self, transaction_hash: bytes) -> Any:
        """Return a transaction's receipt by the chain's own index."""
        block, index = self._place_of(transaction_hash)
        return serialize_transaction_receipt(
            block,
            block.get_receipts(self.chain.chaindb),
            block.transactions[index],
            index,
            is_pending=False,
            vm=self.chain.get_vm(),
        )

    def _place_of(self, transaction_hash: bytes) -> tuple[Any, int]:
        try:
            number, index = self.chain.chaindb.get_transaction_index(transaction_hash)
        except Exception as error:
            raise TransactionNotFound(f"no transaction 0x{transaction_hash.hex()}") from error
        return self.chain.get_canonical_block_by_number(number), index


class EmbeddedChain(Chain):
    """A chain of our own; see `embedded_chain`."""

    def __init__(self, store: ChainMemory | ChainFile, funded: Sequence[str]) -> None:
        self._store = store
        self._backend: Any = _Backend(store, funded)
        super().__init__(
            Web3(EthereumTesterProvider(EthereumTester(self._backend))),
            gas=TRANSACTION_GAS,
            gas_price=GAS_PRICE_WEI,
            set_time=self._backend.set_time,
            reverts=TransactionFailed,
        )

    @property
    def state_root(self) -> str:
        """The root hash (hexadecimal) of the state after the last block."""
        return str(self._backend.chain.get_canonical_head().state_root.hex())

    def noted(self, name: str) -> str:
        """Return a note kept with the chain, empty where there is none."""
        return self._store.note(name)

    def note(self, name: str, value: str) -> None:
        """Keep a note with the chain."""
        self._store.make_note(name, value)

    def close(self) -> None:
        """Let go of the chain's file."""
        self._store.close()


def embedded_chain(path: Path | None = None, funded: Sequence[str] = ()) -> EmbeddedChain:
    """Return a chain of our own: in a file, which is made or taken up again, or as long as the object lives.

    Args: funded: addresses that can pay for gas from the beginning, beside those of `embedded_signers`.
    Raises: Unavailable when the file cannot be opened or another process holds it.
    """
    addresses = [*(signer.address for signer in embedded_signers()), *funded]
    return EmbeddedChain(ChainMemory() if path is None else ChainFile(path), addresses)


def embedded_signers() -> tuple[Signer, Signer]:
    """Return the owner and the operator that the embedded chain has funded; their keys are no secret."""
    owner, operator = ((n).to_bytes(32, "big") for n in (1, 2))
    return Signer(owner), Signer(operator)
