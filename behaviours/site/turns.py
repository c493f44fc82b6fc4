"""Whose turn it is to plan: sites plan every few intervals, staggered, or at once when something happens.

Planning in turns damps herding (every site moving to the same cheap interval at once; SPEC 2.2 asks for a
share of at most 0.3 a round) and costs a third. Managers and prosumer of a site agree on the turn without
a word, since it follows from the site's name.
"""

from zlib import crc32

from ontology.base import INTERVAL_S

__all__ = ["PLANNING_INTERVALS", "is_turn"]

PLANNING_INTERVALS = 4
"""A site plans every so many intervals."""


def is_turn(site: str, start_s: int, every: int = PLANNING_INTERVALS) -> bool:
    """Tell whether a site plans at the start of an interval."""
    return (start_s // INTERVAL_S + crc32(site.encode())) % every == 0
