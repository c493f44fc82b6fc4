"""A D-STATCOM over MQTT: the port `PhaseCompensator`.

```
PREFIX/ASSET/status           from the unit, each second and after each command; retained
PREFIX/ASSET/command          to the unit; never retained
PREFIX/ASSET/acknowledgement  from the unit, one for each command
PREFIX/ASSET/availability     from the unit `online`, from the broker `offline` when it is gone; retained
```
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from behaviours.ports import Barrier, Clock
from environments.devices.dstatcom_commands import USUAL_TERMS, CommandBook, CommandTerms, accepted
from environments.devices.dstatcom_frames import AcknowledgementFrame, CommandFrame, percepts_from
from environments.devices.dstatcom_http import UNITS
from environments.wire.frames import read_frame, write_frame
from environments.wire.http_link import held
from environments.wire.mqtt_link import Broker, MqttLink, Received
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.base import Concept
from ontology.errors import InvalidInput, ParityError, Refused, Unavailable
from ontology.grid import DstatcomCommand

__all__ = ["OFFLINE", "ONLINE", "MqttDstatcom", "Topics"]

log = structlog.get_logger()

ONLINE, OFFLINE = b"online", b"offline"


class Topics(NamedTuple):
    """The topics of a unit, below a prefix."""

    prefix: str
    asset_id: str

    def of(self, what: str) -> str:
        """Return a unit's topic."""
        return "/".join(part for part in (self.prefix, self.asset_id, what) if part)


class MqttDstatcom:
    """A unit at a broker; what it does is what it said last, unless that was too long ago.

    The command in force is given again before it runs out, and one that was not delivered as long as it is
    the last, each time that the state is asked for.
    """

    def __init__(
        self,
        asset_id: str,
        broker: Broker,
        name: str,
        clock: Clock,
        network: Clock,
        *,
        terms: CommandTerms = USUAL_TERMS,
        silent_s: float = 10.0,
        pauses: Pauses = USUAL_PAUSES,
        barrier: Barrier | None = None,
    ) -> None:
        """Prepare to command a unit.

        Args:
            asset_id: the unit.
            broker: where; its path is the prefix of topics.
            name: the client's, unique at the broker.
            clock: stamps commands.
            network: the machine's time.
            terms: of commands.
            silent_s: of the machine's time; who has said nothing for so long is not there. 0 is any time.
            pauses: between attempts to connect.
            barrier: is told of each status that has come.
        """
        self.asset_id = asset_id
        self._topics, self._terms = Topics(broker.place.path, asset_id), terms
        self._network, self._silent_s, self._barrier = network, silent_s, barrier
        self._book, self._turn = CommandBook(clock, terms), asyncio.Lock()
        self._percepts: list[Concept] = []
        self._heard_s = 0.0
        self._is_offline = False
        self._answers: dict[str, asyncio.Future[AcknowledgementFrame]] = {}
        heard = [self._topics.of(what) for what in ("status", "acknowledgement", "availability")]
        self._link = MqttLink(broker, name, network, subscribe=heard, receive=self._receive, pauses=pauses)
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """What was acknowledged and renewed, and what was not; how often the link came and went."""
        return self._counts + self._link.counts

    async def start(self, wait_s: float = 5.0) -> None:
        """Begin to listen; where the broker is away the link goes on trying."""
        try:
            await self._link.start(wait_s)
        except Unavailable:
            self._counts["late connections"] += 1

    async def percepts(self) -> Sequence[Concept]:
        """Return the unit's state, and what it measures at the head of its feeder where it does.

        Raises: Unavailable when unit or broker is offline, or the unit has said nothing for too long.
        """
        async with held(self._barrier, UNITS), self._turn:
            await self._renew()
        if not self._link.is_up:
            raise Unavailable(f"the broker of {self.asset_id}: {self._link.why_down}")
        if self._is_offline or not self._percepts:
            raise Unavailable(f"{self.asset_id} is {'offline' if self._is_offline else 'not heard yet'}")
        silent_s = self._network.now_s() - self._heard_s
        if self._silent_s and silent_s > self._silent_s:
            raise Unavailable(f"{self.asset_id} has been silent for {silent_s:.0f} s")
        return list(self._percepts)

    async def command(self, command: DstatcomCommand) -> None:
        """Command the unit, and return when it has acknowledged.

        Raises: Unavailable when it does not, Refused when it says that it will not.
        """
        async with held(self._barrier, UNITS), self._turn:
            await self._give(self._book.wanted(command))

    async def close(self) -> None:
        """Disconnect."""
        await self._link.close()

    async def _renew(self) -> None:
        frame = self._book.due()
        if frame is None:
            return
        try:
            await self._give(frame)
            self._counts["renewed"] += 1
        except ParityError as error:
            log.warning("D-STATCOM command not renewed", asset=self.asset_id, why=str(error))

    async def _give(self, frame: CommandFrame) -> None:
        for _ in range(self._terms.attempts):
            answer = await self._attempt(frame)
            if answer is not None:
                break
            self._counts["not answered"] += 1
        else:
            raise Unavailable(f"{self.asset_id} does not acknowledge")
        try:
            accepted(answer)
        except Refused:
            self._book.refused()
            self._counts["refused"] += 1
            raise
        self._book.delivered()
        self._counts["acknowledged"] += 1

    async def _attempt(self, frame: CommandFrame) -> AcknowledgementFrame | None:
        """Publish a command; return its acknowledgement, or None when none comes in time.

        Raises: Unavailable when there is no connection.
        """
        answer = self._answers.setdefault(frame.id, asyncio.get_running_loop().create_future())
        try:
            await self._link.publish(self._topics.of("command"), write_frame(frame))
            return await asyncio.wait_for(answer, self._terms.answer_s)
        except TimeoutError:
            return None
        finally:
            self._answers.pop(frame.id, None)

    def _receive(self, message: Received) -> None:
        match message.topic.rpartition("/")[2]:
            case "availability":
                self._is_offline = message.payload == OFFLINE
            case "acknowledgement":
                self._acknowledge(message.payload)
            case "status":
                self._note(message)

    def _acknowledge(self, raw: bytes) -> None:
        try:
            answer = read_frame(AcknowledgementFrame, raw)
        except InvalidInput as error:
            self._reject(error)
            return
        waiting = self._answers.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _note(self, message: Received) -> None:
        try:
            self._percepts = percepts_from(message.payload, self.asset_id)
            self._heard_s = self._network.now_s()
        except InvalidInput as error:
            self._reject(error)
        finally:
            if self._barrier is not None and not message.is_retained:
                self._barrier.handled(UNITS)

    def _reject(self, error: InvalidInput) -> None:
        self._counts["malformed"] += 1
        if self._counts["malformed"] <= 20:
            log.warning("frame of a D-STATCOM not taken", asset=self.asset_id, found=str(error))
