"""The embedded chain: py-evm in this process, with the community's time and nothing left to chance.

Two runs with the same calls give the same transactions, blocks and state.
"""

from functools import partial
from typing import Any

from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from web3 import EthereumTesterProvider, Web3

from contracts.chain import Chain, Signer

__all__ = ["embedded_chain", "embedded_signers"]

BLOCK_GAS = 4_000_000_000
TRANSACTION_GAS = 1_000_000_000
GAS_PRICE_WEI = 2_000_000_000
NO_RANDOMNESS = bytes(32)
FIRST_SECOND = 1


class _Backend(PyEVMBackend):  # type: ignore[misc]
    """py-evm without the wall clock and the random numbers that eth-tester puts into blocks."""

    def __init__(self) -> None:
        super().__init__(
            self.generate_genesis_params({"gas_limit": BLOCK_GAS, "timestamp": FIRST_SECOND}),
            self.generate_genesis_state(num_accounts=2),
        )

    def set_time(self, time_s: int) -> None:
        """Give the block that comes next a timestamp, later than the last block's in any case."""
        last_s = self.chain.get_canonical_head().timestamp
        self.chain.set_header_timestamp(max(time_s, last_s + 1))

    def mine_blocks(self, num_blocks: int = 1, coinbase: bytes = bytes(20)) -> tuple[bytes, ...]:
        """Close blocks and return their hashes."""
        mine = partial(self.chain.mine_block, coinbase=coinbase, mix_hash=NO_RANDOMNESS, blob_gas_used=0)
        return tuple(mine().hash for _ in range(num_blocks))


def embedded_chain() -> Chain:
    """Return a new chain of our own; it lives as long as the object."""
    backend: Any = _Backend()
    return Chain(
        Web3(EthereumTesterProvider(EthereumTester(backend))),
        gas=TRANSACTION_GAS,
        gas_price=GAS_PRICE_WEI,
        set_time=backend.set_time,
        reverts=TransactionFailed,
    )


def embedded_signers() -> tuple[Signer, Signer]:
    """Return the owner and the operator that the embedded chain has funded; their keys are no secret."""
    owner, operator = ((n).to_bytes(32, "big") for n in (1, 2))
    return Signer(owner), Signer(operator)
