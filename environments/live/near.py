"""Letters between agents of one host stay in it: a site goes on when its link is cut."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from behaviours.ports import Link, Transport
from ontology.errors import ParityError
from ontology.letter import Envelope

__all__ = ["NearTransport"]

log = structlog.get_logger()


class FarTransport(Transport, Link, Protocol):
    """Carries letters out of the host, and knows when it can."""


class NearTransport:
    """The Transport and Link ports: what is for an agent of this host is handed over here, the rest goes out.

    Handed over is what would have gone on the wire, an immutable envelope with its encoded body, in order and
    never within the turn of the loop in which it was sent. `counts` tells how many letters stayed (`near`),
    went out (`far`), and found nobody here (`undelivered`).
    """

    def __init__(self, far: FarTransport, here: Callable[[str], bool]) -> None:
        """Stand before another transport.

        Args:
            far: carries what is for others.
            here: tells whether an address is one of this host's.
        """
        self.counts: Counter[str] = Counter()
        self._far, self._here = far, here
        self._receivers: dict[str, Callable[[Envelope], None]] = {}

    def send(self, envelope: Envelope) -> None:
        """Hand an envelope over; returns at once.

        Raises: as the transport behind does, for what goes out.
        """
        if not self._here(envelope.to):
            self.counts["far"] += 1
            self._far.send(envelope)
            return
        self.counts["near"] += 1
        asyncio.get_running_loop().call_soon(self._hand_over, envelope)

    def deliver_to(self, address: str, receive: Callable[[Envelope], None]) -> None:
        """Deliver what arrives for an address to a callable from now on."""
        self._receivers[address] = receive
        self._far.deliver_to(address, receive)

    def forget(self, address: str) -> None:
        """Deliver nothing to an address any more."""
        self._receivers.pop(address, None)
        self._far.forget(address)

    def connected(self, address: str) -> bool:
        """Say yes: those near can be reached always, and what is for others waits behind."""
        return True

    def on_change(self, address: str, changed: Callable[[bool], None]) -> None:
        """Tell from now on when the way out comes (True) or goes (False)."""
        self._far.on_change(address, changed)

    def _hand_over(self, envelope: Envelope) -> None:
        receive = self._receivers.get(envelope.to)
        if receive is None:
            self.counts["undelivered"] += 1
            return
        try:
            receive(envelope)
        except ParityError:
            log.exception("receiver failed", address=envelope.to)
