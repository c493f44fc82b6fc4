"""The ledger that a scenario asks for: whose chain, and how balances are kept on it."""

from collections.abc import Sequence
from pathlib import Path

from contracts.ledger import EvmLedger
from contracts.root_ledger import RootLedger
from launch.schema import Ledger, Scenario
from ontology.errors import Conflict

__all__ = ["TokenLedger", "opened_ledger"]

TokenLedger = EvmLedger | RootLedger


def opened_ledger(
    scenario: Scenario,
    aggregator: str,
    attestors: Sequence[str],
    path: Path | None = None,
    funded: Sequence[str] = (),
) -> TokenLedger:
    """Return a scenario's ledger: on an embedded chain, or on a node by its address.

    Args:
        scenario: whose `ledger` section says which.
        aggregator: the account that funds what members cannot pay.
        attestors: addresses of who vouches beside the operator.
        path: of the embedded chain's file, where the scenario names none; None is memory.
        funded: addresses of others that write on the embedded chain.

    Raises: Unavailable when file or node cannot be reached, Conflict when the node is of another chain, or
    the contract that is there listens to other attestors.
    """
    chosen = scenario.ledger
    file = Path(chosen.file) if chosen.file else path
    if chosen.balances == "roots":
        ledger: TokenLedger = _roots(chosen, aggregator, attestors, file, funded)
    else:
        ledger = _accounts(scenario, aggregator, attestors, file, funded)
    wanted = {ledger.operator.address, *attestors}
    if set(ledger.attestors) != wanted:
        ledger.close()
        raise Conflict(f"ledger: {ledger.contract} listens to other attestors than the scenario's")
    return ledger


def _accounts(
    scenario: Scenario,
    aggregator: str,
    attestors: Sequence[str],
    file: Path | None,
    funded: Sequence[str],
) -> EvmLedger:
    chosen, minimum = scenario.ledger, scenario.minimum_tokens
    if chosen.url == "embedded":
        return EvmLedger.embedded(aggregator, file, attestors=attestors, funded=funded, minimum=minimum)
    key = Path(chosen.key_file or "")
    return EvmLedger.on_node(
        chosen.url,
        operator_key=key,
        owner_key=key,
        password_file=_path(chosen.password_file),
        contract=chosen.contract,
        aggregator=aggregator,
        attestors=attestors,
        minimum=minimum,
        chain_id=chosen.chain_id,
        journal=_path(chosen.journal_file),
    )


def _roots(
    chosen: Ledger,
    aggregator: str,
    attestors: Sequence[str],
    file: Path | None,
    funded: Sequence[str],
) -> RootLedger:
    if chosen.url == "embedded":
        return RootLedger.embedded(
            aggregator,
            file,
            entries=balances_file(chosen, file),
            attestors=attestors,
            funded=funded,
            window_s=chosen.challenge_window_s,
        )
    key = Path(chosen.key_file or "")
    return RootLedger.on_node(
        chosen.url,
        operator_key=key,
        owner_key=key,
        entries=Path(chosen.balances_file or ""),
        password_file=_path(chosen.password_file),
        aggregator=aggregator,
        attestors=attestors,
        chain_id=chosen.chain_id,
        journal=_path(chosen.journal_file),
        window_s=chosen.challenge_window_s,
    )


def balances_file(chosen: Ledger, file: Path | None) -> Path | None:
    """Return where that is kept which the roots on an embedded chain stand for; None is memory."""
    if chosen.balances_file:
        return Path(chosen.balances_file)
    return file and file.with_name(f"{file.name}.balances")


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None
