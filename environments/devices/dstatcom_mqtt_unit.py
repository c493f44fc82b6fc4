"""The unit's side of a D-STATCOM at an MQTT broker: obeys its topic, and says what it does."""

import asyncio
from collections import Counter
from contextlib import suppress

import structlog

from behaviours.ports import Barrier, Clock
from environments.devices.dstatcom_http import UNITS
from environments.devices.dstatcom_mqtt import OFFLINE, ONLINE, Topics
from environments.devices.dstatcom_unit import GuardedUnit
from environments.wire.frames import write_frame
from environments.wire.mqtt_link import Broker, LastWill, MqttLink, Received
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Unavailable

__all__ = ["MqttUnit"]

log = structlog.get_logger()


class MqttUnit:
    """A unit at a broker: obeys what comes on its topic, and says what it does."""

    def __init__(
        self,
        unit: GuardedUnit,
        broker: Broker,
        network: Clock,
        *,
        pauses: Pauses = USUAL_PAUSES,
        barrier: Barrier | None = None,
    ) -> None:
        """Prepare to connect; a barrier is told of each status that the broker has taken."""
        self._unit, self._barrier = unit, barrier
        self._topics = Topics(broker.place.path, unit.asset_id)
        self._commands: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)
        self._link = MqttLink(
            broker,
            f"{unit.asset_id}-unit",
            network,
            subscribe=[self._topics.of("command")],
            receive=self._receive,
            will=LastWill(self._topics.of("availability"), OFFLINE),
            pauses=pauses,
        )
        self._task: asyncio.Task[None] | None = None
        self._announced = 0
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """What was refused unread; how often the link came and went."""
        return self._counts + self._link.counts

    async def start(self, wait_s: float = 5.0) -> None:
        """Connect, and obey from now on.

        Raises: Unavailable when the broker is not there; the link goes on trying.
        """
        self._task = self._task or asyncio.create_task(self._obey())
        await self._link.start(wait_s)

    async def tell(self) -> None:
        """Publish what the unit does; while there is no connection nobody hears it."""
        status = write_frame(await self._unit.status())
        if self._barrier is not None:
            self._barrier.sent(UNITS)
        try:
            await self._announce()
            await self._link.publish(self._topics.of("status"), status, retain=True)
        except Unavailable:
            if self._barrier is not None:
                self._barrier.handled(UNITS)

    async def close(self) -> None:
        """Say that the unit is gone, and disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        with suppress(Unavailable):
            await self._link.publish(self._topics.of("availability"), OFFLINE, retain=True)
        await self._link.close()

    async def _announce(self) -> None:
        """Say once a connection that the unit is there: the broker has said otherwise when one broke."""
        connections = self._link.counts["connected"]
        if connections > self._announced:
            await self._link.publish(self._topics.of("availability"), ONLINE, retain=True)
            self._announced = connections

    def _receive(self, message: Received) -> None:
        if message.is_retained:
            self._counts["retained commands"] += 1  # from who knows when
        elif self._commands.full():
            self._counts["too many commands"] += 1
        else:
            self._commands.put_nowait(message.payload)

    async def _obey(self) -> None:
        while True:
            answer = await self._unit.take(await self._commands.get())
            try:
                await self._link.publish(self._topics.of("acknowledgement"), write_frame(answer))
                await self.tell()
            except Unavailable as error:
                log.info("D-STATCOM not heard", asset=self._unit.asset_id, why=str(error))
