"""A gateway's samples to the information layer by MQTT: batch after batch, each until it has a receipt."""

import asyncio
from collections import Counter

import structlog

from behaviours.ports import Clock
from environments.iml.outbox import SampleOutbox
from environments.iml.topics import SampleTopics
from environments.wire.mqtt_link import Broker, MqttLink, Received
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.codec import decode_body, encode_body, message_type_of
from ontology.errors import NotUnderstood, Unavailable
from ontology.samples import SampleReceipt

__all__ = ["MqttForwarding"]

log = structlog.get_logger()

_RECEIPT = message_type_of(SampleReceipt)


class MqttForwarding:
    """Empties an outbox; what is added wakes it up."""

    def __init__(
        self,
        outbox: SampleOutbox,
        site: str,
        broker: Broker,
        clock: Clock,
        *,
        receipt_s: float = 10.0,
        pauses: Pauses = USUAL_PAUSES,
    ) -> None:
        """Prepare to send.

        Args:
            outbox: what is to be sent.
            site: whose it is; also the account at the broker.
            broker: where; its path is the prefix of topics.
            clock: the machine's time, for pauses.
            receipt_s: how long to wait for a receipt before a batch is sent again.
            pauses: between attempts.
        """
        self._outbox, self._site, self._clock = outbox, site, clock
        self._receipt_s, self._pauses = receipt_s, pauses
        self._topics = SampleTopics(broker.place.path or SampleTopics().prefix)
        self._link = MqttLink(
            broker,
            f"{site}-samples",
            clock,
            subscribe=[self._topics.receipts(site), self._topics.problems(site)],
            receive=self._receive,
            connected=self.wake,
            pauses=pauses,
        )
        self._fresh, self._settled = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """Batches sent and acknowledged, and how often the link came and went."""
        return self._counts + self._link.counts

    def wake(self) -> None:
        """Look into the outbox again: something was added."""
        self._fresh.set()

    async def start(self) -> None:
        """Begin to send; where the broker is away the link goes on trying."""
        self._task = self._task or asyncio.create_task(self._work())
        await self._link.start()

    async def close(self) -> None:
        """Stop; what waits is on disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._link.close()

    async def _work(self) -> None:
        failures = 0
        while True:
            try:
                sent = await self._send_one()
                failures = 0
            except (Unavailable, TimeoutError) as error:
                failures += 1
                self._counts["not acknowledged"] += 1
                log.info("samples wait", site=self._site, why=str(error), failures=failures)
                await self._clock.sleep_until(self._clock.now_s() + self._pauses.after(failures))
                continue
            if not sent:
                await self._fresh.wait()

    async def _send_one(self) -> bool:
        """Send the oldest batch and wait for its receipt; tell whether there was one.

        Raises: Unavailable without a connection, TimeoutError without a receipt.
        """
        self._fresh.clear()
        batch = self._outbox.next_batch()
        if batch is None:
            return False
        self._settled.clear()
        await self._link.publish(self._topics.samples(self._site), encode_body(batch))
        self._counts["batches sent"] += 1
        async with asyncio.timeout(self._receipt_s):
            await self._settled.wait()
        return True

    def _receive(self, message: Received) -> None:
        if message.topic != self._topics.receipts(self._site):
            self._counts["complaints"] += 1
            log.warning(
                "samples not read", site=self._site, why=message.payload[:500].decode(errors="replace")
            )
            return
        try:
            receipt = decode_body(_RECEIPT, message.payload)
        except NotUnderstood:
            self._counts["malformed"] += 1
            return
        if isinstance(receipt, SampleReceipt) and self._outbox.settle(receipt):
            self._counts["batches acknowledged"] += 1
            self._settled.set()
