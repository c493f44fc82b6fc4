"""Choosing schedules with the others of a group, letter by letter, run by run (SPEC 5.3 C).

```
head      SelectionRun → all                  a run begins, from the best so far
members   SelectionUpdate ↔ neighbours        what changed in their working memories
members   SelectionReport → head              nothing left to do: so many sent, so many read
head      SelectionRun(ended) → all           every update has been read, and it was the last run
```
Where a plant has several groups their heads take turns: each lets its group make up for what the
others leave over, and passes on with SelectionTurn what its group now adds up to.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

import numpy as np
import structlog

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.coalition.overlay import neighbours_of
from behaviours.decisions.coalition.packing import Count, Update, pack, unpack
from behaviours.decisions.coalition.schedule_selection import Selection, kicked_in
from behaviours.decisions.coalition.schedules import Deviations
from behaviours.decisions.coalition.termination import TerminationDetector
from behaviours.ports import Cancellable
from ontology.base import Concept
from ontology.coalition import (
    CoalitionInvitation,
    SelectionReport,
    SelectionRun,
    SelectionTurn,
    SelectionUpdate,
)
from ontology.errors import Failed
from ontology.letter import Letter

__all__ = ["ScheduleNegotiation", "negotiation_of"]

log = structlog.get_logger()

RUNS_ALONE = 25
"""Runs of a plant that is a single group: the first, and restarts from the best."""
RUNS_A_TURN = 3
"""Runs of a group when it is its head's turn."""
CYCLES = 5
"""How often the turn goes round the heads at most."""
TURNS = 80
"""How many turns there are at most, where one round has fewer."""
GOOD_ENOUGH = 0.005
"""Residual, as a share of the target, at which nothing more is tried."""
WAKE_UP_S = 0.01
WAKE_UPS = 5
"""A member decides one to five of these after an update (SPEC 5.4); those that came meanwhile count too.

On a grid, so that a clock that waits for letters waits once for all who decide at the same time.
"""
PATIENCE_S = 2.0
"""How long the head waits for reports before it asks once more."""
REMINDERS = 3
"""How often it asks before it goes on without those who do not answer."""
EARLY_MAX = 2000
"""Letters kept that are for a negotiation to which one has not been invited yet."""


def negotiation_of(invitation: CoalitionInvitation) -> str:
    """Return the id of the negotiation of a group."""
    group = invitation.heads.index(invitation.group[0])
    return f"{invitation.vpp_id}/{invitation.round}/{group}"


class Seat:
    """A member's place in a negotiation."""

    def __init__(self, behaviour: "ScheduleNegotiation", invitation: CoalitionInvitation, me: str) -> None:
        """Take a place; nothing is said before the head begins a run."""
        self.invitation = invitation
        self.negotiation = negotiation_of(invitation)
        self.group = invitation.group
        self.me = self.group.index(me)
        self.seed = seed_of(self.negotiation)
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._behaviour = behaviour
        self._early: list[tuple[int, Update]] = []
        self._waking: Cancellable | None = None
        self.selection: Selection

    def provide(self, deviations: Deviations) -> None:
        """Bring what one could do."""
        self.selection = Selection(
            self.me,
            len(self.group),
            deviations.power_w,
            deviations.cost_ticks,
            neighbours_of(self.me, len(self.group), self.seed),
            weight=COST_WEIGHT_W,
            seed=self.seed,
        )

    def begin(self, run: SelectionRun) -> None:
        """Begin a run, or leave with the best choice."""
        if run.ended:
            self.selection.keep_best()
            if not self.ended.done():
                self.ended.set_result(self.selection.chosen)
            return
        if run.run <= self.selection.run:
            self._report()
            return
        kicked = kicked_in(run.run, len(self.group), run.absent, self.seed)
        self.selection.begin(run.run, run.target_w, kicked, run.absent)
        early, self._early = self._early, []
        for sender, update in early:
            self.read(sender, update)
        self._act()

    def read(self, sender: int, update: Update) -> None:
        """Take in an update, and decide soon; one of a run that has not begun here waits for it."""
        if update.run > self.selection.run:
            self._early.append((sender, update))
            return
        self.selection.perceive(sender, update)
        if self._waking is None and update.run == self.selection.run:
            clock = self._behaviour.clock
            slot = ceil(clock.now_s() / WAKE_UP_S) + int(self._behaviour.rng.integers(1, WAKE_UPS + 1))
            self._waking = clock.call_at(slot * WAKE_UP_S, self._wake_up)

    def resend(self, neighbours: Sequence[int]) -> None:
        """Tell neighbours everything once more."""
        self.selection.resend(neighbours)
        self._act()

    def leave(self) -> None:
        """Decide nothing more."""
        if self._waking is not None:
            self._waking.cancel()

    def _wake_up(self) -> None:
        self._waking = None
        self.selection.decide()
        self._act()

    def _act(self) -> None:
        for neighbour in self.selection.neighbours:
            update = self.selection.update_for(neighbour)
            if update is not None:
                told = SelectionUpdate(negotiation=self.negotiation, packed=pack(update))
                self._behaviour.say(self.group[neighbour], told)
        if self._waking is None:
            self._report()

    def _report(self) -> None:
        self._behaviour.report(self, self.selection.count())


class Lead:
    """What the head of a group does beside being a member: it begins runs and knows when they end."""

    def __init__(self, behaviour: "ScheduleNegotiation", seat: Seat) -> None:
        """Lead a group."""
        self.seat = seat
        self.absent: set[int] = set()
        self._behaviour = behaviour
        self._detector = TerminationDetector(-1, {})
        self._run = -1
        self._left = 0
        self._target: list[int] = []
        self._reminders = 0
        self._timer: Cancellable | None = None
        self._done: Callable[[], None] = lambda: None

    def visit(self, target_w: list[int], runs: int, done: Callable[[], None]) -> None:
        """Let the group come as near to a target as it can in some runs."""
        self._target, self._left, self._done = target_w, runs, done
        self._next()

    def note(self, count: Count) -> None:
        """Take a member's report; when it was the last that was missing, the run has ended."""
        if self._timer is None or count.run != self._run:
            return
        self._detector.note(count)
        if self._detector.ended:
            self._close()

    def dismiss(self) -> None:
        """End the negotiation of the group."""
        self.stop()
        self._tell_all(ended=True)

    def stop(self) -> None:
        """Wait for nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._run += 1
        self._left -= 1
        self._reminders = 0
        self._watch()
        self._tell_all()

    def _watch(self) -> None:
        size, seed = len(self.seat.group), self.seat.seed
        there = [i for i in range(size) if i not in self.absent]
        links = {i: [j for j in neighbours_of(i, size, seed) if j not in self.absent] for i in there}
        self._detector = TerminationDetector(self._run, links)
        self._set_timer()

    def _set_timer(self) -> None:
        clock = self._behaviour.clock
        self._timer = clock.call_at(clock.now_s() + PATIENCE_S, self._remind)

    def _remind(self) -> None:
        """Ask those who may have lost something once more; in the end go on without them."""
        self._reminders += 1
        everybody = set(range(len(self.seat.group))) - self.absent - {self.seat.me}
        if self._reminders > REMINDERS:
            self.absent |= self._detector.silent() & everybody or self._detector.doubtful(everybody)
            self._behaviour.agent.counts["members given up"] += 1
            self._left += 1
            self._next()
            return
        for member in self._detector.silent() & everybody:
            self._tell(member)
        for sender, receivers in self._detector.to_resend().items():
            self._behaviour.ask_to_resend(self.seat, sender, self._run, receivers)
        self._set_timer()

    def _close(self) -> None:
        self.stop()
        self.seat.selection.keep_best()
        wanted = sum(map(abs, self._target))
        if self._left > 0 and self.seat.selection.best_fitness > GOOD_ENOUGH * wanted:
            self._next()
        else:
            self._done()

    def _tell_all(self, *, ended: bool = False) -> None:
        for member in range(len(self.seat.group)):
            if member not in self.absent and member != self.seat.me:
                self._tell(member, ended=ended)
        self.seat.begin(self._message(ended=ended))

    def _tell(self, member: int, *, ended: bool = False) -> None:
        self._behaviour.say(self.seat.group[member], self._message(ended=ended))

    def _message(self, *, ended: bool = False) -> SelectionRun:
        return SelectionRun(
            negotiation=self.seat.negotiation,
            run=max(0, self._run),
            target_w=self._target,
            absent=sorted(self.absent),
            ended=ended,
        )


class ScheduleNegotiation(Behaviour):
    """Sits in the negotiations of the plants to which the agent has been invited."""

    def setup(self) -> None:
        """Sit in none."""
        self._seats: dict[str, Seat] = {}
        self._leads: dict[str, Lead] = {}
        self._early: list[tuple[Concept, Letter]] = []

    async def take_part(self, invitation: CoalitionInvitation, deviations: Deviations) -> int:
        """Negotiate with a group and return the row of the deviation that was chosen for this agent.

        Raises: Failed when the group has not agreed by the time that the invitation names.
        """
        seat = Seat(self, invitation, self.agent.address)
        seat.provide(deviations)
        self._seats[seat.negotiation] = seat
        timer = self.clock.call_at(invitation.settle_by_s, lambda: self._give_up(seat))
        if seat.me == 0:
            self._lead(seat)
        self._read_early(seat.negotiation)
        try:
            return await seat.ended
        finally:
            timer.cancel()
            seat.leave()
            self._seats.pop(seat.negotiation, None)
            lead = self._leads.pop(seat.negotiation, None)
            if lead is not None:
                lead.stop()

    # -- letters --------------------------------------------------------------------------------

    @on(SelectionRun)
    def begin(self, run: SelectionRun, letter: Letter) -> None:
        """Begin a run that the head of the group calls."""
        seat = self._seat(run.negotiation, run, letter)
        if seat is not None and letter.sender == seat.group[0]:
            seat.begin(run)

    @on(SelectionUpdate)
    def read(self, update: SelectionUpdate, letter: Letter) -> None:
        """Take in what a neighbour has learnt."""
        seat = self._seat(update.negotiation, update, letter)
        if seat is not None and letter.sender in seat.group:
            seat.read(seat.group.index(letter.sender), unpack(update.packed, Update))

    @on(SelectionReport)
    def count(self, report: SelectionReport, letter: Letter) -> None:
        """As the head, note a report; as a member, tell once more what the head says was lost."""
        seat = self._seat(report.negotiation, report, letter)
        if seat is None or letter.sender not in seat.group:
            return
        count = unpack(report.packed, Count)
        lead = self._leads.get(report.negotiation)
        if lead is not None and count.member == seat.group.index(letter.sender):
            lead.note(count)
        elif letter.sender == seat.group[0] and count.run == seat.selection.run:
            seat.resend(count.resend)

    @on(SelectionTurn)
    def take_turn(self, turn: SelectionTurn, letter: Letter) -> None:
        """As a head, let the group make up for what the others leave over, or end its negotiation."""
        seat = self._seat(turn.negotiation, turn, letter)
        lead = self._leads.get(turn.negotiation)
        if seat is None or lead is None or letter.sender not in seat.invitation.heads:
            return
        if turn.ended:
            lead.dismiss()
        else:
            self._visit(lead, turn)

    # -- saying ---------------------------------------------------------------------------------

    def say(self, to: str, content: Concept) -> None:
        """Tell another member something, and count it."""
        self.agent.counts["negotiation letters"] += 1
        self.tell(to, content)

    def report(self, seat: Seat, count: Count) -> None:
        """Report to the head, who may be oneself."""
        lead = self._leads.get(seat.negotiation)
        if lead is not None:
            lead.note(count)
        else:
            self.say(seat.group[0], SelectionReport(negotiation=seat.negotiation, packed=pack(count)))

    def ask_to_resend(self, seat: Seat, sender: int, run: int, receivers: list[int]) -> None:
        """As the head, have a member tell neighbours everything once more."""
        if sender == seat.me:
            seat.resend(receivers)
            return
        request = Count(run, seat.me, {}, {}, 0, 0, receivers)
        self.say(seat.group[sender], SelectionReport(negotiation=seat.negotiation, packed=pack(request)))

    # -- turns of the heads ---------------------------------------------------------------------

    def _lead(self, seat: Seat) -> None:
        lead = self._leads[seat.negotiation] = Lead(self, seat)
        if seat.invitation.heads[0] != self.agent.address:
            return
        steps = len(seat.invitation.product.target_w)
        totals = [[0] * steps for _ in seat.invitation.heads]
        self._visit(lead, SelectionTurn(negotiation=seat.negotiation, turn=0, totals_w=totals))

    def _visit(self, lead: Lead, turn: SelectionTurn) -> None:
        """Let the group come as near as it can to what the others leave over."""
        heads = lead.seat.invitation.heads
        mine = turn.turn % len(heads)
        wanted = np.asarray(lead.seat.invitation.product.target_w)
        rest = wanted - np.sum(turn.totals_w, axis=0)
        if turn.turn < len(heads):
            rest = np.rint(rest / (len(heads) - turn.turn))
        target = [int(w) for w in rest + np.asarray(turn.totals_w[mine])]
        runs = RUNS_ALONE if len(heads) == 1 else RUNS_A_TURN
        lead.visit(target, runs, lambda: self._pass_on(lead, turn))

    def _pass_on(self, lead: Lead, turn: SelectionTurn) -> None:
        """Tell the next head what the groups add up to now, or all that it is enough."""
        heads = lead.seat.invitation.heads
        totals = [list(each) for each in turn.totals_w]
        totals[turn.turn % len(heads)] = [int(w) for w in lead.seat.selection.total_w]
        wanted = np.asarray(lead.seat.invitation.product.target_w)
        residual = int(np.abs(wanted - np.sum(totals, axis=0)).sum())
        enough = residual <= GOOD_ENOUGH * int(np.abs(wanted).sum())
        last = min(CYCLES * len(heads), max(TURNS, len(heads)))
        if len(heads) == 1 or enough or turn.turn + 1 >= last:
            self._end(lead, turn, totals)
            return
        group = (turn.turn + 1) % len(heads)
        self.say(
            heads[group],
            SelectionTurn(negotiation=self._of_group(lead.seat, group), turn=turn.turn + 1, totals_w=totals),
        )

    def _end(self, lead: Lead, turn: SelectionTurn, totals: list[list[int]]) -> None:
        for group, head in enumerate(lead.seat.invitation.heads):
            if head != self.agent.address:
                ended = SelectionTurn(
                    negotiation=self._of_group(lead.seat, group), turn=turn.turn, totals_w=totals, ended=True
                )
                self.say(head, ended)
        lead.dismiss()

    def _of_group(self, seat: Seat, group: int) -> str:
        return f"{seat.invitation.vpp_id}/{seat.invitation.round}/{group}"

    # -- before and after -----------------------------------------------------------------------

    def _seat(self, negotiation: str, content: Concept, letter: Letter) -> Seat | None:
        """Return the seat in a negotiation; a letter that is ahead of its invitation is kept for it."""
        seat = self._seats.get(negotiation)
        if seat is None and len(self._early) < EARLY_MAX:
            self._early.append((content, letter))
        return seat

    def _read_early(self, negotiation: str) -> None:
        early, self._early = self._early, []
        handlers: dict[type[Concept], Callable[[Any, Letter], None]] = {
            SelectionRun: self.begin,
            SelectionUpdate: self.read,
            SelectionReport: self.count,
            SelectionTurn: self.take_turn,
        }
        for content, letter in early:
            if getattr(content, "negotiation", "") == negotiation:
                handlers[type(content)](content, letter)
            elif letter.sent_at_s > self.clock.now_s() - EARLY_S:
                self._early.append((content, letter))

    def _give_up(self, seat: Seat) -> None:
        with suppress(asyncio.InvalidStateError):
            seat.ended.set_exception(Failed(f"no agreement in {seat.negotiation} in time"))


COST_WEIGHT_W = 0.05
"""W of deviation from the target that a tick of cost outweighs: among equals the cheaper wins."""
EARLY_S = 60.0
"""How long a letter waits for the invitation that belongs to it."""


def seed_of(negotiation: str) -> int:
    """Return the seed that all members of a negotiation share."""
    return int.from_bytes(hashlib.sha256(negotiation.encode()).digest()[:6], "big")
