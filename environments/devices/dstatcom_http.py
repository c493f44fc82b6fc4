"""A D-STATCOM over HTTP: the port `PhaseCompensator`."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from behaviours.ports import Barrier, Clock
from environments.devices.dstatcom_commands import USUAL_TERMS, CommandBook, CommandTerms, accepted
from environments.devices.dstatcom_frames import AcknowledgementFrame, CommandFrame, percepts_from
from environments.wire.frames import frame_of, write_frame
from environments.wire.http_link import HttpLink, Reply, Service, held
from environments.wire.pauses import Pauses
from ontology.base import Concept
from ontology.errors import InvalidInput, ParityError, Refused, Unavailable
from ontology.grid import DstatcomCommand

__all__ = ["UNITS", "HttpDstatcom"]

log = structlog.get_logger()

UNITS = "dstatcom-units"
"""What a scaled clock knows the wait for units by."""
_BRIEF = Pauses(first_s=0.2, factor=2, longest_s=10)


class HttpDstatcom:
    """A unit at an address: `GET …/status`, and `POST …/commands`, which answers with the acknowledgement.

    The command in force is given again before it runs out, and one that was not delivered as long as it is
    the last, each time that the state is asked for: an agent that asks no more lets the unit fall back.
    """

    def __init__(
        self,
        asset_id: str,
        service: Service,
        clock: Clock,
        network: Clock,
        *,
        terms: CommandTerms = USUAL_TERMS,
        barrier: Barrier | None = None,
    ) -> None:
        """Prepare to command a unit; `clock` stamps commands, `network` is the machine's time."""
        self.asset_id = asset_id
        self._link = HttpLink(service, network, pauses=_BRIEF, answer_s=terms.answer_s)
        self._book, self._attempts, self._barrier = CommandBook(clock, terms), terms.attempts, barrier
        self._turn = asyncio.Lock()
        self.counts: Counter[str] = Counter()

    async def percepts(self) -> Sequence[Concept]:
        """Return the unit's state, and what it measures at the head of its feeder where it does.

        Raises: Unavailable when the unit does not answer, does not take the token, or says something else.
        """
        async with held(self._barrier, UNITS), self._turn:
            await self._renew()
            try:
                reply = await self._link.get("status")
            except Refused as error:
                raise Unavailable(str(error)) from error
        try:
            return percepts_from(reply.content, self.asset_id)
        except InvalidInput as error:
            self.counts["malformed"] += 1
            raise Unavailable(f"{self.asset_id} answers with status {reply.status}: {error}") from error

    async def command(self, command: DstatcomCommand) -> None:
        """Command the unit, and return when it has acknowledged.

        Raises: Unavailable when it does not, Refused when it says that it will not.
        """
        async with held(self._barrier, UNITS), self._turn:
            await self._give(self._book.wanted(command))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._link.close()

    async def _renew(self) -> None:
        frame = self._book.due()
        if frame is None:
            return
        try:
            await self._give(frame)
            self.counts["renewed"] += 1
        except ParityError as error:
            log.warning("D-STATCOM command not renewed", asset=self.asset_id, why=str(error))

    async def _give(self, frame: CommandFrame) -> None:
        reply = await self._posted(frame)
        try:
            answer = frame_of(AcknowledgementFrame, reply.content)
        except InvalidInput as error:
            raise Unavailable(f"{self.asset_id} answers with status {reply.status}: {error}") from error
        try:
            accepted(answer)
        except Refused:
            self._book.refused()
            self.counts["refused"] += 1
            raise
        self._book.delivered()
        self.counts["acknowledged"] += 1

    async def _posted(self, frame: CommandFrame) -> Reply:
        """Post a command again, with the same id, where no answer comes.

        Raises: Unavailable after the last attempt.
        """
        for left in reversed(range(self._attempts)):
            try:
                return await self._link.post("commands", write_frame(frame))
            except Unavailable:
                self.counts["not answered"] += 1
                if not left:
                    raise
                await self._link.pause()
        raise AssertionError("there is at least one attempt")
