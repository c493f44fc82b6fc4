"""Clocks: virtual, scaled with a barrier, and the wall's own; each implements the `Clock` port.

The scaled clock moves on only at a barrier: every letter that was sent has been handled and no task
is ready. So the latency of a network never carries a decision into another interval, and a
demonstration settles exactly what the offline run of the same scenario settles.
"""

import asyncio
import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from math import inf

import structlog

from behaviours.ports import Cancellable
from environments.simulation.loop import VirtualLoop

__all__ = ["ScaledClock", "VirtualClock", "WallClock"]

log = structlog.get_logger()

_TURNS_MIN, _TURNS_MAX = 3, 10_000
"""Turns of the loop that a barrier takes: the least lets sockets be read, the most is for tasks that spin."""


class VirtualClock:
    """Virtual time: the clock of offline runs, read from the loop that skips idle time."""

    def __init__(self, loop: VirtualLoop) -> None:
        """Read time from a virtual loop."""
        self._loop = loop

    def now_s(self) -> float:
        """Return virtual epoch seconds."""
        return self._loop.time()

    def call_at(self, when_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back at a virtual epoch second."""
        return self._loop.call_at(when_s, callback)

    async def sleep_until(self, when_s: float) -> None:
        """Return at a virtual epoch second."""
        await _reached(self, when_s)

    def advance_to(self, when_s: float) -> None:
        """Run all that is due before an epoch second, then let it be that second."""
        self._loop.run_until_time(when_s)


class WallClock:
    """The real time; what pilots run on."""

    def now_s(self) -> float:
        """Return the machine's epoch seconds."""
        return time.time()  # noqa: TID251 - this is the clock

    def call_at(self, when_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back at an epoch second of the machine's clock."""
        return asyncio.get_running_loop().call_later(max(0.0, when_s - self.now_s()), callback)

    async def sleep_until(self, when_s: float) -> None:
        """Return at an epoch second of the machine's clock."""
        await _reached(self, when_s)


class _Timer:
    """A callback waiting in a scaled clock."""

    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ScaledClock:
    """Scenario time that advances at a pace of its own, and only at the barrier."""

    def __init__(
        self, start_s: float, *, real_seconds_an_interval: float = 0.0, patience_s: float = 10.0
    ) -> None:
        """Start at an epoch second.

        Args:
            start_s: first epoch second.
            real_seconds_an_interval: least real duration of 900 scenario seconds; 0 is as fast as letters go.
            patience_s: real seconds that the barrier waits for a letter before it gives it up as missed.
        """
        self._now_s = float(start_s)
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()
        self._alive: set[str] = set()
        self._in_flight: Counter[str] = Counter()
        self._activity = 0
        self._changed: asyncio.Event | None = None
        self._pace = real_seconds_an_interval / 900
        self._patience_s = patience_s
        self.missed = 0
        """Letters that were given up on; a run with any is not comparable with an offline one."""

    def now_s(self) -> float:
        """Return scenario epoch seconds."""
        return self._now_s

    def call_at(self, when_s: float, callback: Callable[[], object]) -> Cancellable:
        """Call back at a scenario epoch second."""
        timer = _Timer(callback)
        heapq.heappush(self._timers, (when_s, next(self._order), timer))
        return timer

    async def sleep_until(self, when_s: float) -> None:
        """Return at a scenario epoch second."""
        await _reached(self, when_s)

    def sent(self, to: str) -> None:
        """Note a letter on its way; only those to an address that lives here are waited for."""
        self._activity += 1
        if to in self._alive:
            self._in_flight[to] += 1

    def handled(self, to: str) -> None:
        """Note that a letter to an address has been dealt with."""
        self._activity += 1
        left = self._in_flight.get(to, 0) - 1
        if left > 0:
            self._in_flight[to] = left
        else:
            self._in_flight.pop(to, None)
        if not self._in_flight and self._changed is not None:
            self._changed.set()

    def on_their_way(self, address: str) -> int:
        """Return how many letters to an address here have not been dealt with."""
        return self._in_flight.get(address, 0)

    def expect(self, address: str) -> None:
        """Wait for letters to an address from now on."""
        self._alive.add(address)

    def forget(self, address: str) -> None:
        """Wait no longer for letters to an address that has died."""
        self._alive.discard(address)
        self._in_flight.pop(address, None)
        if not self._in_flight and self._changed is not None:
            self._changed.set()

    async def advance_to(self, when_s: float) -> None:
        """Let everything happen that is due before an epoch second, barrier by barrier."""
        await self.quiescence()
        while (due_s := await self.next_due(min(self._next_timer_s(), when_s))) < when_s:
            await self._pass(due_s)
            while self._timers and self._timers[0][0] <= due_s:
                timer = heapq.heappop(self._timers)[2]
                if not timer.cancelled:
                    timer.callback()
            await self.quiescence()
        await self._pass(when_s)

    async def next_due(self, due_s: float) -> float:
        """Return when the next thing happens, given when the next happens here."""
        return due_s

    def _next_timer_s(self) -> float:
        """Return when the next timer is due; never, when there is none."""
        return max(self._timers[0][0], self._now_s) if self._timers else inf

    async def quiescence(self) -> None:
        """Return when no letter is on its way and no task is ready."""
        while True:
            before = self._activity
            if self._in_flight:
                await self._wait_for_letters()
            await _let_ready_tasks_run()
            if not self._in_flight and self._activity == before:
                return

    async def _wait_for_letters(self) -> None:
        self._changed = asyncio.Event()
        try:
            await asyncio.wait_for(self._changed.wait(), self._patience_s)
        except TimeoutError:
            self.missed += self._in_flight.total()
            log.warning("deadline missed: letters given up", to=sorted(self._in_flight))
            self._in_flight.clear()

    async def _pass(self, when_s: float) -> None:
        """Let scenario time become an epoch second, at the pace."""
        real_s = (when_s - self._now_s) * self._pace
        self._now_s = max(self._now_s, float(when_s))
        if real_s > 0:
            await asyncio.sleep(real_s)  # noqa: TID251 - the clock is what turns real time into scenario time


async def _let_ready_tasks_run() -> None:
    """Return when no task is ready any more, or after very many turns of the loop."""
    ready = getattr(asyncio.get_running_loop(), "_ready", ())
    for turn in range(_TURNS_MAX):
        if turn >= _TURNS_MIN and not ready:
            return
        await asyncio.sleep(0)  # noqa: TID251 - lets ready tasks run, passes no time


async def _reached(clock: VirtualClock | ScaledClock | WallClock, when_s: float) -> None:
    """Return when a clock has reached an epoch second."""
    if when_s <= clock.now_s():
        return
    reached = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not reached.done():
            reached.set_result(None)

    timer = clock.call_at(when_s, wake)
    try:
        await reached
    finally:
        timer.cancel()
