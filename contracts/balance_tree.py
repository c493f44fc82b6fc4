"""A Merkle sum tree over a community's balances: one hash says what everybody has (see balance_roots.vy).

A Merkle sum tree (Maxwell and Todd, "proof of solvency", 2014) has in each node the sum of what is below.
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

__all__ = ["BalanceTree", "Fraud", "Node", "Step", "first_fraud", "leaf_hash", "node_hash"]

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
    def levels(self) -> Sequence[Level]:
        """The hashes and sums of each level, from the leaves to the root's two children."""
        return self._levels

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
        return path_up(self._levels, account)


class Fraud(NamedTuple):
    """A node under a root that does not add up: the path to it, what is claimed of it, and its children."""

    path: Sequence[Step]
    claimed_sum: int
    node: Node


def first_fraud(levels: Sequence[Level]) -> Fraud | None:
    """Return a node of a tree, as it was published, that claims another sum than its children's.

    Args: levels: as in `BalanceTree.levels`.
    """
    for depth, (below, level) in enumerate(pairwise(levels), start=1):
        for place, (_, claimed_sum) in enumerate(level):
            children = below[2 * place : 2 * place + 2]
            if len(children) == 2 and children[0][1] + children[1][1] != claimed_sum:
                return Fraud(path_up(levels[depth:], place), claimed_sum, Node(*children[0], *children[1]))
    return None


def path_up(levels: Sequence[Level], place: int) -> list[Step]:
    """Return the steps from a place in the lowest of some levels to the root."""
    steps = []
    for level in levels:
        other = place ^ 1
        steps.append(Step(*level[other], is_left=other < place))
        place //= 2
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
