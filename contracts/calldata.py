"""How batches and calls are written down for the Settlement contract, and read back.

An account is a number; four of them share a word, one 64-bit lane each (see settlement.vy). A batch is
written without web3's encoder, which costs as much as the chain itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from eth_abi import decode, encode
from eth_utils.crypto import keccak as keccak_256

__all__ = [
    "END",
    "MAX_ATTESTORS",
    "MAX_CHANGES",
    "QUAD",
    "Change",
    "SettleCall",
    "Signature",
    "argument_types",
    "call_data",
    "changes_of",
    "chunks",
    "decode_settle",
    "digests_of",
    "encode_settle",
    "event_topic",
    "key_hash",
    "lane_of",
    "message_of",
    "parts_of",
    "statement_of",
    "words_in",
]

QUAD = 4
MAX_ATTESTORS = 16
"""The bound in attestation.vy."""
LANE_BITS = 64
LANE = (1 << LANE_BITS) - 1
MAX_CHANGES = 1024
"""Quads in one part of a batch: 4,096 accounts, the bound in settlement.vy."""

SETTLE_TYPES = (
    *("bytes32", "bytes32", "uint256", "bytes32", "bytes32", "uint256", "int256"),
    *("(uint256,uint256,uint256)[]", "(uint256,uint256,uint256,uint256)[]"),
)
SETTLE = f"settle({','.join(SETTLE_TYPES)})"
SETTLE_HEAD = (*SETTLE_TYPES[:7], "uint256", "uint256")
WORD = 32
END = bytes(WORD)
"""The digest of no parts at all."""

T = TypeVar("T")


class Signature(NamedTuple):
    """An attestor's signature, by its number in the set."""

    attestor: int
    v: int
    r: int
    s: int


class Change(NamedTuple):
    """What the four accounts of a quad pay and get, a lane each."""

    quad: int
    debits: int
    credits: int


def changes_of(changes: Mapping[int, int]) -> list[Change]:
    """Pack signed changes by account number into quads, ascending."""
    debits: dict[int, int] = {}
    credits_: dict[int, int] = {}
    for account, change in changes.items():
        side = credits_ if change > 0 else debits
        quad, lane = divmod(account, QUAD)
        side[quad] = side.get(quad, 0) + (abs(change) << (LANE_BITS * lane))
    return [Change(quad, debits.get(quad, 0), credits_.get(quad, 0)) for quad in sorted(debits | credits_)]


def parts_of(changes: Sequence[Change]) -> list[Sequence[Change]]:
    """Split a batch into parts that fit a transaction; debits come first, so that they fund the credits."""
    if len(changes) <= MAX_CHANGES:
        return [changes]
    paying = [change._replace(credits=0) for change in changes if change.debits]
    paid = [change._replace(debits=0) for change in changes if change.credits]
    return list(chunks(paying + paid, MAX_CHANGES))


def digests_of(parts: Sequence[Sequence[Change]]) -> list[bytes]:
    """Return the digest of a batch from each part on, and at last that of nothing: a chain of hashes."""
    digests = [END]
    for part in reversed(parts):
        digests.append(keccak(keccak(number(WORD) + listed(part)) + digests[-1]))
    return digests[::-1]


def statement_of(key: bytes, kind: int, result: bytes, digest: bytes) -> bytes:
    """Return the hash of what attestors sign for a batch, before chain and contract are added to it."""
    return keccak(key + number(kind) + result + digest)


def message_of(chain_id: int, contract: str, statement: bytes) -> bytes:
    """Return the hash that an attestor signs; it holds on one contract of one chain only."""
    domain = keccak(b"parity-mas attestation")
    address = bytes.fromhex(contract.removeprefix("0x")).rjust(WORD, b"\0")
    return keccak(domain + number(chain_id) + address + statement)


class SettleCall(NamedTuple):
    """What is said of a part of a batch when it is settled; see settlement.vy."""

    key: bytes
    digest: bytes
    kind: int = 0
    result: bytes = END
    rest: bytes = END
    time_s: int = 0


def encode_settle(call: SettleCall, changes: Sequence[Change], signatures: Sequence[Signature] = ()) -> bytes:
    """Return the call of `settle`; the aggregator's account gets what makes the part sum to zero."""
    aggregator_change = sum(lanes_total(change.debits) - lanes_total(change.credits) for change in changes)
    offset = len(SETTLE_HEAD) * WORD
    offsets = (offset, offset + (1 + 3 * len(changes)) * WORD)
    head = encode(SETTLE_HEAD, (*call, aggregator_change, *offsets))
    return selector(SETTLE) + bytes(head) + listed(changes) + listed(signatures)


def listed(items: Sequence[Sequence[int]]) -> bytes:
    """Return a list of structs of numbers as it stands in call data."""
    words = b"".join(word.to_bytes(WORD, "big") for item in items for word in item)
    return number(len(items)) + words


def number(value: int) -> bytes:
    """Return a number as a word."""
    return value.to_bytes(WORD, "big")


def decode_settle(data: bytes) -> tuple[int, dict[int, int]]:
    """Return the aggregator's change and the other accounts' changes by number from a call of `settle`."""
    *_, aggregator_change, changes, _ = decode(SETTLE_TYPES, data[4:])
    entries = {}
    for quad, debits, credits_ in changes:
        for lane in range(QUAD):
            if change := lane_of(credits_, lane) - lane_of(debits, lane):
                entries[QUAD * quad + lane] = change
    return aggregator_change, entries


def lane_of(word: int, account: int) -> int:
    """Return the lane of an account in its quad's word."""
    return word >> (LANE_BITS * (account % QUAD)) & LANE


def lanes_total(word: int) -> int:
    """Return the sum of a word's lanes."""
    return sum(lane_of(word, lane) for lane in range(QUAD))


def keccak(data: bytes) -> bytes:
    """Return the hash that the chain uses."""
    return bytes(keccak_256(data))


def call_data(signature: str, *arguments: Any) -> bytes:
    """Return a call of a function by its signature, such as `mint(uint256,uint256)`."""
    types = argument_types(signature)
    return selector(signature) + bytes(encode(types, arguments))


@cache
def argument_types(signature: str) -> tuple[str, ...]:
    """Return the types in a signature, those of structs in parentheses."""
    types, depth = [""], 0
    for letter in signature[signature.index("(") + 1 : -1]:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            types.append("")
        else:
            types[-1] += letter
    return tuple(types) if types[0] else ()


def words_in(answer: bytes) -> Sequence[int]:
    """Return the numbers of an answer of type uint256[]."""
    return tuple(decode(("uint256[]",), answer)[0])


@cache
def selector(signature: str) -> bytes:
    """Return the four bytes that name a function."""
    return keccak(signature.encode())[:4]


@cache
def event_topic(signature: str) -> bytes:
    """Return the topic that names an event."""
    return keccak(signature.encode())


def key_hash(name: str) -> bytes:
    """Return the hash by which the chain knows a pseudonym or a settlement key."""
    return keccak(name.encode())


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of at most a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
