"""The register of a community: where it is kept, and with whose key each agent writes there."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from agents.blockchain_agent import DsoBlockchainAgent, MarketEngine
from agents.market_operator import MarketOperator
from behaviours.ports import MarketRegister
from contracts.chain import Signer
from contracts.memory_register import MemoryRegister
from contracts.register import MARKET_OPERATOR
from launch.ledgers import TokenLedger
from launch.parts import Part
from launch.scenario import Scenario

__all__ = ["Registers", "funded_writers", "ledger_key", "registers_of"]


class Registers(NamedTuple):
    """The register as each of its writers has it, by address, and as everybody else reads it."""

    writers: Mapping[str, MarketRegister]
    reader: MarketRegister
    place: str
    """`memory`, or the address of the contract."""

    def of(self, address: str) -> MarketRegister:
        """Return the register as an agent has it."""
        return self.writers.get(address, self.reader)


def registers_of(scenario: Scenario, parts: Iterable[Part], ledger: TokenLedger) -> Registers | None:
    """Return the register that a scenario asks for, a new one unless it is on the chain already.

    Raises: Refused when the DSO's key does not own the register that is there, Conflict when the address runs
    other code, Unavailable when the chain cannot be reached.
    """
    if scenario.ledger.register == "none":
        return None
    if scenario.ledger.register == "memory":
        return Registers({}, MemoryRegister(), "memory")
    return _on_chain(scenario, parts, ledger)


def _on_chain(scenario: Scenario, parts: Iterable[Part], ledger: TokenLedger) -> Registers:
    """Return the register on the ledger's chain: DSO, market operator and market engine write."""
    addresses = {part.agent: part.address for part in parts if "register" in part.ports}
    dso_address, operator_address = addresses[DsoBlockchainAgent], addresses[MarketOperator]
    dso = _writer(scenario, ledger, scenario.ledger.dso_key_file, dso_address)
    market = _writer(scenario, ledger, scenario.ledger.market_key_file, operator_address)
    registry = ledger.registry(dso, scenario.ledger.registry)
    writers = {
        dso_address: registry.writer(dso),
        operator_address: registry.writer(market, MARKET_OPERATOR),
        addresses[MarketEngine]: registry.writer(ledger.operator),
    }
    return Registers(writers, registry.reader(), registry.contract.address)


def funded_writers(scenario: Scenario, parts: Iterable[Part]) -> list[str]:
    """Return whose keys the embedded chain has to give means to, beside the attestors."""
    if scenario.ledger.register != "chain":
        return []
    writing = [part.address for part in parts if part.agent in (DsoBlockchainAgent, MarketOperator)]
    return [ledger_key(scenario, address).address for address in writing]


def ledger_key(scenario: Scenario, address: str) -> Signer:
    """Derive an agent's key on the ledger from the seed: a simulation's key, worthless anywhere else."""
    return Signer(hashlib.sha256(f"{scenario.seed} ledger {address}".encode()).digest())


def _writer(scenario: Scenario, ledger: TokenLedger, key_file: str | None, address: str) -> Signer:
    """Return the key that writes for an agent: one given, its own, or the submitter's if that cannot pay."""
    if key_file is not None:
        password = scenario.ledger.password_file
        return Signer.from_file(Path(key_file), Path(password) if password else None)
    own = ledger_key(scenario, address)
    return own if ledger.can_pay(own) else ledger.operator
