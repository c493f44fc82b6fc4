"""The community's ledger: Vyper contracts, their shipped artefacts and the clients that settle on them.

`EvmLedger` settles on a chain, `MemoryLedger` is its twin without one; both are the `Ledger` port.
"""

from contracts.batch import Settlement
from contracts.ledger import EvmLedger
from contracts.memory import MemoryLedger

__all__ = ["EvmLedger", "MemoryLedger", "Settlement"]
