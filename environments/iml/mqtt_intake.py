"""Samples by MQTT: batches come from the sites' gateways, and a receipt goes back when a batch is on disk.

The broker's own acknowledgement says only that the broker has a batch, so nobody relies on it: a gateway
sends a batch again until it has the receipt.
"""

import asyncio
from collections import Counter

import msgspec
import structlog

from behaviours.ports import Clock, SampleIntake
from environments.iml.topics import SampleTopics
from environments.wire.mqtt_link import Broker, MqttLink, Received
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.codec import decode_body, encode_body, message_type_of
from ontology.errors import NotUnderstood, ParityError, Problem, Unavailable
from ontology.samples import SampleBatch

__all__ = ["MqttIntake"]

log = structlog.get_logger()

_BATCH = message_type_of(SampleBatch)
_WAITING = 1_000
"""Batches in memory; more are let go, for their gateways send them again."""


class MqttIntake:
    """Hands what gateways publish to the pipeline, in the order in which it came."""

    def __init__(
        self,
        intake: SampleIntake,
        broker: Broker,
        clock: Clock,
        *,
        name: str = "iml",
        pauses: Pauses = USUAL_PAUSES,
    ) -> None:
        """Prepare to listen.

        Args:
            intake: takes the batches.
            broker: where; its path is the prefix of topics.
            clock: the machine's time, for pauses.
            name: the client's, unique at the broker.
            pauses: between attempts to connect.
        """
        self._intake = intake
        self._topics = SampleTopics(broker.place.path or SampleTopics().prefix)
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(maxsize=_WAITING)
        self._link = MqttLink(
            broker, name, clock, subscribe=[self._topics.samples()], receive=self._receive, pauses=pauses
        )
        self._task: asyncio.Task[None] | None = None
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """What was taken, malformed, refused or let go; how often the link came and went."""
        return self._counts + self._link.counts

    async def start(self, wait_s: float = 5.0) -> None:
        """Listen from now on.

        Raises: Unavailable when the broker is not there; the link goes on trying.
        """
        self._task = self._task or asyncio.create_task(self._work())
        await self._link.start(wait_s)

    async def close(self) -> None:
        """Stop listening."""
        await self._link.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _receive(self, message: Received) -> None:
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self._counts["let go"] += 1

    async def _work(self) -> None:
        while True:
            message = await self._waiting.get()
            try:
                await self._take(self._topics.site_of(message.topic), message.payload)
            except Unavailable as error:
                self._counts["unavailable"] += 1
                log.warning("samples not taken; they come again", why=str(error))
            except Exception:
                self._counts["errors"] += 1
                log.exception("samples not taken")

    async def _take(self, site: str, payload: bytes) -> None:
        try:
            batch = decode_body(_BATCH, payload)
            assert isinstance(batch, SampleBatch)
            receipt = await self._intake.take(site, batch)
        except NotUnderstood as error:
            self._counts["malformed"] += 1
            await self._complain(site, error.problems)
        except Unavailable:
            raise
        except ParityError as error:
            self._counts["refused"] += 1
            await self._complain(site, (Problem("site", site, str(error)),))
        else:
            self._counts["batches"] += 1
            self._counts["samples"] += receipt.stored
            await self._link.publish(self._topics.receipts(site), encode_body(receipt))

    async def _complain(self, site: str, problems: tuple[Problem, ...]) -> None:
        await self._link.publish(self._topics.problems(site), msgspec.json.encode({"problems": problems}))
