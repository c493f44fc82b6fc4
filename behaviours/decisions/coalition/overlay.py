"""Who talks to whom in a group, who leads it, and how a coalition splits into groups (SPEC 5.3 A)."""

import hashlib
from collections.abc import Sequence

import numpy as np

__all__ = ["GROUP_MAX", "groups_of", "neighbours_of", "ordered"]

GROUP_MAX = 30
"""Most members of a group: messages grow with the square of it (SPEC 5.4)."""
SHORTCUTS = 0.5
"""Shortcuts across the ring, as a share of its links (small world, SPEC 5.3 A)."""


def ordered(members: Sequence[str], epoch: str) -> list[str]:
    """Return members in the order of a hash, that all compute alike and nobody can choose."""
    return sorted(members, key=lambda member: hashlib.sha256(f"{member} {epoch}".encode()).digest())


def groups_of(members: Sequence[str], epoch: str, most: int = GROUP_MAX) -> list[list[str]]:
    """Split members into groups of nearly equal size; the first of each is its head."""
    line = ordered(members, epoch)
    count = -(-len(line) // most)
    return [line[index::count] for index in range(count)]


def neighbours_of(me: int, size: int, seed: int) -> list[int]:
    """Return the neighbours of a member: a ring with random shortcuts, alike for all who ask.

    Source: Watts and Strogatz 1998, with added instead of rewired links.
    """
    links = {frozenset((i, (i + 1) % size)) for i in range(size)} if size > 1 else set()
    rng = np.random.default_rng((seed, size))
    if size > 3:
        ends = rng.integers(0, size, (round(SHORTCUTS * size), 2)).tolist()
        links |= {frozenset((a, b)) for a, b in ends}
    return sorted(other for link in links if me in link and len(link) == 2 for other in link - {me})
