"""An asyncio event loop on virtual time: it never sleeps, so a day takes as long as its work."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from types import coroutine
from typing import Any, NoReturn

__all__ = ["VirtualLoop"]

_RESOLUTION_S = 1e-6
"""Floats near today's epoch seconds resolve 2.4e-7 s; timers closer than this count as simultaneous."""


class _InstantSelector:
    """Stands where the operating system's selector would wait; moves virtual time on instead."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.skip(timeout)
        return []

    def close(self) -> None:
        """Nothing is held open."""


def eager_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **details: Any
) -> "asyncio.Future[Any]":
    """Run a coroutine at once up to where it first waits, and make a task of the rest, if any is left.

    In virtual time most work never waits, so most tasks are saved.
    """
    if not loop.is_running():
        return asyncio.Task(work, loop=loop, **details)
    try:
        awaited = work.send(None)
    except StopIteration as stop:
        done = loop.create_future()
        done.set_result(stop.value)
        return done
    except asyncio.CancelledError:
        cancelled = loop.create_future()
        cancelled.cancel()
        return cancelled
    except Exception as error:  # what ends the run (Ctrl-C) is raised
        failed = loop.create_future()
        failed.set_exception(error)
        return failed
    return asyncio.Task(_continued(work, awaited), loop=loop, **details)


@coroutine
def _continued(work: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """Drive a coroutine on that has begun and waits for something."""
    while True:
        try:
            value = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            step = partial(work.throw, error)
        else:
            step = partial(work.send, value)
        try:
            awaited = step()
        except StopIteration as stop:
            return stop.value


class _Timer(asyncio.TimerHandle):
    """A call that is due at a time; of those due at the same time, the one first asked for comes first.

    Asyncio leaves that order to its heap; the scaled clock keeps it, and live and offline runs must agree.
    """

    __slots__ = ("_due_s", "_order")
    _scheduled: bool

    def __init__(self, order: int, due_s: float, *call: Any) -> None:
        super().__init__(due_s, *call)
        self._due_s = due_s
        self._order = order

    def __lt__(self, other: Any) -> bool:
        if self._due_s == other._due_s:
            return bool(self._order < other._order)
        return bool(self._due_s < other._due_s)


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in order of virtual time and jumps over the time in which nothing is due.

    It has no input or output and no executor: whatever would really take time has no place in
    virtual time, so ledger and repository complete inline.
    """

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, start_s: float) -> None:
        """Start the virtual clock at an epoch second."""
        super().__init__()
        self._now_s = float(start_s)
        self._horizon_s = float(start_s)
        self._clock_resolution = _RESOLUTION_S
        self._selector = _InstantSelector(self)
        self._timers_set = itertools.count()
        self.set_task_factory(eager_task)  # type: ignore[arg-type]

    def time(self) -> float:
        """Return the virtual time in epoch seconds."""
        return self._now_s

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at an epoch second of virtual time, in the order in which calls were asked for."""
        timer = _Timer(next(self._timers_set), when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def run_until_time(self, horizon_s: float) -> None:
        """Run all that is due before an epoch second, then let it be that second.

        What is due exactly then stays for the next call: the world moves first.
        """
        self._horizon_s = horizon_s
        self.run_forever()
        self._now_s = float(horizon_s)

    def skip(self, timeout_s: float | None) -> None:
        """Move virtual time to the next timer, or stop at the horizon; called when nothing is ready."""
        if timeout_s == 0:
            return
        reachable_s = self._horizon_s - 2 * _RESOLUTION_S
        if timeout_s is None or self._now_s + timeout_s > reachable_s:
            self._now_s = max(self._now_s, reachable_s)
            self.stop()
        else:
            self._now_s += timeout_s

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        """Refuse: a thread's real tenths of a second would cost virtual hours.

        Raises: RuntimeError always.
        """
        raise RuntimeError("virtual time has no threads: complete inline what live code does in an executor")

    def _process_events(self, event_list: list[Any]) -> None:
        """There are never events of the operating system."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake the loop up."""
