"""A gateway's samples on their way to the information layer by letter, each batch until it has a receipt."""

from behaviours.behaviour import Behaviour, when
from behaviours.ports import SampleSource
from behaviours.site.metering import GatewaySettings
from ontology.errors import ParityError
from ontology.samples import SampleReceipt

__all__ = ["SampleSending"]

LOOK_S = 5
"""How often an empty outbox is looked into."""
RECEIPT_S = 10
LONGEST_PAUSE_S = 60


class SampleSending(Behaviour):
    """Empties the outbox that the gateway was handed; without one there is nothing to send."""

    settings: GatewaySettings

    @when("started")
    async def send(self) -> None:
        """Send batch after batch; one that is not acknowledged comes again, after growing pauses."""
        outbox, pause_s = self.agent.surroundings.outbox, LOOK_S
        while outbox is not None:
            if await self._send_one(outbox):
                pause_s = LOOK_S
                continue
            await self.clock.sleep_until(self.clock.now_s() + pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s) if outbox.count() else LOOK_S

    async def _send_one(self, outbox: SampleSource) -> bool:
        """Send the oldest batch; tell whether there was one and it was acknowledged."""
        batch = outbox.next_batch()
        if batch is None:
            return False
        try:
            receipt = await self.ask(
                self.settings.contacts.repository, batch, SampleReceipt, within_s=RECEIPT_S
            )
        except ParityError:
            self.agent.counts["samples not acknowledged"] += 1
            return False
        return outbox.settle(receipt)
