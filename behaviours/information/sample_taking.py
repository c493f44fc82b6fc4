"""The information layer among the agents: takes samples by letter, and makes intervals of them (D8.1 3.1)."""

from collections.abc import Awaitable, Callable

from behaviours.behaviour import Behaviour, on, when
from behaviours.ports import SampleIntake
from ontology.errors import Unavailable
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.samples import SampleBatch, SampleReceipt

__all__ = ["SampleTaking"]

CLOSING_S, CLOSING_OFFSET_S = 60, 10


class SampleTaking(Behaviour):
    """Takes the samples of gateways and answers when they are stored; without an intake there are none."""

    def setup(self) -> None:
        """Take samples for the pipeline that the agent was handed, if it was."""
        self.intake: SampleIntake | None = self.agent.surroundings.samples

    @on(SampleBatch, Performative.REQUEST)
    async def take(self, batch: SampleBatch, letter: Letter) -> SampleReceipt:
        """Store a batch of the sender's site, and pass its live values on.

        Raises: Refused when it is of another site, Unavailable when nothing is stored here.
        """
        if self.intake is None:
            raise Unavailable("samples are not taken here")
        receipt = await self.intake.take(self.agent.surroundings.membership[letter.sender].site, batch)
        self.agent.spawn(self._while_away(self.intake.forward))
        return receipt

    @when("started")
    async def close_intervals(self) -> None:
        """Make readings of the intervals that have ended, at 10 s past each minute."""
        while self.intake is not None:
            turn = (self.clock.now_s() - CLOSING_OFFSET_S) // CLOSING_S + 1
            await self.clock.sleep_until(turn * CLOSING_S + CLOSING_OFFSET_S)
            await self._while_away(self.intake.close_intervals)

    async def _while_away(self, work: Callable[[], Awaitable[int]]) -> None:
        """Do something for the repository; while it is away, what it is to be told waits on disk."""
        try:
            await work()
        except Unavailable:
            self.agent.counts["repository away"] += 1
