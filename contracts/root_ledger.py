"""The ledger of a large community: batches in a file here, one hash over all balances on the chain.

What a settlement costs on the chain does not grow with the community (see balance_roots.vy). What a root
stands for is kept in an SQLite file with `synchronous=FULL`: without it nobody could prove a balance.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from eth_utils import to_checksum_address

from contracts.attestation import (
    KINDS,
    EvmAttestor,
    result_bytes,
    signature_parts,
    signature_text,
    signatures_in_order,
    usual_quorum,
)
from contracts.balance_tree import BalanceTree, Step
from contracts.batch import Batch, Settlement, checked_openings
from contracts.calldata import Signature, keccak, key_hash, message_of, number
from contracts.chain import Chain, Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.memory import allowed, outcome
from ontology.errors import InvalidInput, Refused, Unavailable, problem
from ontology.ledger import SettlementKind

__all__ = ["RootLedger"]

WINDOW_S = 86_400
"""How long a root can be challenged: a day."""
NO_NAMES: Mapping[str, str] = {}
_SCHEMA = "CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, content BLOB NOT NULL)"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the book: tokens minted (no key), or a batch, with what was signed for it."""

    contract: str
    changes: Mapping[str, int]
    key: str = ""
    kind: SettlementKind = SettlementKind.LEM
    result: str = ""
    signatures: Sequence[tuple[int, str]] = ()
    time_s: int = 0


class RootLedger:
    """The `Ledger` port on a BalanceRoots contract.

    An entry is written down before it is posted. One that was perhaps not posted, because the chain
    was away or the process died, is posted before anything else happens; the chain takes each once.

    Args:
        chain: where the contract is.
        operator: posts; an attestor, too, unless others are given.
        owner: mints.
        path: file of the entries; None keeps them in memory, for studies.
        aggregator: the account that funds what members cannot pay; among the first ever opened.
        attestors: whom a new contract listens to, the operator by default.
        window_s: how long a new contract's roots can be challenged.

    Raises: Unavailable when file or chain cannot be reached.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        operator: Signer,
        owner: Signer,
        path: Path | None = None,
        aggregator: str = "aggregator",
        attestors: Sequence[str] = (),
        window_s: int = WINDOW_S,
    ) -> None:
        self._chain, self._operator, self._owner = chain, operator, owner
        self._aggregator = aggregator
        self._balances: dict[str, int] = {}
        self._receivables: dict[str, int] = {}
        self._settlements: dict[str, Settlement] = {}
        self._posted = 0
        self._pending: Entry | None = None
        entries = self._opened(path)
        council = list(attestors) or [operator.address]
        self._roots = (
            DeployedContract(chain, "balance_roots", entries[0].contract)
            if entries
            else self._deployed(council, window_s)
        )
        self.contract = self._roots.address
        self.attestors: Sequence[str] = [to_checksum_address(each) for each in self._roots.ask("attestorsOf")]
        self.quorum = int(self._roots.ask("quorum"))
        self._replay(entries)

    async def open_accounts(self, accounts: Mapping[str, int]) -> None:
        """Open accounts (pseudonym to initial tokens) that do not exist yet.

        Raises: InvalidInput when an amount is out of range or the first accounts lack the aggregator's,
        Unavailable when the chain cannot be reached.
        """
        self._finish()
        missing = {n: tokens for n, tokens in checked_openings(accounts).items() if n not in self._balances}
        if missing and self._aggregator not in self._balances | missing:
            raise InvalidInput(problem("accounts", self._aggregator, "opened first: it funds the others"))
        if missing:
            self._enter(Entry(contract=self.contract, changes=missing))

    async def top_up(self, account: str, tokens: int) -> None:
        """Mint tokens into an account.

        Raises: InvalidInput when the account is unknown or the amount out of range, Refused when the balance
        would be too large, Unavailable when the chain cannot be reached.
        """
        self._finish()
        tokens = checked_openings({account: tokens})[account]
        self._known((account,))
        allowed(self._balances[account] + tokens)
        self._enter(Entry(contract=self.contract, changes={account: tokens}))

    async def settle(
        self,
        key: str,
        entries: Mapping[str, int],
        time_s: int,
        *,
        kind: SettlementKind = SettlementKind.LEM,
        result: str = "",
        attestations: Mapping[str, str] = NO_NAMES,
    ) -> Settlement:
        """Settle a batch of signed token changes under a key; a known key changes nothing.

        Raises: InvalidInput when the entries do not sum to zero or name unknown accounts, Conflict when
        another batch has this key, Refused when the aggregator cannot fund what others lack or the attestors
        are no quorum, Unavailable when the chain cannot be reached (settle again: nothing is paid twice).
        """
        self._finish()
        batch = Batch.of(key, entries)
        if held := self._settlements.get(key):
            batch.require_same(held)
            return msgspec.structs.replace(held, fresh=False)
        message = self.message(key, entries, kind, result)
        own = {self._operator.address: signature_text(self._operator.sign_hash(message))}
        signatures = signatures_in_order(self.attestors, message, {**attestations, **own})
        if len(signatures) < self.quorum:
            raise Refused("ledger: no quorum")
        self._enter(
            Entry(
                contract=self.contract,
                changes=batch.entries,
                key=key,
                kind=kind,
                result=result,
                signatures=[(each.attestor, signature_text(each[1:])) for each in signatures],
                time_s=time_s,
            )
        )
        return self._settlements[key]

    def message(self, key: str, entries: Mapping[str, int], kind: SettlementKind, result: str) -> bytes:
        """Return the hash that an attestor of this ledger signs for a batch.

        Raises: InvalidInput when the batch is none or names unknown accounts, Refused when the aggregator
        cannot fund it.
        """
        batch = Batch.of(key, entries)
        self._known(entries)
        after, _ = outcome(batch, self._balances, self._aggregator)
        before, root = self._tree({}).root, self._tree(after).root
        words = key_hash(key) + number(KINDS.index(kind)) + result_bytes(result) + before + root
        return message_of(self._chain.id, self.contract, keccak(words))

    def attestor(self, signer: Signer) -> EvmAttestor:
        """Return one of the attestors of this ledger, by its key."""
        return EvmAttestor(self, self._chain, signer)

    async def settlement(self, key: str) -> Settlement | None:
        """Return the settlement held under a key, if any."""
        self._finish()
        held = self._settlements.get(key)
        return held and msgspec.structs.replace(held, fresh=False)

    async def balances(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return the tokens of each account.

        Raises: InvalidInput when an account is unknown.
        """
        return {name: self._balances[name] for name in self._known(accounts)}

    async def receivables(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return what each account owes the aggregator, in tokens.

        Raises: InvalidInput when an account is unknown.
        """
        return {name: self._receivables.get(name, 0) for name in self._known(accounts)}

    async def supply(self) -> int:
        """Return all tokens there are."""
        return int(self._roots.ask("supply"))

    def proof(self, account: str) -> tuple[int, int, list[Step]]:
        """Return an account's number, its balance under the newest root, and the path that proves it."""
        self._known((account,))
        account_number = list(self._balances).index(account)
        return account_number, self._balances[account], self._tree({}).path(account_number)

    def close(self) -> None:
        """Let go of the file and the chain."""
        self._file.close()
        self._chain.close()

    # entries

    def _enter(self, entry: Entry) -> None:
        """Write an entry down, and post it."""
        try:
            self._file.execute(
                "INSERT INTO entry VALUES (?, ?)", (self._posted + 1, msgspec.msgpack.encode(entry))
            )
        except sqlite3.Error as error:
            raise Unavailable(f"ledger file: {error}") from error
        self._pending = entry
        self._finish()

    def _finish(self) -> None:
        """Post what was written and not posted yet, if anything was; the chain may have it already."""
        if self._pending is None:
            return
        entry = self._pending
        after, unpaid = self._outcome(entry)
        tree = self._tree(after)
        if int(self._roots.ask("head")) == self._posted:
            transaction = self._post(entry, tree)
        else:
            transaction = ""
        if bytes(self._roots.ask("roots", self._posted + 1)[0]) != tree.root:
            raise Refused(f"ledger: root {self._posted + 1} on the chain is another one")
        self._adopt(entry, after, unpaid, transaction)
        self._pending = None

    def _post(self, entry: Entry, tree: BalanceTree) -> str:
        try:
            if not entry.key:
                minted = sum(entry.changes.values())
                mined = self._roots.send(self._owner, "mint", self._posted, tree.top, minted)
            else:
                mined = self._roots.send(
                    self._operator,
                    "post",
                    key_hash(entry.key),
                    KINDS.index(entry.kind),
                    result_bytes(entry.result),
                    self._posted,
                    tree.top,
                    [Signature(n, *(signature_parts(text) or (0, 0, 0))) for n, text in entry.signatures],
                    time_s=entry.time_s,
                )
        except Reverted as error:
            self._file.execute("DELETE FROM entry WHERE number = ?", (self._posted + 1,))
            self._pending = None
            raise Refused(f"ledger: {error}") from error
        return mined.transaction

    def _adopt(
        self, entry: Entry, after: Mapping[str, int], unpaid: Mapping[str, int], transaction: str
    ) -> None:
        self._posted += 1
        self._balances |= after
        for name, tokens in unpaid.items():
            self._receivables[name] = self._receivables.get(name, 0) + tokens
        if entry.key:
            self._settlements[entry.key] = Settlement(
                key=entry.key,
                transaction=transaction or f"root {self._posted}",
                entries=entry.changes,
                receivables=unpaid,
                fresh=True,
            )

    def _outcome(self, entry: Entry) -> tuple[dict[str, int], dict[str, int]]:
        if entry.key:
            return outcome(Batch(entry.key, entry.changes), self._balances, self._aggregator)
        return {name: self._balances.get(name, 0) + tokens for name, tokens in entry.changes.items()}, {}

    def _replay(self, entries: Sequence[Entry]) -> None:
        """Take up what the file holds; the last entry may not be on the chain yet."""
        if not entries:
            return
        for entry in entries[:-1]:
            self._adopt(entry, *self._outcome(entry), "")
        self._pending = entries[-1]
        self._finish()

    def _tree(self, changes: Mapping[str, int]) -> BalanceTree:
        return BalanceTree(list({**self._balances, **changes}.values()))

    def _known(self, names: Iterable[str]) -> list[str]:
        names = list(names)
        problems = [problem("accounts", n, "an open account") for n in names if n not in self._balances]
        if problems:
            raise InvalidInput(problems)
        return names

    # file and contract

    def _opened(self, path: Path | None) -> list[Entry]:
        try:
            self._file = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            self._file.execute(_SCHEMA)
            rows = self._file.execute("SELECT content FROM entry ORDER BY number").fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"ledger file {path}: {error}") from error
        return [msgspec.msgpack.decode(content, type=Entry) for (content,) in rows]

    def _deployed(self, council: Sequence[str], window_s: int) -> DeployedContract:
        quorum = usual_quorum(len(council))
        return DeployedContract.deploy(
            self._chain, self._owner, "balance_roots", self._operator.address, council, quorum, window_s
        )
