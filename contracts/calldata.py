"""How batches and calls are written down for the Settlement contract, and read back.

An account is a number; four of them share a word, one 64-bit lane each (see settlement.vy). A batch is
written without web3's encoder, which costs as much as the chain itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from eth_abi import decode, encode
from web3 import Web3

__all__ = [
    "MAX_CHANGES",
    "QUAD",
    "Change",
    "call_data",
    "changes_of",
    "chunks",
    "decode_settle",
    "encode_settle",
    "event_topic",
    "key_hash",
    "lane_of",
    "parts_of",
    "words_in",
]

QUAD = 4
LANE_BITS = 64
LANE = (1 << LANE_BITS) - 1
MAX_CHANGES = 1024
"""Quads in one part of a batch: 4,096 accounts, the bound in settlement.vy."""

SETTLE = "settle(bytes32,bytes32,uint256,uint256,int256,(uint256,uint256,uint256)[])"
SETTLE_TYPES = ("bytes32", "bytes32", "uint256", "uint256", "int256", "(uint256,uint256,uint256)[]")
SETTLE_HEAD = ("bytes32", "bytes32", "uint256", "uint256", "int256", "uint256", "uint256")
OFFSET_OF_CHANGES = 6 * 32

T = TypeVar("T")


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


def encode_settle(
    key: bytes, digest: bytes, parts_left: int, time_s: int, changes: Sequence[Change]
) -> bytes:
    """Return the call of `settle`; the aggregator's account gets what makes the part sum to zero."""
    aggregator_change = sum(lanes_total(change.debits) - lanes_total(change.credits) for change in changes)
    head = encode(
        SETTLE_HEAD,
        (key, digest, parts_left, time_s, aggregator_change, OFFSET_OF_CHANGES, len(changes)),
    )
    words = b"".join(word.to_bytes(32, "big") for change in changes for word in change)
    return selector(SETTLE) + bytes(head) + words


def decode_settle(data: bytes) -> tuple[int, dict[int, int]]:
    """Return the aggregator's change and the other accounts' changes by number from a call of `settle`."""
    *_, aggregator_change, changes = decode(SETTLE_TYPES, data[4:])
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


def call_data(signature: str, *arguments: Any) -> bytes:
    """Return a call of a function by its signature, such as `mint(uint256,uint256)`."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return selector(signature) + bytes(encode(types if arguments else (), arguments))


def words_in(answer: bytes) -> Sequence[int]:
    """Return the numbers of an answer of type uint256[]."""
    return tuple(decode(("uint256[]",), answer)[0])


@cache
def selector(signature: str) -> bytes:
    """Return the four bytes that name a function."""
    return bytes(Web3.keccak(text=signature)[:4])


@cache
def event_topic(signature: str) -> bytes:
    """Return the topic that names an event."""
    return bytes(Web3.keccak(text=signature))


def key_hash(name: str) -> bytes:
    """Return the hash by which the chain knows a pseudonym or a settlement key."""
    return bytes(Web3.keccak(text=name))


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of at most a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
