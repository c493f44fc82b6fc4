"""What others may know of a site before a contract: a day in six blocks, and a capacity, both quantised."""

from collections.abc import Sequence

import numpy as np

from behaviours.decisions.series import IntArray
from ontology.directory import PROFILE_BLOCKS, CoarseProfile

__all__ = ["bid_capacity", "coarse_profile"]

QUANTUM = 0.05
"""A step of what is told, as a share of the greatest value (SPEC 5.3 A)."""
BID_BLOCKS = 4


def coarse_profile(
    start_s: int,
    net_w: Sequence[int],
    up_w: Sequence[int],
    down_w: Sequence[int],
    reliability: float = 1.0,
) -> CoarseProfile:
    """Return a day from a time in blocks of four hours, each value quantised to 5 % of the greatest."""
    scale = max(map(abs, (*net_w, *up_w, *down_w)), default=0)
    return CoarseProfile(
        start_s=start_s,
        net_w=_quantised(_means(net_w, PROFILE_BLOCKS), scale),
        up_w=_quantised(_means(up_w, PROFILE_BLOCKS), scale),
        down_w=_quantised(_means(down_w, PROFILE_BLOCKS), scale),
        reliability=round(reliability, 2),
    )


def bid_capacity(deviations_w: IntArray, target_w: Sequence[int]) -> list[int]:
    """Return by how much a site could deviate towards a target, by blocks of its period, rounded down.

    Args:
        deviations_w: K × T, what the site could do.
        target_w: the T deviations wanted.
    """
    towards = deviations_w * np.sign(np.asarray(target_w))
    most = towards[towards.sum(axis=1).argmax()]
    return _quantised(_means(most.tolist(), min(BID_BLOCKS, most.size)), int(most.max(initial=0)), down=True)


def _means(values: Sequence[int], blocks: int) -> list[float]:
    if not len(values):
        return [0.0] * blocks
    return [float(np.mean(part)) if len(part) else 0.0 for part in np.array_split(np.asarray(values), blocks)]


def _quantised(values: Sequence[float], scale: int, *, down: bool = False) -> list[int]:
    quantum = max(1.0, QUANTUM * scale)
    steps = (int(value // quantum) if down else round(value / quantum) for value in values)
    return [round(step * quantum) if not down else max(0, int(step * quantum)) for step in steps]
