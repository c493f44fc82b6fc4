"""Keeps the pipeline going: live values at once, intervals each minute, and again what could not be told."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from behaviours.ports import Clock, SampleIntake
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Unavailable
from ontology.samples import SampleBatch, SampleReceipt

__all__ = ["LayerService"]

log = structlog.get_logger()

CLOSING_S, CLOSING_OFFSET_S = 60, 10
"""Intervals are made at 10 s past each minute."""


class LayerService:
    """The `SampleIntake` port by itself: what is taken goes on without anybody asking."""

    def __init__(self, pipeline: SampleIntake, clock: Clock, *, pauses: Pauses = USUAL_PAUSES) -> None:
        """Prepare; nothing is told the repository before the start."""
        self._pipeline, self._clock, self._pauses = pipeline, clock, pauses
        self._fresh = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.counts: Counter[str] = Counter()

    async def take(self, site: str, batch: SampleBatch) -> SampleReceipt:
        """Store a batch, and let the repository hear of it soon."""
        receipt = await self._pipeline.take(site, batch)
        self._fresh.set()
        return receipt

    async def forward(self) -> int:
        """Tell the repository what it does not have yet."""
        return await self._pipeline.forward()

    async def close_intervals(self) -> int:
        """Make the intervals that have ended."""
        return await self._pipeline.close_intervals()

    def start(self) -> None:
        """Begin."""
        self._fresh.set()
        self._tasks = [asyncio.create_task(work) for work in (self._forward(), self._close_intervals())]

    async def stop(self) -> None:
        """End; what was taken is on disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self) -> None:
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            await self._insist(self._pipeline.forward)

    async def _close_intervals(self) -> None:
        while True:
            await self._insist(self._pipeline.close_intervals)
            now_s = self._clock.now_s()
            turn = (now_s - CLOSING_OFFSET_S) // CLOSING_S + 1
            await self._clock.sleep_until(turn * CLOSING_S + CLOSING_OFFSET_S)

    async def _insist(self, work: Callable[[], Awaitable[int]]) -> None:
        """Do something until the repository is there."""
        failures = 0
        while True:
            try:
                await work()
                return
            except Unavailable as error:
                failures += 1
                self.counts["repository away"] += 1
                log.warning("repository away; what it is to be told waits", why=str(error))
                await self._clock.sleep_until(self._clock.now_s() + self._pauses.after(failures))
