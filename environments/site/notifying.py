"""What a service tells systemd: that it is ready, that it lives, what it does (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping

__all__ = ["Supervisor"]


class Supervisor:
    """The service manager that started this process, if one did; without one, nothing is told."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Find the manager's socket and how often it wants to hear."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._period_us = int(environment.get("WATCHDOG_USEC", "0") or 0)

    @property
    def alive_every_s(self) -> float:
        """How often to tell that one lives: twice within the watchdog's patience; 0 is never."""
        return self._period_us / 2e6

    def ready(self, said: str) -> None:
        """Tell that all is up."""
        self._tell(f"READY=1\nSTATUS={said}")

    def alive(self, said: str = "") -> None:
        """Tell that the loop turns."""
        self._tell("WATCHDOG=1" + (f"\nSTATUS={said}" if said else ""))

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            try:
                way.connect(address)
                way.sendall(message.encode())
            except OSError:
                return
