"""Knowing for certain that a negotiation has ended: the head of a group counts what is on its way.

Every member that has nothing left to do reports how many updates it sent to, and read from, each of
its neighbours. When, for every channel, the newest reports agree, the run has ended: a member acts
only on an update, so the first to act after its report would have read an update that its report does
not count; the sender's report counts it (whoever sends without having been woken sent before its own
report), and the two would differ. (Channel counting; Mattern 1987, section 4.)
"""

from collections.abc import Iterable, Mapping, Sequence

from behaviours.decisions.coalition.packing import Count

__all__ = ["TerminationDetector"]


class TerminationDetector:
    """The head's view of one run."""

    def __init__(self, run: int, neighbours: Mapping[int, Sequence[int]]) -> None:
        """Watch a run among members, given by number with each one's neighbours."""
        self.run = run
        self._neighbours = neighbours
        self._newest: dict[int, Count] = {}
        self._silent = set(neighbours)
        self._lost: set[tuple[int, int]] = set()

    def note(self, count: Count) -> None:
        """Take a report; those of another run, or from nobody of this group, change nothing."""
        if count.run != self.run or count.member not in self._neighbours:
            return
        self._newest[count.member] = count
        self._silent.discard(count.member)
        for other in self._neighbours[count.member]:
            for a, b in ((count.member, other), (other, count.member)):
                if self._sent(a, b) == self._read(a, b):
                    self._lost.discard((a, b))
                else:
                    self._lost.add((a, b))

    @property
    def ended(self) -> bool:
        """Whether nobody acts and nothing is on its way."""
        return not self._silent and not self._lost

    def silent(self) -> set[int]:
        """Return the members that have not reported."""
        return set(self._silent)

    def lost(self) -> list[tuple[int, int]]:
        """Return the channels (from, to) on which more was sent than read, by the newest reports."""
        return sorted(self._lost)

    def agreed(self) -> bool:
        """Whether all who reported hold the same candidate."""
        return len({(count.fitness, count.digest) for count in self._newest.values()}) <= 1

    def best(self) -> int:
        """Return the least fitness reported."""
        return min((count.fitness for count in self._newest.values()), default=0)

    def to_resend(self) -> dict[int, list[int]]:
        """Return, by sender, the neighbours to whom it shall tell everything once more."""
        senders: dict[int, list[int]] = {}
        for a, b in self.lost():
            senders.setdefault(a, []).append(b)
        return senders

    def doubtful(self, among: Iterable[int]) -> set[int]:
        """Return the members that may be gone: silent ones, and those that do not read what is sent."""
        return (self.silent() | {b for _, b in self.lost()}) & set(among)

    def _sent(self, a: int, b: int) -> int:
        return self._newest[a].sent.get(b, 0) if a in self._newest else 0

    def _read(self, a: int, b: int) -> int:
        return self._newest[b].read.get(a, 0) if b in self._newest else 0
