"""The ledger on an EVM chain: the community's tokens, settled batch by batch on the Settlement contract.

Calls complete inline. What the chain holds is the truth; receipts are kept here so that it is asked rarely.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from eth_abi import decode, encode
from eth_utils import to_checksum_address

from contracts.artefact import load_artefact
from contracts.attestation import (
    KINDS,
    result_bytes,
    signature_text,
    signatures_in_order,
    usual_quorum,
)
from contracts.batch import Batch, Settlement, checked_openings
from contracts.calldata import (
    END,
    MAX_ATTESTORS,
    QUAD,
    Change,
    SettleCall,
    Signature,
    argument_types,
    call_data,
    changes_of,
    chunks,
    decode_settle,
    digests_of,
    encode_settle,
    event_topic,
    key_hash,
    lane_of,
    message_of,
    parts_of,
    statement_of,
    words_in,
)
from contracts.chain import Chain, Log, Mined, Reverted, Signer, node_chain
from contracts.chain_ledger import ChainLedger
from ontology.errors import Conflict, Failed, InvalidInput, ParityError, Refused, problem
from ontology.ledger import SettlementKind

__all__ = ["EvmLedger"]

DEPLOYMENT = "deploy(address,address[],uint256,uint256)"

ASKED_AT_ONCE = 1024
OPENED_AT_ONCE = 256
AGGREGATOR = 0
SETTLED = event_topic("Settled(bytes32,uint256,bytes32,bytes32,uint256,uint256,bytes32,uint256)")
RECEIVABLE = event_topic("Receivable(bytes32,uint256,uint256)")
KNOWN_KEY = ("settled already", "part out of turn")
REVERT_ERRORS: Mapping[str, type[ParityError]] = {
    "another batch has this key": Conflict,
    "the aggregator cannot fund it": Refused,
    "balance too large": Refused,
    "only the owner": Refused,
    "only the operator": Refused,
    "only an attestor": Refused,
    "no quorum": Refused,
    "not an attestor's signature": Refused,
    "receipt used already": Conflict,
}
NO_NAMES: Mapping[str, str] = {}


class Asked(msgspec.Struct, frozen=True):
    """A batch as it is brought to the contract: in parts, with the digests of what is left from each on."""

    batch: Batch
    kind: int
    result: bytes
    parts: Sequence[Sequence[Change]]
    digests: Sequence[bytes]

    @property
    def statement(self) -> bytes:
        """What attestors sign."""
        return statement_of(key_hash(self.batch.key), self.kind, self.result, self.digests[0])


class EvmLedger(ChainLedger):
    """The `Ledger` port on a Settlement contract; see `embedded` and `on_node`.

    Args:
        chain: where the contract is.
        contract: its address; empty deploys a new one, which the owner then owns.
        operator: settles and collects.
        owner: opens accounts and tops them up; None when somebody else does.
        aggregator: the account that funds what members cannot pay; the first one ever opened.
        attestors: whom a new contract listens to, the operator by default; and how many of them it takes.
        minimum: tokens of a new contract's accounts below which nobody takes part.

    Raises: Conflict when the address runs other code than the contract shipped here.
    """

    contract_name = "settlement"

    def __init__(
        self,
        chain: Chain,
        *,
        operator: Signer,
        owner: Signer | None = None,
        contract: str = "",
        aggregator: str = "aggregator",
        attestors: Sequence[str] = (),
        quorum: int = 0,
        minimum: int = 0,
    ) -> None:
        super().__init__(chain, operator, owner)
        self._aggregator = aggregator
        self._time_s = 0
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._settlements: dict[str, Settlement] = {}
        attestors = list(attestors) or [operator.address]
        self.contract = contract or self._deploy(attestors, quorum or usual_quorum(len(attestors)), minimum)
        if not load_artefact("settlement").is_deployed_as(chain.code_at(self.contract)):
            raise Conflict(f"ledger: {self.contract} does not run this version's settlement contract")
        self.attestors = self._attestors()
        self.quorum = self._number_of("quorum()")

    @classmethod
    def embedded(
        cls,
        aggregator: str = "aggregator",
        path: Path | None = None,
        *,
        attestors: Sequence[str] = (),
        funded: Sequence[str] = (),
        minimum: int = 0,
    ) -> "EvmLedger":
        """Return a ledger on a chain in this process: a new one, or with a path the one in that file.

        Attestors are those beside the operator, which is the first; others that write there are `funded`.

        Raises: Unavailable when the file cannot be opened or another process holds it.
        """
        from contracts.embedded import embedded_chain, embedded_signers

        owner, operator = embedded_signers()
        chain = embedded_chain(path, [*attestors, *funded])
        ledger = cls(
            chain,
            operator=operator,
            owner=owner,
            contract=chain.noted("contract"),
            aggregator=aggregator,
            attestors=[operator.address, *attestors],
            minimum=minimum,
        )
        chain.note("contract", ledger.contract)
        return ledger

    @classmethod
    def on_node(
        cls,
        url: str,
        *,
        operator_key: Path,
        owner_key: Path | None = None,
        password_file: Path | None = None,
        contract: str = "",
        aggregator: str = "aggregator",
        attestors: Sequence[str] = (),
        minimum: int = 0,
        chain_id: int = 0,
        wait_s: float = 60.0,
        journal: Path | None = None,
    ) -> "EvmLedger":
        """Return a ledger on a node by its JSON-RPC address; private keys are read from files.

        A journal (a file) keeps what was sent, so that a node which lost blocks gets them again, and where
        the contracts are, so that they are found again. Attestors are those beside the operator, which is
        the first. A chain number of 0 is any.

        Raises: Unavailable when the node does not answer, InvalidInput when a file holds no key, Conflict
        when the node is of another chain.
        """
        operator = Signer.from_file(operator_key, password_file)
        chain = node_chain(url, chain_id, wait_s, journal)
        ledger = cls(
            chain,
            operator=operator,
            owner=Signer.from_file(owner_key, password_file) if owner_key else None,
            contract=contract or chain.noted("contract"),
            aggregator=aggregator,
            attestors=[operator.address, *attestors],
            minimum=minimum,
        )
        chain.note("contract", ledger.contract)
        return ledger

    async def open_accounts(self, accounts: Mapping[str, int]) -> None:
        """Open accounts (pseudonym to initial tokens) that do not exist yet.

        Raises: InvalidInput when an amount is out of range or the first accounts lack the aggregator's,
        Refused without the owner's key, Unavailable when the chain cannot be reached.
        """
        accounts = checked_openings(accounts)
        self._look_up(accounts)
        missing = [name for name in accounts if name not in self._numbers]
        if missing and self._aggregator not in self._numbers:
            missing = self._aggregator_first(missing)
        for names in chunks(missing, OPENED_AT_ONCE):
            self._open({key_hash(name): name for name in names}, [accounts[name] for name in names])

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

        Attestations are the attestors' signatures of the batch by their addresses; the operator, where it
        is an attestor, gives its own. The result is a hash of 64 hexadecimal digits, or empty.

        Raises: InvalidInput when the entries do not sum to zero or name unknown accounts, Conflict when
        another batch has this key, Refused when the aggregator cannot fund what others lack or the attestors
        are no quorum, Unavailable when the chain cannot be reached (settle again: nothing is paid twice).
        """
        batch = Batch.of(key, entries)
        if key in self._settlements:
            return self._known(batch)
        asked = self._asked(batch, kind, result)
        signatures = self._signatures(asked, attestations)
        self._time_s = time_s
        try:
            mined = self._send(asked, 0, signatures, time_s)
        except Reverted as error:
            if str(error) not in KNOWN_KEY:
                raise _named(error) from error
            return self._resume(asked, time_s)
        settlement = self._settlements[key] = Settlement(
            key=key,
            transaction=mined[-1].transaction,
            entries=batch.entries,
            receivables=self._receivables_in(log for each in mined for log in each.logs),
            fresh=True,
        )
        return settlement

    def message(self, key: str, entries: Mapping[str, int], kind: SettlementKind, result: str) -> bytes:
        """Return the hash that an attestor of this ledger signs for a batch.

        Raises: InvalidInput when the batch is none or names unknown accounts, Unavailable when the chain
        cannot be reached.
        """
        asked = self._asked(Batch.of(key, entries), kind, result)
        return message_of(self._chain.id, self.contract, asked.statement)

    async def settlement(self, key: str) -> Settlement | None:
        """Return the settlement held under a key, if any.

        Raises: Unavailable when the chain cannot be reached.
        """
        held = self._settlements.get(key) or self._read(key)
        return held and _again(held)

    async def balances(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return the tokens of each account.

        Raises: InvalidInput when an account is unknown, Unavailable when the chain cannot be reached.
        """
        numbers = self._known_numbers(accounts)
        quads = sorted({number // QUAD for number in numbers.values()})
        words = dict(zip(quads, self._ask("quadsOf(uint256[])", quads), strict=True))
        return {name: lane_of(words[number // QUAD], number) for name, number in numbers.items()}

    async def receivables(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return what each account owes the aggregator, in tokens.

        Raises: InvalidInput when an account is unknown, Unavailable when the chain cannot be reached.
        """
        numbers = self._known_numbers(accounts)
        owed = self._ask("receivablesOf(uint256[])", list(numbers.values()))
        return dict(zip(numbers, owed, strict=True))

    async def collect(self, accounts: Iterable[str]) -> None:
        """Pay the aggregator what accounts owe, as far as their balances go.

        Raises: InvalidInput when an account is unknown, Unavailable when the chain cannot be reached.
        """
        numbers = list(self._known_numbers(accounts).values())
        for debtors in chunks(numbers, OPENED_AT_ONCE):
            self._transact(self._operator, call_data("collect(uint256[])", debtors))

    async def top_up(self, account: str, tokens: int, receipt: str = "") -> None:
        """Mint tokens into an account; a receipt, where one is given, counts once.

        Raises: InvalidInput when the account is unknown or the amount out of range, Conflict when the receipt
        was used already, Refused without the owner's key, Unavailable when the chain cannot be reached.
        """
        tokens = checked_openings({account: tokens})[account]
        number = self._known_numbers((account,))[account]
        paid_by = key_hash(receipt) if receipt else END
        self._transact(self._owning(), call_data("mint(uint256,uint256,bytes32)", number, tokens, paid_by))

    async def supply(self) -> int:
        """Return all tokens there are."""
        return self._number_of("supply()")

    # accounts

    def _open(self, names: Mapping[bytes, str], tokens: Sequence[int]) -> None:
        data = call_data("openAccounts(bytes32[],uint256[])", list(names), tokens)
        for log in self._transact(self._owning(), data).logs:
            self._learn(names[log.topics[1]], int.from_bytes(log.topics[2], "big"))

    def _learn(self, name: str, number: int) -> None:
        if (number == AGGREGATOR) != (name == self._aggregator):
            raise Conflict(
                f"ledger: account {number} is {name}, but {self._aggregator} should be {AGGREGATOR}"
            )
        self._numbers[name] = number
        self._names[number] = name

    def _look_up(self, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self._numbers]
        if not unknown or not self._number_of("accounts()"):
            return
        found = self._ask("numbersOf(bytes32[])", [key_hash(name) for name in unknown])
        for name, number in zip(unknown, found, strict=True):
            if number:
                self._learn(name, number - 1)

    def _known_numbers(self, names: Iterable[str]) -> dict[str, int]:
        names = list(names)
        self._look_up(names)
        problems = [
            problem("accounts", name, "an open account") for name in names if name not in self._numbers
        ]
        if problems:
            raise InvalidInput(problems)
        return {name: self._numbers[name] for name in names}

    def _aggregator_first(self, names: Sequence[str]) -> list[str]:
        if self._aggregator not in names:
            raise InvalidInput(problem("accounts", self._aggregator, "opened first: it funds the others"))
        return [self._aggregator, *(name for name in names if name != self._aggregator)]

    # batches

    def _asked(self, batch: Batch, kind: SettlementKind, result: str) -> Asked:
        numbers = self._known_numbers(batch.entries)
        moves = {numbers[name]: change for name, change in batch.entries.items() if change}
        moves.pop(AGGREGATOR, None)
        parts = parts_of(changes_of(moves))
        return Asked(batch, KINDS.index(kind), result_bytes(result), parts, digests_of(parts))

    def _signatures(self, asked: Asked, attestations: Mapping[str, str]) -> list[Signature]:
        """Return the attestors' signatures in their order, those left out that are none."""
        message = message_of(self._chain.id, self.contract, asked.statement)
        given = dict(attestations)
        if self._operator.address in self.attestors:
            given[self._operator.address] = signature_text(self._operator.sign_hash(message))
        return signatures_in_order(self.attestors, message, given)

    def _send(self, asked: Asked, first: int, signatures: Sequence[Signature], time_s: int) -> list[Mined]:
        """Bring the parts of a batch to the chain, from one of them on; the first carries the signatures."""
        key, digest = key_hash(asked.batch.key), asked.digests[0]
        return [
            self._chain.transact(
                self._operator,
                encode_settle(
                    SettleCall(key, digest, asked.kind, asked.result, asked.digests[number + 1], time_s),
                    asked.parts[number],
                    () if number else signatures,
                ),
                to=self.contract,
                time_s=time_s,
            )
            for number in range(first, len(asked.parts))
        ]

    def _resume(self, asked: Asked, time_s: int) -> Settlement:
        """Finish a batch that the chain knows, from the part where it stopped."""
        _, _, rest = self._held(asked.batch.key)
        try:
            self._send(asked, asked.digests.index(rest), (), time_s)
        except Reverted as error:
            raise _named(error) from error
        settlement = self._read(asked.batch.key)
        if settlement is None:
            raise Failed(f"settlement {asked.batch.key}: the chain lost it")
        settlement.entries, settlement.fresh = asked.batch.entries, rest != END
        return settlement

    def _known(self, batch: Batch) -> Settlement:
        held = self._settlements[batch.key]
        batch.require_same(held)
        return _again(held)

    def _held(self, key: str) -> tuple[bytes, int, bytes]:
        answer = self._chain.call(self.contract, call_data("batches(bytes32)", key_hash(key)))
        digest, first_block, rest = decode(("bytes32", "uint256", "bytes32"), answer)
        return digest, first_block, rest

    def _read(self, key: str) -> Settlement | None:
        """Read a settlement back from the chain's events and transactions."""
        _, first_block, rest = self._held(key)
        if not first_block or rest != END:
            return None
        topics = [[SETTLED, RECEIVABLE], key_hash(key)]
        logs = self._chain.logs(self.contract, topics, first_block, first_block)
        if not _is_complete(logs):
            logs = self._chain.logs(self.contract, topics, first_block, None)
        transactions = [log.transaction for log in logs if log.topics[0] == SETTLED]
        settlement = Settlement(
            key=key,
            transaction=transactions[-1],
            entries=self._entries_of(transactions),
            receivables=self._receivables_in(logs),
            fresh=True,
        )
        self._settlements[key] = settlement
        return settlement

    def _entries_of(self, transactions: Iterable[str]) -> dict[str, int]:
        changes: Counter[int] = Counter()
        for transaction in transactions:
            aggregator_change, others = decode_settle(self._chain.data_of(transaction))
            changes.update({AGGREGATOR: aggregator_change})
            changes.update(others)
        return {self._name(number): change for number, change in changes.items() if change}

    def _receivables_in(self, logs: Iterable[Log]) -> dict[str, int]:
        return {
            self._name(int.from_bytes(log.topics[2], "big")): int.from_bytes(log.data, "big")
            for log in logs
            if log.topics[0] == RECEIVABLE
        }

    def _name(self, number: int) -> str:
        """Return an account's pseudonym, or its number when this client never met it."""
        return self._names.get(number, f"#{number}")

    # the contract

    def _deploy(self, attestors: Sequence[str], quorum: int, minimum: int) -> str:
        if len(set(attestors)) != len(attestors) or len(attestors) > MAX_ATTESTORS:
            raise InvalidInput(problem("attestors", len(attestors), f"up to {MAX_ATTESTORS}, each once"))
        artefact = load_artefact("settlement")
        arguments = encode(argument_types(DEPLOYMENT), (self._operator.address, attestors, quorum, minimum))
        return self._chain.transact(self._owning(), artefact.deployment(arguments), to=None).contract

    def _attestors(self) -> Sequence[str]:
        answer = self._chain.call(self.contract, call_data("attestorsOf()"))
        return [to_checksum_address(address) for address in decode(("address[]",), answer)[0]]

    def _transact(self, signer: Signer, data: bytes) -> Mined:
        try:
            return self._chain.transact(signer, data, to=self.contract, time_s=self._time_s)
        except Reverted as error:
            raise _named(error) from error

    def _number_of(self, signature: str) -> int:
        return int.from_bytes(self._chain.call(self.contract, call_data(signature)), "big")

    def _ask(self, signature: str, arguments: Sequence[bytes] | Sequence[int]) -> list[int]:
        return [
            word
            for some in chunks(arguments, ASKED_AT_ONCE)
            for word in words_in(self._chain.call(self.contract, call_data(signature, some)))
        ]


def _again(held: Settlement) -> Settlement:
    return msgspec.structs.replace(held, fresh=False)


def _is_complete(logs: Iterable[Log]) -> bool:
    """Return whether the last part of a batch is among the logs (its `rest` is the fifth word)."""
    return any(log.topics[0] == SETTLED and not any(log.data[128:160]) for log in logs)


def _named(error: Reverted) -> ParityError:
    return REVERT_ERRORS.get(str(error), Failed)(f"ledger: {error}")
