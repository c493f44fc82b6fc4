"""A ledger read from outside, without a key: balances, events, and whether all that it says fits together.

Everything is computed again from what the chain has told and from the calls that it took.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from eth_abi import decode

from contracts.artefact import load_artefact
from contracts.balance_tree import BalanceTree
from contracts.calldata import (
    END,
    QUAD,
    SETTLE_TYPES,
    Change,
    chunks,
    decode_settle,
    digests_of,
    key_hash,
    lane_of,
)
from contracts.chain import Chain
from contracts.deployed import DeployedContract
from contracts.events import ContractEvent, decode_event
from contracts.root_entries import RootEntries
from ontology.errors import Conflict
from ontology.ledger import SettlementKind

__all__ = ["Account", "Check", "LedgerAudit", "Movement", "contract_name_at"]

TOKEN_CONTRACTS = ("settlement", "balance_roots")
AGGREGATOR = 0
KINDS = tuple(SettlementKind)
_MOVES = {"Opened": 1, "Minted": 1, "Receivable": 1, "Collected": -1}
"""Events that change the account that they name, and which way."""
BLOCKS_AT_ONCE = 2_000
"""Nodes answer for so many blocks at once."""
ASKED_AT_ONCE = 1_000


class Account(msgspec.Struct, frozen=True):
    """An account as the chain knows it: its number, the hash of its pseudonym (hexadecimal), its tokens."""

    number: int
    key: str
    tokens: int


class Movement(msgspec.Struct, frozen=True):
    """What changed an account: the event, and of a settlement what it was for and when."""

    event: str
    tokens: int
    kind: str = ""
    time_s: int = 0


class Check(msgspec.Struct, frozen=True):
    """One thing that was checked, and what is wrong with it; nothing, when it holds."""

    what: str
    wrong: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def _movement(event: ContractEvent, tokens: int) -> Movement:
    if event.name != "Settled":
        return Movement(event.name, tokens)
    return Movement(event.name, tokens, KINDS[event.values["kind"]], event.values["time_s"])


class LedgerAudit:
    """Reads a contract with a community's tokens.

    Args:
        chain: where it is.
        contract: its address.
        others: addresses of the contracts beside it by name, whose code is checked, too.

    Raises: Conflict when the address runs none of the contracts shipped here, Unavailable when the chain
    cannot be reached.
    """

    def __init__(self, chain: Chain, contract: str, others: Mapping[str, str] | None = None) -> None:
        self._chain = chain
        self.contract = contract
        self.name = contract_name_at(chain, contract)
        self._ledger = DeployedContract(chain, self.name, contract)
        self._others = others or {}

    def events(self, first_block: int = 0, last_block: int | None = None) -> Iterator[ContractEvent]:
        """Yield what the contract has told in some blocks, in order."""
        end = self._chain.last_block() if last_block is None else min(last_block, self._chain.last_block())
        for start in range(first_block, end + 1, BLOCKS_AT_ONCE):
            until = min(start + BLOCKS_AT_ONCE - 1, end)
            for log in self._chain.logs(self.contract, [], start, until):
                yield decode_event(self.name, log)

    def accounts(self) -> list[Account]:
        """Return every account by number, with its tokens; none where balances are under roots."""
        opened = [event.values for event in self.events() if event.name == "Opened"]
        tokens = self._balances(len(opened))
        return [Account(each["account"], each["key"], tokens[each["account"]]) for each in opened]

    def movements(self, number: int) -> Iterator[Movement]:
        """Yield what moved an account's tokens, in order; nothing where balances are under roots."""
        for event in self.events():
            if event.name == "Settled":
                aggregator_change, others = decode_settle(self._chain.data_of(event.transaction))
                tokens = others.get(number, 0) + aggregator_change * (number == AGGREGATOR)
            elif event.values.get("account") == number and event.name in _MOVES:
                tokens = _MOVES[event.name] * event.values["tokens"]
            elif number == AGGREGATOR and event.name in ("Receivable", "Collected"):
                tokens = -_MOVES[event.name] * event.values["tokens"]
            else:
                continue
            if tokens:
                yield _movement(event, tokens)

    def checks(self, entries: RootEntries | None = None, aggregator: str = "") -> list[Check]:
        """Return what was checked, with everything that is wrong.

        Args:
            entries: what roots stand for, where the ledger keeps balances under roots.
            aggregator: with entries, the account that funds what others lack.
        """
        checks = [
            self._code(self.name, self.contract),
            *(self._code(*other) for other in self._others.items()),
        ]
        if self.name == "settlement":
            return [*checks, *Replay(self._chain, self.events()).checks(self._ledger)]
        return [*checks, *root_checks(self._ledger, entries, aggregator)]

    def _code(self, name: str, address: str) -> Check:
        same = load_artefact(name).is_deployed_as(self._chain.code_at(address))
        return Check(f"{address} runs the {name} contract of this version", () if same else ("other code",))

    def _balances(self, accounts: int) -> list[int]:
        quads = list(range((accounts + QUAD - 1) // QUAD))
        words = [w for some in chunks(quads, ASKED_AT_ONCE) for w in self._ledger.ask("quadsOf", some)]
        return [lane_of(words[number // QUAD], number) for number in range(accounts)]


class Replay:
    """What all events and calls of a Settlement contract come to, one after the other."""

    def __init__(self, chain: Chain, events: Iterable[ContractEvent]) -> None:
        self._chain = chain
        self.balances: Counter[int] = Counter()
        self.receivables: Counter[int] = Counter()
        self.supply = 0
        self.settlements = 0
        self._quorum = 0
        self._vouched: Counter[str] = Counter()
        self._parts: defaultdict[str, list[Sequence[Change]]] = defaultdict(list)
        self._digest: dict[str, str] = {}
        self._rest: dict[str, str] = {}
        self.not_zero: list[str] = []
        self.no_quorum: list[str] = []
        for event in events:
            take = getattr(self, f"_{event.name.lower()}", None)
            if take is not None:
                take(event)

    def checks(self, ledger: DeployedContract) -> Iterator[Check]:
        """Yield what the replay says of the chain's state."""
        yield Check(f"{self.settlements} settlements sum to zero", self.not_zero)
        yield Check("each settlement was vouched for by a quorum", self.no_quorum)
        yield Check("each settlement is what was signed, in all its parts", list(self._not_signed()))
        yield Check(
            f"{len(self.balances)} balances follow from the events", list(self._different(ledger, "balance"))
        )
        yield Check("receivables follow from the events", list(self._different(ledger, "receivable")))
        held, told = int(ledger.ask("supply")), sum(self.balances.values())
        wrong = (
            [] if held == told == self.supply else [f"{held} tokens by the contract, {told} by the events"]
        )
        yield Check("all balances together are the supply", wrong)

    def _not_signed(self) -> Iterator[str]:
        for key, parts in self._parts.items():
            if self._rest[key] != END.hex():
                yield f"{key}: parts are missing"
            elif digests_of(parts)[0].hex() != self._digest[key]:
                yield f"{key}: the changes have another digest"

    def _different(self, ledger: DeployedContract, what: str) -> Iterator[str]:
        numbers = sorted(self.balances)
        if what == "balance":
            quads = [number // QUAD for number in numbers]
            held = [
                lane_of(word, number)
                for some in chunks(list(zip(numbers, quads, strict=True)), ASKED_AT_ONCE)
                for (number, _), word in zip(some, ledger.ask("quadsOf", [q for _, q in some]), strict=True)
            ]
            told = self.balances
        else:
            held = [n for some in chunks(numbers, ASKED_AT_ONCE) for n in ledger.ask("receivablesOf", some)]
            told = self.receivables
        for number, tokens in zip(numbers, held, strict=True):
            if tokens != told[number]:
                yield f"account {number}: {tokens} on the chain, {told[number]} by the events"

    def _opened(self, event: ContractEvent) -> None:
        self.balances[event.values["account"]] += event.values["tokens"]
        self.supply += event.values["tokens"]

    _minted = _opened

    def _attestorsappointed(self, event: ContractEvent) -> None:
        self._quorum = event.values["quorum"]

    def _attested(self, event: ContractEvent) -> None:
        self._vouched[event.values["key"]] += 1

    def _receivable(self, event: ContractEvent) -> None:
        """Take note of what a debit lacked: the account did not pay it, the aggregator did."""
        account, tokens = event.values["account"], event.values["tokens"]
        self.receivables[account] += tokens
        self.balances[account] += tokens
        self.balances[AGGREGATOR] -= tokens

    def _collected(self, event: ContractEvent) -> None:
        account, tokens = event.values["account"], event.values["tokens"]
        self.receivables[account] -= tokens
        self.balances[account] -= tokens
        self.balances[AGGREGATOR] += tokens

    def _settled(self, event: ContractEvent) -> None:
        key, data = event.values["key"], self._chain.data_of(event.transaction)
        if key not in self._parts:
            self.settlements += 1
            if self._vouched[key] < self._quorum:
                self.no_quorum.append(f"{key}: {self._vouched[key]} of {self._quorum}")
        aggregator_change, others = decode_settle(data)
        if total := aggregator_change + sum(others.values()):
            self.not_zero.append(f"{key}: sums to {total}")
        self.balances[AGGREGATOR] += aggregator_change
        self.balances.update(others)
        *_, changes, _ = decode(SETTLE_TYPES, data[4:])
        self._parts[key].append([Change(*change) for change in changes])
        self._digest[key], self._rest[key] = event.values["digest"], event.values["rest"]


def root_checks(ledger: DeployedContract, entries: RootEntries | None, aggregator: str) -> Iterator[Check]:
    """Yield whether the roots on the chain are those of the balances that they stand for."""
    head = int(ledger.ask("head"))
    if entries is None:
        yield Check(
            f"{head} roots are those of the balances", ("the file of what they stand for is not here",)
        )
        return
    wrong, not_zero, settled, tokens = [], [], 0, 0
    number = 0
    for number, (entry, balances) in enumerate(entries.history(aggregator), start=1):
        hash_, key, *_ = ledger.ask("roots", number)
        tokens = sum(balances.values())
        settled += bool(entry.key)
        if entry.key and sum(entry.changes.values()):
            not_zero.append(f"{entry.key}: sums to {sum(entry.changes.values())}")
        if hash_ != BalanceTree(list(balances.values())).root:
            wrong.append(f"root {number}: another one on the chain")
        elif key != (key_hash(entry.key) if entry.key else END):
            wrong.append(f"root {number}: another key on the chain")
    if number != head:
        wrong.append(f"{head} roots on the chain, {number} in the file")
    yield Check(f"{settled} settlements sum to zero", not_zero)
    yield Check(f"{head} roots are those of the balances", wrong)
    held = int(ledger.ask("supply"))
    wrong = [] if held == tokens else [f"{held} tokens by the contract, {tokens} in the file"]
    yield Check("all balances together are the supply", wrong)


def contract_name_at(chain: Chain, address: str) -> str:
    """Return which contract with tokens runs at an address.

    Raises: Conflict when none of those shipped here does.
    """
    code = chain.code_at(address)
    for name in TOKEN_CONTRACTS:
        if load_artefact(name).is_deployed_as(code):
            return name
    what = "runs no" if code else "is no contract, and so no"
    raise Conflict(f"ledger: {address} {what} settlement or balance_roots contract of this version")
