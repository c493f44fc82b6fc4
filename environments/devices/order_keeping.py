"""Keeping a device to its instructions: in time, again before its watchdog runs out, and given back after."""

import asyncio
from math import inf
from typing import Protocol

import structlog

from behaviours.decisions.orders_in_force import NO_ORDERS, Orders, Wanted, next_change_s, taken, wanted_at
from behaviours.ports import Clock
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.errors import ParityError, Refused, Unavailable

__all__ = ["Actuator", "OrderKeeper"]

log = structlog.get_logger()

_RENEWALS = 3
"""How often an order is given again within the device's watchdog."""
_AGAIN_S = 5.0
_SHORTEST_S = 1.0


class Actuator(Protocol):
    """The part of an adapter that has a device do something."""

    async def obey(self, wanted: Wanted, holds_s: int) -> None:
        """Have the device do what is wanted, and fall back by itself when it is not told again in time.

        Raises: Unavailable when it is away, Refused when it cannot, or does not take it.
        """

    async def release(self) -> None:
        """Give the device back to itself.

        Raises: Unavailable, Refused.
        """


class OrderKeeper:
    """Carries a device's instructions out, and renews them until they are over.

    What cannot be delivered is not kept, but for limits: they are tried again until they are over. Where
    this process dies, nothing is renewed, and the device falls back after its watchdog's time.
    """

    def __init__(self, asset_id: str, actuator: Actuator, clock: Clock, *, watchdog_s: int = 60) -> None:
        """Begin without orders.

        Args:
            asset_id: whom instructions are for; its last part, without the site, will do, too.
            actuator: what has the device obey.
            clock: the agents' time.
            watchdog_s: after which the device falls back when it is not told again.
        """
        self._names = (asset_id, asset_id.partition("-")[2])
        self._actuator, self._clock, self._watchdog_s = actuator, clock, watchdog_s
        self._orders: Orders = NO_ORDERS
        self._turn, self._wake = asyncio.Lock(), asyncio.Event()
        self._due_s, self._looked_s, self._is_held = inf, 0.0, False
        self._task: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> Wanted:
        """What the device is to do now."""
        return wanted_at(self._orders, self._clock.now_s())

    async def instruct(self, told: Instruction) -> InstructionStatus:
        """Take an instruction, have the device obey if it holds now, and say what became of it.

        Raises: Unavailable when the device is away.
        """
        if told.asset_id not in self._names:
            return self._status(told, InstructionState.REJECTED)
        async with self._turn:
            before = self._orders
            self._orders, state = taken(before, told, self._clock.now_s())
            try:
                if state is InstructionState.STARTED:
                    await self._give()
            except Refused as error:
                self._orders, state = before, InstructionState.REJECTED
                log.warning("device does not obey", asset=self._names[0], why=str(error))
            except Unavailable:
                if told.power_min_w is None and told.power_max_w is None:
                    self._orders = before
                raise
            finally:
                self._go_on()
        return self._status(told, state)

    async def close(self) -> None:
        """Stop renewing; the device falls back by itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _give(self) -> None:
        """Have the device do what is wanted now, and note when to tell it again."""
        now_s = self._clock.now_s()
        wanted, self._looked_s = wanted_at(self._orders, now_s), now_s
        self._due_s = now_s + min(_AGAIN_S, self._watchdog_s / _RENEWALS)  # should it fail
        if wanted.is_free:
            if self._is_held:
                await self._actuator.release()
            self._is_held, self._due_s = False, inf
            return
        self._is_held = True
        await self._actuator.obey(wanted, self._watchdog_s)
        self._due_s = now_s + max(_SHORTEST_S, self._watchdog_s / _RENEWALS)

    def _go_on(self) -> None:
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Tell the device again in time, and when something begins or ends."""
        while True:
            now_s = self._clock.now_s()
            due_s = min(self._due_s, next_change_s(self._orders, self._looked_s))
            if due_s > now_s:
                await self._sleep(due_s)
                continue
            async with self._turn:
                try:
                    await self._give()
                except ParityError as error:
                    log.warning("device not told again", asset=self._names[0], why=str(error))

    async def _sleep(self, until_s: float) -> None:
        """Wait until a time, or until something has changed."""
        timer = self._clock.call_at(until_s, self._wake.set) if until_s < inf else None
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    def _status(self, told: Instruction, state: InstructionState) -> InstructionStatus:
        return InstructionStatus(
            instruction_id=told.instruction_id, status=state, time_s=int(self._clock.now_s())
        )
