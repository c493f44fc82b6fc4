"""Choosing schedules together so that they add up to a target: COHDA, one member's part of it.

Each member knows what it believes the others have chosen (the configuration) and the best complete
choice that anybody has found (the candidate). It reads what its neighbours tell, answers with its own
best schedule for what the others leave over, keeps that when it makes the candidate better, and
otherwise goes back to its part of the candidate. What changed goes to the neighbours.

A run ends in a choice that no single member can better. Further runs begin from the best so far, a few
members drawing a schedule at random; whatever is not better in the end is forgotten. Versions number
what a member has chosen over all runs, so that an older choice is never taken for a newer one.

Source: Hinrichs, Lehnhoff, Sonnenschein: COHDA, ICAART 2013; restarts from a disturbed optimum as in
Lourenço, Martin, Stützle: Iterated Local Search, 2003.
"""

import zlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from behaviours.decisions.coalition.packing import Count, Update, packed_row, unpacked_row
from behaviours.decisions.series import IntArray

__all__ = ["Selection", "kicked_in"]

NOTHING = 2**62
"""Fitness of a candidate that nobody has found yet."""


class Candidate(NamedTuple):
    """A choice of versions by member (0: none yet), its finder and its fitness; less is better."""

    creator: int
    fitness: int
    versions: tuple[int, ...]

    def members(self) -> int:
        """Return how many members it covers."""
        return len(self.versions) - self.versions.count(0)


class Selection:
    """One member's working memory over the runs of a negotiation.

    Rows are schedules in W with the cost in ticks as last value; the fitness of a choice is the sum of
    absolute deviations from the target plus `weight` times the cost.
    """

    def __init__(
        self,
        me: int,
        size: int,
        schedules_w: IntArray,
        cost_ticks: IntArray,
        neighbours: Sequence[int],
        *,
        weight: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Join a group of `size` as number `me`.

        Args:
            me: own number.
            size: how many members the group has.
            schedules_w: K schedules of T steps; the first is to do nothing.
            cost_ticks: cost of each schedule.
            neighbours: numbers of those to whom one writes.
            weight: W of deviation that a tick of cost outweighs.
            seed: of the random schedules that runs begin with.
        """
        self.me = me
        self.neighbours = tuple(neighbours)
        self.run = -1
        self._size = size
        self._rows = np.column_stack([schedules_w, cost_ticks]).astype(np.int64)
        self._weight = weight
        self._rng = np.random.default_rng((seed, me))
        self._own = 0
        self._counter = 0
        self._store: dict[tuple[int, int], IntArray] = {}
        self._packed: dict[tuple[int, int], bytes] = {}
        self._row_of: dict[int, int] = {}
        self._versions = [0] * size
        self._total = np.zeros(self._rows.shape[1], dtype=np.int64)
        self._target = np.zeros(self._rows.shape[1] - 1, dtype=np.int64)
        self._candidate = Candidate(me, NOTHING, (0,) * size)
        self._best = self._candidate
        self._absent: frozenset[int] = frozenset()
        self._known: dict[int, set[tuple[int, int]]] = {n: set() for n in self.neighbours}
        self._told: dict[int, Candidate | None] = {}
        self._sent: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._early: dict[int, set[int]] = {}
        self._full: set[int] = set()

    # -- runs -----------------------------------------------------------------------------------

    def begin(
        self, run: int, target_w: Sequence[int] | IntArray, kicked: Collection[int], absent: Collection[int]
    ) -> None:
        """Begin a run from the best choice so far; the kicked draw anew, the absent count no more."""
        self.keep_best()
        target = np.asarray(target_w, dtype=np.int64)
        self.run, self._absent = run, frozenset(absent)
        if not np.array_equal(target, self._target) or any(self._best.versions[i] for i in absent):
            self._target = target
            self._best = self._revalued(self._best)
        start = tuple(
            0 if i in self._absent or i in kicked else version
            for i, version in enumerate(self._best.versions)
        )
        self._sent.clear()
        self._read.clear()
        self._early.clear()
        self._told.clear()
        self._full.clear()
        self._forget_others()
        self._versions = list(start)
        self._total = self._sum(start)
        self._candidate = Candidate(self._size, self._fitness(self._total), start)
        if start[self.me] == 0:
            self._choose(self._drawn(run))
            self._adopt_configuration()

    def keep_best(self) -> None:
        """Keep the candidate of the run that has ended if it is better than the best of those before."""
        if self._candidate.members() >= self._best.members() and (
            self._candidate.fitness < self._best.fitness or self._candidate.members() > self._best.members()
        ):
            self._best = self._candidate

    @property
    def chosen(self) -> int:
        """The own schedule (its row) in the best choice."""
        return self._row_of.get(self._best.versions[self.me], 0)

    @property
    def total_w(self) -> IntArray:
        """What the best choice adds up to, in W by step."""
        return self._sum(self._best.versions)[:-1]

    @property
    def best_fitness(self) -> int:
        """The fitness of the best choice."""
        return self._best.fitness

    @property
    def is_complete(self) -> bool:
        """Whether the best choice covers everybody who is there."""
        return self._best.members() >= self._size - len(self._absent)

    # -- perceive, decide, act --------------------------------------------------------------------

    def perceive(self, neighbour: int, update: Update) -> None:
        """Take in what a neighbour tells; of another run, or twice, it says nothing new."""
        if update.run != self.run or neighbour not in self._known or len(update.versions) != self._size:
            return
        self._tick_off(neighbour, update)
        for member, version, raw in update.choices:
            self._learn(neighbour, member, version, raw)
        if all(v == 0 or (i, v) in self._store for i, v in enumerate(update.versions)):
            self._weigh(Candidate(update.creator, update.fitness, tuple(update.versions)))

    def decide(self) -> None:
        """Answer the others' choices with the own best one, or go back to the candidate's."""
        if self._versions[self.me] == 0:
            return
        rest = self._total - self._rows[self._own]
        values = np.abs(self._target - rest[:-1] - self._rows[:, :-1]).sum(axis=1)
        if self._weight:
            values = values + np.rint(self._weight * (rest[-1] + self._rows[:, -1])).astype(np.int64)
        row = int(values.argmin())
        fitness = int(values[row])
        covered = self._size - self._versions.count(0)
        known = self._candidate.members()
        if covered > known or (covered == known and fitness < self._candidate.fitness):
            self._choose(row)
            self._candidate = Candidate(self.me, fitness, tuple(self._versions))
        elif self._candidate.versions[self.me]:
            self._choose(self._row_of[self._candidate.versions[self.me]])

    def update_for(self, neighbour: int) -> Update | None:
        """Return what a neighbour does not know yet, or None when it knows all."""
        known, full = self._known[neighbour], neighbour in self._full
        mine = [(i, v) for i, v in enumerate(self._versions) if v]
        needed = dict.fromkeys(mine + [(i, v) for i, v in enumerate(self._candidate.versions) if v])
        news = [key for key in needed if full or key not in known]
        if not news and not full and self._told.get(neighbour) == self._candidate:
            return None
        known.update(news)
        self._told[neighbour] = self._candidate
        self._full.discard(neighbour)
        self._sent[neighbour] = self._sent.get(neighbour, 0) + 1
        return Update(
            self.run,
            self._sent[neighbour],
            full,
            [(i, v, self._packed[i, v]) for i, v in news],
            *self._candidate[:2],
            list(self._candidate.versions),
        )

    def count(self) -> Count:
        """Return the report to the head: what was sent and read in this run."""
        digest = zlib.crc32(repr(self._candidate.versions).encode())
        return Count(self.run, self.me, dict(self._sent), dict(self._read), self._candidate.fitness, digest)

    def resend(self, neighbours: Collection[int]) -> None:
        """Tell some neighbours everything once more with the next update: what was sent got lost."""
        self._full.update(n for n in neighbours if n in self._known)

    # -- inside -----------------------------------------------------------------------------------

    def _drawn(self, run: int) -> int:
        return int(self._rng.integers(0, len(self._rows))) if len(self._rows) > 1 else 0

    def _choose(self, row: int) -> None:
        """Take a row as one's own; the same as before is no new version."""
        version = self._versions[self.me]
        if version and row == self._own:
            return
        self._counter += 1
        self._own = row
        self._row_of[self._counter] = row
        self._store[self.me, self._counter] = self._rows[row]
        self._packed[self.me, self._counter] = packed_row(self._rows[row])
        self._set(self.me, self._counter)

    def _tick_off(self, neighbour: int, update: Update) -> None:
        """Count what was read up to the first gap; one that tells everything closes all gaps before it."""
        early = self._early.setdefault(neighbour, set())
        early.add(update.number)
        read = max(self._read.get(neighbour, 0), update.number if update.full else 0)
        while read + 1 in early:
            read += 1
        self._read[neighbour] = read

    def _set(self, member: int, version: int) -> None:
        before = self._versions[member]
        if before:
            self._total = self._total - self._store[member, before]
        self._total = self._total + self._store[member, version]
        self._versions[member] = version

    def _learn(self, neighbour: int, member: int, version: int, raw: bytes) -> None:
        if not 0 <= member < self._size or member in self._absent or version <= 0:
            return
        key = (member, version)
        self._known[neighbour].add(key)
        if key not in self._store:
            self._store[key] = unpacked_row(raw, self._rows.shape[1])
            self._packed[key] = raw
        if member != self.me and version > self._versions[member]:
            self._set(member, version)

    def _weigh(self, other: Candidate) -> None:
        """Replace the candidate by a fuller or better one, or join two that cover different members."""
        mine = self._candidate
        if self._absent and any(other.versions[i] for i in self._absent):
            return
        only_mine = only_theirs = False
        if 0 in mine.versions or 0 in other.versions:
            pairs = list(zip(mine.versions, other.versions, strict=True))
            only_mine = any(m and not o for m, o in pairs)
            only_theirs = any(o and not m for m, o in pairs)
        if only_theirs and only_mine:
            versions = tuple(m or o for m, o in zip(mine.versions, other.versions, strict=True))
            self._candidate = Candidate(self.me, self._fitness(self._sum(versions)), versions)
        elif only_theirs or (not only_mine and (other.fitness, other.creator) < (mine.fitness, mine.creator)):
            self._candidate = other

    def _adopt_configuration(self) -> None:
        self._candidate = Candidate(self.me, self._fitness(self._total), tuple(self._versions))

    def _revalued(self, candidate: Candidate) -> Candidate:
        """Return a candidate for another target or without those who are gone."""
        versions = tuple(0 if i in self._absent else v for i, v in enumerate(candidate.versions))
        if not any(versions):
            return Candidate(self.me, NOTHING, versions)
        return candidate._replace(fitness=self._fitness(self._sum(versions)), versions=versions)

    def _sum(self, versions: Sequence[int]) -> IntArray:
        chosen = [self._store[i, v] for i, v in enumerate(versions) if v]
        if not chosen:
            return np.zeros(self._rows.shape[1], dtype=np.int64)
        total: IntArray = np.sum(chosen, axis=0)
        return total

    def _fitness(self, total: IntArray) -> int:
        deviation = int(np.abs(self._target - total[:-1]).sum())
        return deviation + round(self._weight * int(total[-1]))

    def _forget_others(self) -> None:
        """Let go of the choices that the best does not hold."""
        kept = {(i, v) for i, v in enumerate(self._best.versions) if v}
        self._store = {key: row for key, row in self._store.items() if key in kept}
        self._packed = {key: self._packed[key] for key in kept}
        for known in self._known.values():
            known.intersection_update(kept)
        own = self._best.versions[self.me]
        self._row_of = {own: self._row_of[own]} if own else {}
        self._own = self._row_of.get(own, 0)


def kicked_in(run: int, size: int, absent: Collection[int], seed: int, count: int = 3) -> list[int]:
    """Return who draws at random as a run begins: all in the first, a few in the others."""
    there = [i for i in range(size) if i not in absent]
    if run == 0 or len(there) <= count:
        return there
    return sorted(np.random.default_rng((seed, run)).choice(there, count, replace=False).tolist())
