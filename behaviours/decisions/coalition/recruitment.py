"""Whom to take into a virtual power plant: the cheapest reliable bidders until the target is covered."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from ontology.coalition import CoalitionBid, FlexProduct

__all__ = ["Recruitment", "by_step", "recruited", "shares_of_target"]

RESERVE = 0.15
"""Capacity beyond the target, so that a tenth of the members may fail (SPEC 5.3 B)."""
RISK = 1.28
"""Standard deviations that are paid for: nine cases in ten (SPEC 5.3 B)."""


class Recruitment(NamedTuple):
    """Who is taken, who stays in reserve (best first), and the least share of the target covered."""

    chosen: list[str]
    reserves: list[str]
    covered: float


def recruited(
    bids: Mapping[str, CoalitionBid], product: FlexProduct, reserve: float = RESERVE
) -> Recruitment:
    """Return the bidders to take: greedy by (cost + risk) of a kWh, until every block is covered.

    A bidder dearer than the product pays, or that has nothing to give, is not taken. Capacity counts
    weighted by reliability.

    Source: SPEC 5.3 B.
    """
    able = [
        who
        for who, bid in bids.items()
        if bid.cost_ticks_per_kwh <= product.price_ticks_per_kwh and any(bid.capacity_w)
    ]
    line = sorted(able, key=lambda who: (_price(bids[who]), who))
    steps = len(product.target_w)
    wanted = np.abs(np.asarray(product.target_w, dtype=np.float64)) * (1 + reserve)
    covered = np.zeros(steps)
    chosen: list[str] = []
    while line and (covered < wanted).any():
        who = line.pop(0)
        chosen.append(who)
        covered += by_step(bids[who].capacity_w, steps) * bids[who].reliability
    share = float((covered[wanted > 0] / wanted[wanted > 0]).min()) * (1 + reserve)
    return Recruitment(chosen, line, share)


def shares_of_target(capacities_w: Sequence[Sequence[int]], target_w: Sequence[int]) -> list[list[int]]:
    """Split a target over groups in proportion to what each can give in each step; the sum is exact."""
    target = np.asarray(target_w, dtype=np.int64)
    capacity = np.array([by_step(each, target.size) for each in capacities_w])
    total = capacity.sum(axis=0)
    weights = np.where(total > 0, capacity / np.where(total > 0, total, 1), 1 / len(capacity))
    borders = np.rint(weights.cumsum(axis=0) * target).astype(np.int64)
    borders[-1] = target
    shares: list[list[int]] = np.diff(borders, axis=0, prepend=0).tolist()
    return shares


def by_step(blocks_w: Sequence[int], steps: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a series of blocks step by step."""
    sizes = [len(part) for part in np.array_split(np.arange(steps), len(blocks_w))]
    return np.repeat(np.asarray(blocks_w, dtype=np.float64), sizes)


def _price(bid: CoalitionBid) -> float:
    """Return what a reliable kWh of a bidder costs, the risk of its failing included."""
    spread = sqrt(bid.reliability * (1 - bid.reliability))
    return (bid.cost_ticks_per_kwh + RISK * spread * bid.cost_ticks_per_kwh) / max(bid.reliability, 0.01)
