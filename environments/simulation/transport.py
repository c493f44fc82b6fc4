"""The in-process transport: deterministic, with seeded faults when asked for.

An envelope is immutable and its body is encoded, so it travels as it is: what arrives shares nothing
with its sender but text and bytes, and the receiver's post decodes and validates the body.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

import msgspec
import numpy as np

from ontology.letter import Envelope

__all__ = ["Faults", "InProcessTransport"]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What the network does to letters: delays in seconds, the rest as probabilities from 0 to 1."""

    delay_min_s: float = 0.0
    delay_max_s: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    partition: tuple[frozenset[str], ...] = ()
    """Groups of addresses that cannot reach each other; whoever is in none reaches everybody."""


class InProcessTransport:
    """Carries encoded envelopes between agents of one event loop, in the order sent."""

    def __init__(self, *, faults: Faults | None = None, seed: int = 0) -> None:
        """Carry letters faithfully, or with faults drawn from a seed."""
        self.counts: Counter[str] = Counter()
        self._receivers: dict[str, Callable[[Envelope], None]] = {}
        self._queue: deque[Envelope] = deque()
        self._draining = False
        self._rng = np.random.default_rng([seed, 0xFA17])
        self.faults = faults
        """May be changed during a run, to make and heal a partition."""

    def deliver_to(self, address: str, receive: Callable[[Envelope], None]) -> None:
        """Deliver what arrives for an address to a callable from now on."""
        self._receivers[address] = receive

    def forget(self, address: str) -> None:
        """Deliver nothing to an address any more."""
        self._receivers.pop(address, None)

    def send(self, envelope: Envelope) -> None:
        """Carry an envelope to its receiver after all that was sent before."""
        if self.faults is not None:
            self._send_faulty(envelope, self.faults)
            return
        self._queue.append(envelope)
        if not self._draining:
            self._start_draining()

    def _enqueue(self, envelope: Envelope) -> None:
        self._queue.append(envelope)
        if not self._draining:
            self._start_draining()

    def _start_draining(self) -> None:
        self._draining = True
        asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        """Deliver all that is queued, and what is sent in answer, first come, first served."""
        queue, receivers = self._queue, self._receivers
        try:
            while queue:
                envelope = queue.popleft()
                receive = receivers.get(envelope.to)
                if receive is None:
                    self.counts["undelivered"] += 1
                else:
                    receive(envelope)
        finally:
            self._draining = bool(queue)
            if queue:  # a receiver failed: the others still get their letters
                asyncio.get_running_loop().call_soon(self._drain)

    def _send_faulty(self, envelope: Envelope, faults: Faults) -> None:
        if _separated(envelope.sender, envelope.to, faults) or self._rng.random() < faults.loss:
            self.counts["lost"] += 1
            return
        copies = 2 if self._rng.random() < faults.duplication else 1
        loop = asyncio.get_running_loop()
        for _ in range(copies):
            delay_s = float(self._rng.uniform(faults.delay_min_s, faults.delay_max_s))
            loop.call_later(delay_s, self._enqueue, envelope)


def _separated(one: str, other: str, faults: Faults) -> bool:
    """Tell whether a partition lies between two addresses."""
    sides = [next((i for i, group in enumerate(faults.partition) if a in group), -1) for a in (one, other)]
    return -1 not in sides and sides[0] != sides[1]
