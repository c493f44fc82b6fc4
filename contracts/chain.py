"""An EVM chain through web3: signs here, sends, and checks what became of every transaction.

Chains say "reverted" in different ways (an exception before, an exception after, a receipt with status 0);
above this module there is only `Reverted`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import msgspec
from eth_abi import decode
from eth_account import Account
from eth_keys.exceptions import BadSignature
from eth_utils import ValidationError
from hexbytes import HexBytes
from requests.exceptions import RequestException
from web3 import Web3
from web3.exceptions import ContractLogicError, TimeExhausted, TransactionNotFound, Web3RPCError
from web3.middleware import ExtraDataToPOAMiddleware

from contracts.journal import Sent, TransactionJournal
from ontology.errors import Conflict, InvalidInput, ParityError, Unavailable, problem

__all__ = ["Chain", "Log", "Mined", "Nonces", "Reverted", "Signer", "node_chain", "signer_of"]

REVERTED = "execution reverted"
ERROR_WITH_REASON = "0x08c379a0"
"""By this the data of a revert with a text begins: Error(string)."""
GAS_MARGIN = 1.2
TROUBLE = (TimeExhausted, Web3RPCError, ValidationError)


class Reverted(ParityError):
    """A contract turned a call down; the message is its reason."""


class Log(msgspec.Struct, frozen=True):
    """An event of a contract."""

    topics: Sequence[bytes]
    data: bytes
    transaction: str
    block: int


class Mined(msgspec.Struct, frozen=True):
    """A transaction that went through."""

    transaction: str
    contract: str
    gas: int
    logs: Sequence[Log]


class Signer:
    """A private key."""

    def __init__(self, key: bytes) -> None:
        self._account = Account.from_key(key)
        self.address: str = self._account.address

    @classmethod
    def from_file(cls, path: Path, password_file: Path | None = None) -> "Signer":
        """Read a private key: 64 hexadecimal digits, or an encrypted keystore (Web3 Secret Storage, JSON).

        Raises: InvalidInput when there is none in the file or the password does not open it; the message
        never shows the content of either.
        """
        try:
            text = path.read_text(encoding="ascii").strip()
            if not text.startswith("{"):
                return cls(bytes.fromhex(text.removeprefix("0x")))
            password = password_file.read_text(encoding="utf-8").rstrip("\r\n") if password_file else ""
            return cls(bytes(Account.decrypt(text, password)))
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            expected = "a file with 64 hexadecimal digits, or a keystore and its password"
            raise InvalidInput(problem(str(path), "", expected)) from None

    def sign_hash(self, message: bytes) -> tuple[int, int, int]:
        """Return v, r and s of a signature over a hash."""
        signed = self._account.unsafe_sign_hash(message)
        return signed.v, signed.r, signed.s

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """Return the signed transaction as bytes."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)


class Nonces:
    """The one sequence of nonces of a key on a chain, whoever signs with it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: int | None = None

    @contextmanager
    def turn(self, count: Callable[[], int]) -> Iterator[int]:
        """Hand out the next nonce to one caller at a time; after an error it is counted anew."""
        with self._lock:
            nonce = count() if self._next is None else self._next
            self._next = None
            yield nonce
            self._next = nonce + 1


class Chain:
    """A chain to send transactions to.

    Args:
        web3: the connection.
        gas: limit of every transaction, or None to let the node estimate it.
        gas_price: in wei, or None to ask the node.
        set_time: sets the next block's timestamp where the chain lets us (epoch seconds).
        reverts: what web3 raises over this connection when a contract turns a call down.
        wait_s: how long a transaction may take.
        journal: keeps what was sent, where the chain may lose blocks that it had (a node that dies).
    """

    def __init__(
        self,
        web3: Web3,
        *,
        gas: int | None = None,
        gas_price: int | None = None,
        set_time: Callable[[int], None] = lambda time_s: None,
        reverts: type[Exception] = ContractLogicError,
        wait_s: float = 60.0,
        journal: TransactionJournal | None = None,
    ) -> None:
        self._web3 = web3
        self._journal = journal
        self._restoring = Lock()
        self._gas = gas
        self._gas_price = gas_price
        self._set_time = set_time
        self._reverts = reverts
        self._wait_s = wait_s
        self._chain_id: int | None = None
        self._nonces: dict[str, Nonces] = {}

    def check(self) -> None:
        """Make sure that the chain answers.

        Raises: Unavailable when it does not.
        """
        with self._reached():
            self._chain_id = self._web3.eth.chain_id

    def transact(self, signer: Signer, data: bytes, *, to: str | None, time_s: int = 0) -> Mined:
        """Send a transaction (to nobody: create a contract) and return it once it is in a block.

        Raises: Reverted with the contract's reason, Unavailable when the chain cannot be reached in time.
        """
        self._restore()
        nonces = self._nonces.setdefault(signer.address, Nonces())
        turn = nonces.turn(partial(self._count, signer.address))
        with self._reached(), turn as nonce:
            transaction = self._filled(signer, nonce, data, to)
            self._set_time(time_s)
            hash_ = self._sent(Sent(signer.address, nonce, signer.sign(transaction)))
            receipt = self._web3.eth.wait_for_transaction_receipt(hash_, timeout=self._wait_s)
        if receipt["status"] != 1:
            self.call(to, data, sender=signer.address)
            raise Reverted("out of gas or without a reason")
        return Mined(
            Web3.to_hex(receipt["transactionHash"]),
            receipt["contractAddress"] or "",
            receipt["gasUsed"],
            [_log(each) for each in receipt["logs"]],
        )

    def call(self, to: str | None, data: bytes, *, sender: str | None = None) -> bytes:
        """Return what a contract answers, without a transaction.

        Raises: Reverted with the contract's reason, Unavailable when the chain cannot be reached.
        """
        request: dict[str, Any] = {"data": data} | ({"to": to} if to else {})
        self._restore()
        with self._reached():
            return bytes(self._web3.eth.call(request | ({"from": sender} if sender else {})))

    def logs(
        self, contract: str, topics: Sequence[Any], first_block: int, last_block: int | None
    ) -> list[Log]:
        """Return a contract's events in blocks first to last inclusive; None is the latest block."""
        request = {
            "address": contract,
            "topics": topics,
            "fromBlock": first_block,
            "toBlock": "latest" if last_block is None else last_block,
        }
        self._restore()
        with self._reached():
            return [_log(each) for each in self._web3.eth.get_logs(request)]

    def data_of(self, transaction: str) -> bytes:
        """Return what a transaction carried."""
        with self._reached():
            return bytes(self._web3.eth.get_transaction(transaction)["input"])

    @property
    def id(self) -> int:
        """The chain's number, which transactions and attestations are signed for."""
        if self._chain_id is None:
            self.check()
        return self._chain_id or 0

    def last_block(self) -> int:
        """Return the number of the newest block."""
        self._restore()
        with self._reached():
            return int(self._web3.eth.block_number)

    def can_pay(self, address: str) -> bool:
        """Tell whether an address has means, or gas costs nothing here."""
        with self._reached():
            if self._gas_price is None and not self._web3.eth.gas_price:
                return True
            return bool(self._web3.eth.get_balance(Web3.to_checksum_address(address)))

    def code_at(self, address: str) -> bytes:
        """Return the code that an address runs, nothing when it runs none."""
        self._restore()
        with self._reached():
            return bytes(self._web3.eth.get_code(Web3.to_checksum_address(address)))

    def noted(self, name: str) -> str:
        """Return a note about the chain, such as where a contract is; empty where there is none."""
        return self._journal.note(name) if self._journal else ""

    def note(self, name: str, value: str) -> None:
        """Keep a note about the chain, beside what was sent."""
        if self._journal:
            self._journal.make_note(name, value)

    @property
    def state_root(self) -> str:
        """The root hash (hexadecimal) of the state after the last block."""
        self._restore()
        with self._reached():
            return bytes(self._web3.eth.get_block("latest")["stateRoot"]).hex()

    def close(self) -> None:
        """Let go of the connection."""
        if self._journal is not None:
            self._journal.close()

    def _sent(self, sent: Sent) -> HexBytes:
        """Write a signed transaction down and send it; one that the node turns down is struck out."""
        if self._journal is None:
            return self._web3.eth.send_raw_transaction(sent.raw)
        self._journal.add(sent)
        try:
            return self._given(sent)
        except Web3RPCError:
            self._journal.strike(sent)
            raise

    def _given(self, sent: Sent) -> HexBytes:
        """Send a signed transaction, unless the node has it."""
        hash_ = Web3.keccak(sent.raw)
        try:
            return self._web3.eth.send_raw_transaction(sent.raw)
        except Web3RPCError:
            if not self._has(hash_):
                raise
        return hash_

    def _restore(self) -> None:
        """Send again what the node has lost, if it has lost anything.

        Raises: Unavailable when the chain cannot be reached, Conflict when somebody else has used the nonces.
        """
        if self._journal is None:
            return
        with self._restoring, self._reached():
            counts = {sender: self._count(sender) for sender in self._journal.last}
            if all(counts[sender] > last for sender, last in self._journal.last.items() if sender in counts):
                return
            for sent in self._journal.from_on({sender: count - 1 for sender, count in counts.items()}):
                self._send_again(sent, counts[sent.sender])

    def _send_again(self, sent: Sent, count: int) -> None:
        """Send a transaction that a node has not counted; of those counted, the last one must be ours."""
        if sent.nonce >= count:
            self._web3.eth.wait_for_transaction_receipt(self._given(sent), timeout=self._wait_s)
        elif not self._has(Web3.keccak(sent.raw)):
            raise Conflict(f"chain: another client has used nonce {sent.nonce} of {sent.sender}")

    def _has(self, hash_: HexBytes) -> bool:
        try:
            self._web3.eth.get_transaction(hash_)
        except TransactionNotFound:
            return False
        return True

    def _count(self, address: str) -> int:
        return int(self._web3.eth.get_transaction_count(address, "pending"))

    def _filled(self, signer: Signer, nonce: int, data: bytes, to: str | None) -> dict[str, Any]:
        eth = self._web3.eth
        if self._chain_id is None:
            self._chain_id = eth.chain_id
        request: dict[str, Any] = {"data": data, "value": 0} | ({"to": to} if to else {})
        gas = self._gas or int(eth.estimate_gas(request | {"from": signer.address}) * GAS_MARGIN)
        gas_price = eth.gas_price if self._gas_price is None else self._gas_price
        return request | {"nonce": nonce, "gas": gas, "gasPrice": gas_price, "chainId": self._chain_id}

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except self._reverts as error:
            raise Reverted(str(error.args[0]).partition(REVERTED)[2].lstrip(": ") or "no reason") from error
        except (RequestException, OSError) as error:
            raise Unavailable(f"chain: {self._where()} does not answer: {_reason(error)}") from error
        except TROUBLE as error:
            raise _reverted(error) or Unavailable(f"chain: {error}") from error

    def _where(self) -> str:
        """Return the node's address, without a password that it may contain."""
        parts = urlsplit(str(getattr(self._web3.provider, "endpoint_uri", "") or "embedded:"))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def node_chain(url: str, chain_id: int = 0, wait_s: float = 60.0, journal: Path | None = None) -> Chain:
    """Return the chain behind a JSON-RPC address (http or https).

    Headers with more than 32 bytes of extra data are read, too: proof-of-authority chains have them.

    Args:
        url: of the node.
        chain_id: which chain it should be of; 0 is any.
        wait_s: how long a transaction may take.
        journal: file of what was sent, for a client that may die together with its node; none: in memory.

    Raises: Unavailable when nobody answers there, Conflict when it is another chain, or the journal's is.
    """
    web3 = Web3(Web3.HTTPProvider(url))
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    chain = Chain(web3, wait_s=wait_s, journal=TransactionJournal(journal))
    chain.check()
    if chain_id and chain.id != chain_id:
        raise Conflict(f"chain: {url} is of chain {chain.id}, not of {chain_id}")
    noted = chain.noted("chain")
    if noted and int(noted) != chain.id:
        raise Conflict(f"chain: {url} is of chain {chain.id}, and journal {journal} of {noted}")
    chain.note("chain", str(chain.id))
    return chain


def signer_of(message: bytes, v: int, r: int, s: int) -> str:
    """Return the address that signed a hash, empty when it is no signature at all."""
    try:
        return str(Account._recover_hash(message, vrs=(v, r, s)))
    except (ValueError, ValidationError, BadSignature):
        return ""


def _reverted(error: Exception) -> Reverted | None:
    """Return what a contract said, where a node tells in its own way that one turned a call down (Besu)."""
    told = (getattr(error, "rpc_response", None) or {}).get("error") or {}
    if REVERTED not in str(told.get("message", "")).lower():
        return None
    data = str(told.get("data", ""))
    if not data.startswith(ERROR_WITH_REASON):
        return Reverted("no reason")
    return Reverted(decode(("string",), bytes.fromhex(data.removeprefix(ERROR_WITH_REASON)))[0])


def _reason(error: Exception) -> str:
    """Return why a node did not answer: the system's words, without those of the libraries between."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause)).rpartition(": ")[2]


def _log(log: Any) -> Log:
    topics = [bytes(topic) for topic in log["topics"]]
    return Log(topics, bytes(log["data"]), Web3.to_hex(log["transactionHash"]), int(log["blockNumber"]))
