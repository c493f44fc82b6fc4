"""Stopping a run at the request of its user, where nothing is half done."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from launch.run_folder import Progress

__all__ = ["stop_between_intervals", "stop_the_loop"]

Report = Callable[[Progress], None]
Handler = Callable[[int, FrameType | None], object]


@contextmanager
def stop_between_intervals(report: Report) -> Iterator[Report]:
    """Yield a report that raises KeyboardInterrupt once a stop was asked for; asking twice stops at once.

    A KeyboardInterrupt anywhere else would strike inside some agent's handler and count as its failure.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True
        print("stopping after this interval; again to stop at once", file=sys.stderr)

    def stoppable(progress: Progress) -> None:
        report(progress)
        if asked:
            raise KeyboardInterrupt

    with _handling(ask):
        yield stoppable


@contextmanager
def stop_the_loop() -> Iterator[None]:
    """Let a termination do what Ctrl-C does: asyncio cancels the run, which then saves what there is."""
    previous = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _handling(handler: Handler) -> Iterator[None]:
    """Handle Ctrl-C (unless it is ignored, as in the background of a shell) and termination."""
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.append(signal.SIGINT)
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in previous.items():
            signal.signal(number, earlier)
