"""What distributed choices are measured against: planted problems and choosing with all in one hand."""

import numpy as np

from behaviours.decisions.series import IntArray

__all__ = ["descended", "exhaustive", "planted_problem"]


def planted_problem(
    members: int, seed: int, schedules: int = 10, steps: int = 96
) -> tuple[IntArray, IntArray]:
    """Return random schedules (members × schedules × steps, W) and the sum of one hidden choice of each."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-3000, 3001, (members, schedules, steps))
    hidden = rng.integers(0, schedules, members)
    return rows, rows[np.arange(members), hidden].sum(axis=0)


def descended(rows: IntArray, target: IntArray, seed: int, restarts: int = 20) -> int:
    """Return the least sum of deviations that centralised coordinate descent finds in some restarts."""
    rng = np.random.default_rng(seed)
    return min(_descent(rows, target, rng) for _ in range(restarts))


def exhaustive(rows: IntArray, target: IntArray) -> tuple[int, int]:
    """Return the least and the greatest sum of deviations of all choices; for few members only."""
    sums = np.array([0])[:, None]
    for own in rows:
        sums = (sums[:, None, :] + own[None, :, :]).reshape(-1, rows.shape[2])
    deviations = np.abs(sums - target).sum(axis=1)
    return int(deviations.min()), int(deviations.max())


def _descent(rows: IntArray, target: IntArray, rng: np.random.Generator) -> int:
    """Let each member in turn take its best schedule until nobody can better the sum."""
    chosen = rng.integers(0, rows.shape[1], len(rows))
    rest = target - rows[np.arange(len(rows)), chosen].sum(axis=0)
    best, before = int(np.abs(rest).sum()), -1
    while best != before:
        before = best
        for member in rng.permutation(len(rows)):
            rest = rest + rows[member, chosen[member]]
            chosen[member] = np.abs(rest - rows[member]).sum(axis=1).argmin()
            rest = rest - rows[member, chosen[member]]
        best = int(np.abs(rest).sum())
    return best
