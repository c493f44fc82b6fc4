"""Running a host until it is told to end: signals, the service manager's watchdog, a line a minute."""

import asyncio
import signal
from typing import Protocol

from behaviours.ports import Clock
from environments.site.notifying import Supervisor

__all__ = ["Host", "run_host"]

TELL_EVERY_S = 10.0


class Host(Protocol):
    """Something that runs until it is stopped."""

    clock: Clock

    async def start(self) -> None:
        """Bring everything to life."""

    async def stop(self) -> None:
        """Stop everything in order."""

    def summary(self) -> str:
        """Say in one line how it is."""


async def run_host(host: Host, supervisor: Supervisor | None = None) -> None:
    """Run a host until SIGTERM or SIGINT; the watchdog hears of it for as long as its loop turns.

    Raises: as the host's start.
    """
    manager = supervisor or Supervisor()
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    await host.start()
    print("started", flush=True)
    manager.ready(host.summary())
    telling = asyncio.create_task(_tell(host, manager))
    try:
        await ending.wait()
    finally:
        telling.cancel()
        manager.stopping()
        await host.stop()


async def _tell(host: Host, manager: Supervisor) -> None:
    """Feed the watchdog, and print how the host is whenever that has changed."""
    pause_s = min(manager.alive_every_s or TELL_EVERY_S, TELL_EVERY_S)
    said = ""
    while True:
        await host.clock.sleep_until(host.clock.now_s() + pause_s)
        manager.alive(host.summary())
        if host.summary() != said:
            said = host.summary()
            print(said, flush=True)
