"""The ledger of a large community: batches in a file here, one hash over all balances on the chain.

What a settlement costs on the chain does not grow with the community (see balance_roots.vy). What a root
stands for is kept in an SQLite file with `synchronous=FULL`: without it nobody could prove a balance.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from eth_utils import to_checksum_address

from contracts.attestation import (
    KINDS,
    result_bytes,
    signature_parts,
    signature_text,
    signatures_in_order,
    usual_quorum,
)
from contracts.balance_tree import BalanceTree, Step
from contracts.batch import Batch, Settlement, checked_openings
from contracts.calldata import Signature, keccak, key_hash, message_of, number
from contracts.chain import Chain, Reverted, Signer, node_chain
from contracts.chain_ledger import ChainLedger
from contracts.deployed import DeployedContract
from contracts.memory import allowed, outcome
from contracts.root_entries import Entry, RootEntries
from contracts.root_watch import RootWatch
from ontology.errors import Conflict, InvalidInput, Refused, problem
from ontology.ledger import SettlementKind

__all__ = ["WINDOW_S", "Proof", "RootLedger"]

WINDOW_S = 86_400
"""How long a root can be challenged: a day."""
NO_NAMES: Mapping[str, str] = {}


class Proof(NamedTuple):
    """What proves an account's balance under a root: its number, its tokens, the root's number, the path."""

    account: int
    tokens: int
    root: int
    path: Sequence[Step]


class RootLedger(ChainLedger):
    """The `Ledger` port on a BalanceRoots contract; see `embedded` and `on_node`.

    An entry is written down before it is posted. One that was perhaps not posted, because the chain
    was away or the process died, is posted before anything else happens; the chain takes each once. Roots
    of ours that fell, because an objection was not confirmed in time, are posted again as they were signed.

    Args:
        chain: where the contract is.
        operator: posts; an attestor, too, unless others are given.
        owner: mints.
        path: file of the entries; None keeps them in memory, for studies.
        aggregator: the account that funds what members cannot pay; among the first ever opened.
        attestors: whom a new contract listens to, the operator by default.
        window_s: how long a new contract's roots can be challenged.

    Raises: Unavailable when file or chain cannot be reached, Conflict when they do not belong together.
    """

    contract_name = "balance_roots"

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
        super().__init__(chain, operator, owner)
        self._aggregator = aggregator
        self._balances: dict[str, int] = {}
        self._receivables: dict[str, int] = {}
        self._settlements: dict[str, Settlement] = {}
        self._posted = 0
        self._pending: Entry | None = None
        self.entries = RootEntries(path)
        entries = self.entries.up_to()
        address = entries[0].contract if entries else chain.noted(self.contract_name)
        self._roots = (
            DeployedContract(chain, self.contract_name, address)
            if address
            else self._deployed(list(attestors) or [operator.address], window_s)
        )
        if not entries and self._roots.ask("head"):
            raise Conflict(f"ledger: the file with the balances under the roots of {address} is missing")
        self.contract = self._roots.address
        chain.note(self.contract_name, self.contract)
        self.attestors = [to_checksum_address(each) for each in self._roots.ask("attestorsOf")]
        self.quorum = int(self._roots.ask("quorum"))
        self._replay(entries)

    @classmethod
    def embedded(
        cls,
        aggregator: str = "aggregator",
        path: Path | None = None,
        *,
        entries: Path | None = None,
        attestors: Sequence[str] = (),
        funded: Sequence[str] = (),
        window_s: int = WINDOW_S,
    ) -> "RootLedger":
        """Return a ledger on a chain in this process: a new one, or with paths the one in those files.

        Attestors are those beside the operator, which is the first; others that write there are `funded`.

        Raises: Unavailable when a file cannot be opened or another process holds it.
        """
        from contracts.embedded import embedded_chain, embedded_signers

        owner, operator = embedded_signers()
        return cls(
            embedded_chain(path, [*attestors, *funded]),
            operator=operator,
            owner=owner,
            path=entries,
            aggregator=aggregator,
            attestors=[operator.address, *attestors],
            window_s=window_s,
        )

    @classmethod
    def on_node(
        cls,
        url: str,
        *,
        operator_key: Path,
        owner_key: Path,
        entries: Path,
        password_file: Path | None = None,
        aggregator: str = "aggregator",
        attestors: Sequence[str] = (),
        chain_id: int = 0,
        journal: Path | None = None,
        window_s: int = WINDOW_S,
    ) -> "RootLedger":
        """Return a ledger on a node by its JSON-RPC address; private keys are read from files.

        Raises: Unavailable when the node does not answer, InvalidInput when a file holds no key, Conflict
        when the node is of another chain.
        """
        operator = Signer.from_file(operator_key, password_file)
        return cls(
            node_chain(url, chain_id, journal=journal),
            operator=operator,
            owner=Signer.from_file(owner_key, password_file),
            path=entries,
            aggregator=aggregator,
            attestors=[operator.address, *attestors],
            window_s=window_s,
        )

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

    def proof(self, account: str, root: int = 0) -> Proof:
        """Return what proves an account's balance under a root, the newest where none is named.

        Raises: InvalidInput when the account is unknown, or was not open then.
        """
        self._known((account,))
        balances = self._balances_under(root) if root else self._balances
        if account not in balances:
            raise InvalidInput(problem("account", account, f"open under root {root}"))
        place = list(balances).index(account)
        path = BalanceTree(list(balances.values())).path(place)
        return Proof(place, balances[account], root or self._posted, path)

    def watch(self, signer: Signer) -> RootWatch:
        """Return the public side of the contract with somebody's key: to prove, challenge and object."""
        return RootWatch(self._chain, self.contract, signer)

    def close(self) -> None:
        """Let go of the file and the chain."""
        self.entries.close()
        super().close()

    # entries

    def _enter(self, entry: Entry) -> None:
        """Write an entry down, and post it."""
        self.entries.add(self._posted + 1, entry)
        self._pending = entry
        self._finish()

    def _finish(self) -> None:
        """Post what was written and not posted yet, if anything was; the chain may have it already."""
        if self._pending is None:
            return
        entry = self._pending
        after, unpaid = entry.outcome(self._balances, self._aggregator)
        tree = self._tree(after)
        head = int(self._roots.ask("head"))
        if head < self._posted:
            self._post_again(head)
        transaction = self._post(entry, self._posted, tree) if head <= self._posted else ""
        if bytes(self._roots.ask("roots", self._posted + 1)[0]) != tree.root:
            raise Refused(f"ledger: root {self._posted + 1} on the chain is another one")
        self._adopt(entry, after, unpaid, transaction)
        self._pending = None

    def _post(self, entry: Entry, after: int, tree: BalanceTree) -> str:
        """Post what follows a root; an entry that the chain turns down is forgotten."""
        try:
            return self._sent(entry, after, tree)
        except Reverted as error:
            self.entries.strike(after + 1)
            self._pending = None
            raise Refused(f"ledger: {error}") from error

    def _sent(self, entry: Entry, after: int, tree: BalanceTree) -> str:
        if not entry.key:
            minted = sum(entry.changes.values())
            return self._roots.send(self._owning(), "mint", after, tree.top, minted).transaction
        signatures = [Signature(n, *(signature_parts(text) or (0, 0, 0))) for n, text in entry.signatures]
        kind, result = KINDS.index(entry.kind), result_bytes(entry.result)
        arguments = key_hash(entry.key), kind, result, after, tree.top, signatures
        return self._roots.send(self._operator, "post", *arguments, time_s=entry.time_s).transaction

    def _post_again(self, head: int) -> None:
        """Post the roots after the head again: they fell.

        Raises: Refused when the chain turns one down, such as when its attestors are others now.
        """
        for after, (entry, balances) in enumerate(self.entries.history(self._aggregator, self._posted)):
            if after >= head:
                try:
                    self._sent(entry, after, BalanceTree(list(balances.values())))
                except Reverted as error:
                    raise Refused(f"ledger: root {after + 1} fell and is not taken again: {error}") from error

    def _balances_under(self, root: int) -> Mapping[str, int]:
        """Return what everybody had under one of the roots so far.

        Raises: InvalidInput when there is no such root.
        """
        if not 0 < root <= self._posted:
            raise InvalidInput(problem("root", root, f"between 1 and {self._posted}"))
        return self.entries.balances(self._aggregator, root)

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

    def _replay(self, entries: Sequence[Entry]) -> None:
        """Take up what the file holds; the last entry may not be on the chain yet."""
        if not entries:
            return
        for entry in entries[:-1]:
            self._adopt(entry, *entry.outcome(self._balances, self._aggregator), "")
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

    # contract

    def _deployed(self, council: Sequence[str], window_s: int) -> DeployedContract:
        quorum = usual_quorum(len(council))
        return DeployedContract.deploy(
            self._chain, self._owning(), self.contract_name, self._operator.address, council, quorum, window_s
        )
