"""Commitments to data that stays off the chain: salted hashes, many under one root, proofs for each."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from ontology.base import require

__all__ = ["EMPTY", "Step", "commitment", "is_under", "leaf", "path", "root"]

EMPTY = sha256(b"").digest()
"""The root over nothing."""
SALT_BYTES = 32


class Step(NamedTuple):
    """The hash beside the one that is proven, on the way up."""

    other: bytes
    other_is_left: bool


def commitment(content: bytes, salt: bytes) -> bytes:
    """Return the commitment to a content; without the salt nobody finds the content by trying.

    Raises: InvalidInput when the salt has not 32 bytes.
    Source: EDPB Guidelines 02/2025 (salted hashes instead of personal data on a chain); D8.1 3.3.3.
    """
    require(len(salt) == SALT_BYTES, "salt", f"{len(salt)} bytes", f"{SALT_BYTES} bytes")
    return sha256(salt + content).digest()


def leaf(player: str, start_s: int, committed: bytes) -> bytes:
    """Return the leaf of a player's commitment for an interval (its start in epoch seconds)."""
    return sha256(b"\0" + f"{start_s} {player} ".encode() + committed).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a Merkle tree; a node without a neighbour goes up as it is (as in RFC 6962)."""
    level = list(leaves)
    if not level:
        return EMPTY
    while len(level) > 1:
        level = above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[Step]:
    """Return the steps from a leaf up to the root.

    Raises: InvalidInput when there is no such leaf.
    """
    require(0 <= index < len(leaves), "index", index, f"one of {len(leaves)} leaves")
    level, steps = list(leaves), []
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            steps.append(Step(level[other], other < index))
        level, index = above(level), index // 2
    return steps


def is_under(proven: bytes, steps: Sequence[Step], top: bytes) -> bool:
    """Tell whether a leaf and its steps lead to a root."""
    at = proven
    for step in steps:
        at = joined(step.other, at) if step.other_is_left else joined(at, step.other)
    return at == top


def above(level: Sequence[bytes]) -> list[bytes]:
    """Return the nodes over a level."""
    return [
        joined(level[i], level[i + 1]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)
    ]


def joined(left: bytes, right: bytes) -> bytes:
    """Return the node over two others."""
    return sha256(b"\1" + left + right).digest()
