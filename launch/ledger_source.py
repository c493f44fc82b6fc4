"""Where a ledger is read from: a run folder, the file of an embedded chain, or a node by its address."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from contracts.audit import Account, LedgerAudit, Movement
from contracts.calldata import key_hash
from contracts.chain import Chain, node_chain
from contracts.embedded import embedded_chain
from contracts.root_entries import RootEntries
from launch.ledgers import balances_file
from launch.run_folder import CHAIN, MANIFEST, Run, read_run
from ontology.errors import InvalidInput, problem

__all__ = ["LedgerSource", "opened_source"]

TOKEN_NOTES = ("contract", "balance_roots")
"""Where a chain's own notes name the contract with the tokens."""
OTHER_NOTES = ("registry", "service_levels")


@dataclass(frozen=True)
class LedgerSource:
    """A ledger that can be read, and what a reader knows its accounts as.

    `names` is a reader's name by account (pseudonym); `balances` the entries that roots stand for.
    """

    audit: LedgerAudit
    names: Mapping[str, str] = field(default_factory=dict)
    balances: RootEntries | None = None

    @property
    def aggregator(self) -> str:
        """The account that funds what others lack: the first that was opened, where no run tells."""
        named = next((account for account, name in self.names.items() if name == "aggregator"), "")
        first = self.balances.up_to(1) if self.balances else []
        return named or next((account for entry in first for account in entry.changes), "")

    def tokens(self) -> dict[str, int]:
        """Return every account's tokens: by pseudonym where it is known, else by `#number`."""
        if self.balances is not None:
            return dict(self.balances.balances(self.aggregator))
        return {self._called(each): each.tokens for each in self.audit.accounts()}

    def number(self, name: str) -> int:
        """Return the number of the account that somebody means: by a reader's name, pseudonym or `#number`.

        Raises: InvalidInput when no account is open under it.
        """
        pseudonym = next((account for account, known in self.names.items() if known == name), name)
        if self.balances is not None:
            found = [place for place, account in enumerate(self.tokens()) if account == pseudonym]
        else:
            key = key_hash(pseudonym).hex()
            accounts = self.audit.accounts()
            found = [each.number for each in accounts if name == f"#{each.number}" or each.key == key]
        if not found:
            raise InvalidInput(problem("account", name, "the name, pseudonym or #number of an open account"))
        return found[0]

    def movements(self, account: str) -> list[Movement]:
        """Return what moved the tokens of a pseudonym's account, in order.

        Raises: InvalidInput when no account is open under it.
        """
        number = self.number(account)
        if self.balances is None:
            return list(self.audit.movements(number))
        moved = ((entry, entry.changes.get(account, 0)) for entry in self.balances.up_to())
        return [
            Movement(
                "Settled" if entry.key else "Minted", tokens, entry.kind if entry.key else "", entry.time_s
            )
            for entry, tokens in moved
            if tokens
        ]

    def balance(self, account: str) -> int:
        """Return the tokens of a pseudonym's account.

        Raises: InvalidInput when no account is open under it.
        """
        number = self.number(account)
        return list(self.tokens().values())[number]

    def shown(self, account: str) -> str:
        """Return what a reader knows an account as."""
        return self.names.get(account, account)

    def _called(self, account: Account) -> str:
        pseudonym = next((name for name in self.names if key_hash(name).hex() == account.key), "")
        return pseudonym or f"#{account.number}"


@contextmanager
def opened_source(where: str, contract: str = "", balances: Path | None = None) -> Iterator[LedgerSource]:
    """Open a ledger to read, and close it afterwards.

    Args:
        where: a run folder, a file, or an address that begins with http:// or https://.
        contract: address of the contract with the tokens, where neither folder nor file names it.
        balances: file of what balance roots stand for.

    Raises: InvalidInput when it is none of these, Unavailable when it cannot be reached or is in use,
    Conflict when no contract of ours is there.
    """
    names: Mapping[str, str] = {}
    if Path(where).is_dir():
        run = read_run(Path(where))
        names, contract = run.manifest["accounts"], contract or str(run.manifest.get("contract", ""))
        balances = balances or _balances_of(run)
        where = _chain_of(run)
    with closing(_chain(where)) as chain:
        address = contract or next(filter(None, map(chain.noted, TOKEN_NOTES)), "")
        if not address:
            expected = "the address of the contract with the tokens"
            raise InvalidInput(problem("--contract", "missing", expected))
        others = {name: noted for name in OTHER_NOTES if (noted := chain.noted(name))}
        entries = RootEntries(balances) if balances and balances.is_file() else None
        try:
            yield LedgerSource(LedgerAudit(chain, address, others), names, entries)
        finally:
            if entries is not None:
                entries.close()


def _chain(where: str) -> Chain:
    """Open a chain; a file that is none is left as it is."""
    if where.startswith(("http://", "https://")):
        return node_chain(where)
    path = Path(where)
    if not path.is_file():
        expected = "a run folder, the file of a chain, or the address of a node (http:// or https://)"
        raise InvalidInput(problem("SOURCE", where, expected))
    if not _is_chain(path):
        raise InvalidInput(problem("SOURCE", where, "the file of an embedded chain"))
    return embedded_chain(path)


def _is_chain(path: Path) -> bool:
    """Tell whether a file is that of a chain; all of a new one may still be in the log beside it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as file:
            tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error:
        return False
    return {"entry", "note"} <= tables or (not tables and path.with_name(f"{path.name}-wal").exists())


def _chain_of(run: Run) -> str:
    """Return where the chain of a run is.

    Raises: InvalidInput when it was not kept.
    """
    chosen = run.scenario.ledger
    if chosen.url != "embedded":
        return chosen.url
    path = Path(chosen.file) if chosen.file else run.path / CHAIN
    if not path.is_file():
        raise InvalidInput(problem("SOURCE", str(run.path / MANIFEST), f"with its chain beside it: {path}"))
    return str(path)


def _balances_of(run: Run) -> Path | None:
    chosen = run.scenario.ledger
    file = Path(chosen.file) if chosen.file else run.path / CHAIN
    return balances_file(chosen, file) if chosen.balances == "roots" else None
