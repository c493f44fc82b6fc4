"""The commands `parity-mas ledger`: read a ledger, check it, and set up a network of validators for one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.exits import errors

if TYPE_CHECKING:
    from contracts.events import ContractEvent
    from launch.ledger_source import LedgerSource

__all__ = ["ledger_app"]

DOES_NOT_HOLD = 1
ledger_app = typer.Typer(help="Read a ledger, check it, and set up a network for one.", no_args_is_help=True)

Source = Annotated[
    str, typer.Argument(help="A run folder, the file of a chain, or the address of a node.", metavar="SOURCE")
]
Contract = Annotated[
    str, typer.Option(help="Address of the contract with the tokens, where the source does not name it.")
]
Balances = Annotated[
    Path | None, typer.Option(help="What balance roots stand for, where no run folder names it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON, one object a line.")]


@ledger_app.command()
def balance(
    source: Source,
    accounts: Annotated[
        list[str] | None,
        typer.Argument(help="Sites, pseudonyms or #numbers; all without any.", show_default=False),
    ] = None,
    contract: Contract = "",
    balances_file: Balances = None,
    as_json: AsJson = False,
) -> None:
    """Print what accounts hold, in tokens."""
    from launch.ledger_source import opened_source

    with errors(), opened_source(source, contract, balances_file) as ledger:
        tokens = ledger.tokens()
        listed = list(tokens)
        for account in [listed[ledger.number(name)] for name in accounts or ()] or listed:
            if as_json:
                shown = {"account": account, "name": ledger.shown(account), "tokens": tokens[account]}
                print(json.dumps(shown))
            else:
                print(f"{tokens[account]:>20,}  {ledger.shown(account)}".replace(",", " "))


@ledger_app.command()
def events(
    source: Source,
    names: Annotated[
        list[str] | None, typer.Option("--event", help="Only these, such as Settled. May be repeated.")
    ] = None,
    key: Annotated[str, typer.Option(help="Only about this settlement, such as 'lem 1714636800'.")] = "",
    account: Annotated[str, typer.Option(help="Only about this account.")] = "",
    since: Annotated[int, typer.Option(help="From this block on.", min=0)] = 0,
    until: Annotated[int | None, typer.Option(help="Up to this block.", min=0)] = None,
    contract: Contract = "",
    as_json: AsJson = False,
) -> None:
    """Print what the contract has told, in order."""
    from launch.ledger_source import opened_source

    with errors(), opened_source(source, contract) as ledger:
        found = ledger.audit.events(since, until)
        wanted = set(names or ())
        for event in _about(found, wanted, key, _number_of(ledger, account)):
            if as_json:
                values = {"block": event.block, "event": event.name, "transaction": event.transaction}
                print(json.dumps({**values, **event.values}))
            else:
                said = "  ".join(f"{name} {_short(value)}" for name, value in event.values.items())
                print(f"{event.block:>8}  {event.name:<18}  {said}")


@ledger_app.command()
def verify(
    source: Source, contract: Contract = "", balances_file: Balances = None, as_json: AsJson = False
) -> None:
    """Compute everything again, and end with 1 when something does not hold."""
    from launch.ledger_source import opened_source

    with errors(), opened_source(source, contract, balances_file) as ledger:
        checks = ledger.audit.checks(ledger.balances, ledger.aggregator)
    for check in checks:
        if as_json:
            print(json.dumps({"check": check.what, "holds": check.holds, "wrong": list(check.wrong)}))
        else:
            print(f"{'ok' if check.holds else 'WRONG':<5}  {check.what}")
            for wrong in check.wrong:
                print(f"         {wrong}")
    if not all(check.holds for check in checks):
        raise typer.Exit(DOES_NOT_HOLD)


def _about(
    events: "Iterator[ContractEvent]", names: set[str], key: str, account: int | None
) -> "Iterator[ContractEvent]":
    """Yield the events that were asked for."""
    from contracts.calldata import key_hash

    hash_ = key_hash(key).hex() if key else ""
    for event in events:
        is_named = not names or event.name in names
        is_of_key = not key or event.values.get("key") == hash_
        is_of_account = account is None or event.values.get("account") == account
        if is_named and is_of_key and is_of_account:
            yield event


def _number_of(ledger: "LedgerSource", account: str) -> int | None:
    return ledger.number(account) if account else None


def _short(value: object) -> str:
    """Return a value as text, hashes cut to what tells them apart."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)


@ledger_app.command()
def besu(
    out: Annotated[Path, typer.Argument(help="A new folder for genesis, keys and configuration.")],
    validators: Annotated[
        str, typer.Option(help="Names by commas, as name@host[:port] where each has its own machine.")
    ] = "dso,aggregator,h001,h002",
    chain_id: Annotated[int, typer.Option(help="The number of the chain.", min=1)] = 7_272,
    block_seconds: Annotated[int, typer.Option(help="How often there is a block.", min=1, max=60)] = 1,
) -> None:
    """Write the files of a Besu network with QBFT consensus and free gas."""
    from contracts.besu import write_network

    with errors():
        for path in write_network(out, validators.split(","), chain_id, block_seconds):
            print(path)
