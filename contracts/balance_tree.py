"""A Merkle sum tree over a community's balances: one hash says what everybody has (see balance_roots.vy).

A Merkle sum tree (Maxwell and Todd, "proof of solvency", 2014) has in each node the sum of what is below.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

__all__ = ["BalanceTree", "Node", "Step", "node_hash"]

EMPTY = (bytes(32), 0)


class Node(NamedTuple):
    """What a node of the tree hashes: its children's hashes and sums."""

    left: bytes
    left_sum: int
    right: bytes
    right_sum: int


class Step(NamedTuple):
    """One step of a path up to the root: the hash and sum beside the one that is proven."""

    other: bytes
    other_sum: int
    is_left: bool


Level = list[tuple[bytes, int]]


class BalanceTree:
    """The tree over balances by account number, 0 and up; it has two leaves at least."""

    def __init__(self, balances: Sequence[int]) -> None:
        level: Level = [(leaf_hash(account, tokens), tokens) for account, tokens in enumerate(balances)]
        level += [EMPTY] * (2 - len(level))
        self._levels = [level]
        while len(level) > 2:
            if len(level) % 2:
                level.append(EMPTY)
            level = [above(level[i], level[i + 1]) for i in range(0, len(level), 2)]
            self._levels.append(level)

    @property
    def top(self) -> Node:
        """The root's node."""
        (left, left_sum), (right, right_sum) = self._levels[-1]
        return Node(left, left_sum, right, right_sum)

    @property
    def root(self) -> bytes:
        """The root's hash."""
        return node_hash(self.top)

    def path(self, account: int) -> list[Step]:
        """Return the proof of an account's balance, from its leaf to the root."""
        steps = []
        for level in self._levels:
            other = account ^ 1
            steps.append(Step(*level[other], is_left=other < account))
            account //= 2
        return steps


def leaf_hash(account: int, tokens: int) -> bytes:
    """Return the hash of an account with its balance."""
    return sha256(b"\0" + account.to_bytes(32, "big") + tokens.to_bytes(32, "big")).digest()


def node_hash(node: Node) -> bytes:
    """Return the hash of a node."""
    left_sum, right_sum = node.left_sum.to_bytes(32, "big"), node.right_sum.to_bytes(32, "big")
    return sha256(b"\1" + node.left + left_sum + node.right + right_sum).digest()


def above(left: tuple[bytes, int], right: tuple[bytes, int]) -> tuple[bytes, int]:
    """Return the hash and sum of two neighbours' parent."""
    return node_hash(Node(*left, *right)), left[1] + right[1]
