"""The Transport port over one connection for thousands of agents: an external component (XEP-0114).

Each agent has an address of its own in the component's domain, visible to every other XMPP client;
the server routes letters between them, so they take the wire like any other.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from xml.etree.ElementTree import Element

import numpy as np
import structlog
from slixmpp.componentxmpp import ComponentXMPP

from environments.live.stanzas import Stanza, read_stanza, write_compact_stanza, write_stanza
from ontology.codec import from_fipa, to_fipa
from ontology.errors import NotUnderstood, Unavailable
from ontology.letter import Envelope

__all__ = ["Component", "PopulationTransport"]

log = structlog.get_logger()

_NAMESPACE = "jabber:component:accept"
_MESSAGE = f"{{{_NAMESPACE}}}message"
_CLIENT_MESSAGE = "{jabber:client}message"
_RETRY_MIN_S, _RETRY_MAX_S = 0.2, 30.0


class Component:
    """Where a server takes a component, which domain that serves, and the secret that they share."""

    def __init__(self, host: str, port: int, domain: str, secret: str) -> None:
        """Name the server's component port and the component's domain."""
        self.host, self.port, self.domain = host, port, domain
        self._secret = secret

    def __repr__(self) -> str:
        return f"{self.domain} at {self.host}:{self.port}"

    def stream(self) -> "_Stream":
        """Return a stream to the server, not connected."""
        return _Stream(self.domain, self._secret, self.host, self.port)


class PopulationTransport:
    """Carries envelopes for all agents of a component's domain over one connection.

    Receivers are addresses of the server's own domains; which, is told as `reachable`. While the
    connection is away, letters wait (as many as `outbox_max`; beyond, the oldest is dropped) and leave
    in order when it is back. `counts` are those of `XmppTransport`.
    """

    def __init__(
        self,
        component: Component,
        *,
        populations: tuple[str, ...] = (),
        reachable: tuple[str, ...] = (),
        seed: int = 0,
        outbox_max: int = 200_000,
        start_timeout_s: float = 20.0,
    ) -> None:
        """Prepare to connect.

        Args:
            component: server, domain and secret.
            populations: domains of other populations, such as other shards.
            reachable: further domains that letters may go to, such as that of ordinary clients.
            seed: of the jitter with which a lost connection is tried again.
            outbox_max: letters that wait for the connection.
            start_timeout_s: real seconds within which the server must take the component.
        """
        self.counts: Counter[str] = Counter()
        self._component = component
        self._populations = frozenset({component.domain, *populations})
        self._domains = self._populations | frozenset(reachable)
        self._rng = np.random.default_rng([seed, 114])
        self._outbox_max = outbox_max
        self._start_timeout_s = start_timeout_s
        self._receivers: dict[str, Callable[[Envelope], None]] = {}
        self._outbox: deque[str] = deque()
        self._leaving = False
        self._running = False
        self._stream: _Stream | None = None
        self._wait_s = _RETRY_MIN_S

    # -------------------------------------------------------------------------------------- the port

    def send(self, envelope: Envelope) -> None:
        """Hand an envelope over; it leaves at the end of this turn of the loop.

        Raises: Unavailable when the sender is not of this domain or the receiver's cannot be reached,
        InvalidInput when the envelope cannot be written as XML.
        """
        if domain_of(envelope.sender) != self._component.domain:
            raise Unavailable(f"{envelope.sender} is not connected here")
        domain = domain_of(envelope.to)
        if domain not in self._domains:
            raise Unavailable(f"{envelope.to} is outside {sorted(self._domains)}: the letter stays here")
        metadata, body = to_fipa(envelope)
        if domain in self._populations:
            stanza = write_compact_stanza(envelope.to, envelope.message_id, metadata, body)
        else:
            stanza = write_stanza(envelope.to, envelope.message_id, envelope.conversation, metadata, body)
        if len(self._outbox) >= self._outbox_max:
            self._outbox.popleft()
            self.counts["dropped"] += 1
        self._outbox.append(f'<message from="{envelope.sender}"{stanza[len("<message") :]}')
        self._release_soon()

    def deliver_to(self, address: str, receive: Callable[[Envelope], None]) -> None:
        """Deliver what arrives for an address to a callable from now on."""
        self._receivers[address] = receive

    def forget(self, address: str) -> None:
        """Deliver nothing to an address any more."""
        self._receivers.pop(address, None)

    # ------------------------------------------------------------------------------- the connection

    @property
    def connected(self) -> bool:
        """Whether the server takes letters at this moment."""
        return self._stream is not None and self._stream.sessionstarted and self._stream.transport is not None

    async def connect(self) -> None:
        """Connect, and stay connected.

        Raises: Unavailable naming server and cause when the server does not take the component in time.
        """
        self._running = True
        try:
            await asyncio.wait_for(self._open(), self._start_timeout_s)
        except TimeoutError:
            await self.stop_all()
            raise Unavailable(f"{self._component!r}: no answer in {self._start_timeout_s:g} s") from None
        except Unavailable:
            await self.stop_all()
            raise

    async def start(self, address: str, password: str = "") -> None:
        """Do nothing: an address of the component is there as soon as somebody listens."""

    def kill(self, address: str) -> None:
        """Let an address fall silent, as a crash would."""
        self.forget(address)

    async def stop_all(self) -> None:
        """Disconnect after the letters have left."""
        self._running = False
        stream, self._stream = self._stream, None
        if stream is not None:
            if stream.sessionstarted and stream.transport is not None and self._outbox:
                stream.send_raw("".join(self._outbox))
                self._outbox.clear()
            stream.close()

    async def _open(self) -> None:
        """Bring up a stream and wait until the server has taken it, or says why not."""
        stream = self._stream = self._component.stream()
        stream.on_message = self._arrive
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def refuse(error: object) -> None:
            if not taken.done():
                condition = error["condition"] if hasattr(error, "xml") else str(error)  # type: ignore[index]
                why = "the secret was refused" if condition == "not-authorized" else str(condition)
                taken.set_exception(Unavailable(f"{self._component!r}: {why}"))

        def accept(_: object) -> None:
            if not taken.done():
                taken.set_result(None)

        stream.add_event_handler("session_start", accept)
        stream.add_event_handler("stream_error", refuse)
        stream.add_event_handler("connection_failed", refuse)
        stream.add_event_handler("disconnected", lambda why: self._lost(stream, refuse, why))
        stream.connect()
        await taken
        self._wait_s = _RETRY_MIN_S
        log.info("component connected", component=repr(self._component))
        self._release_soon()

    def _lost(self, stream: "_Stream", refuse: Callable[[object], None], why: object) -> None:
        """Connect again in a while, unless the connection never stood or was closed from here."""
        stood = stream.sessionstarted
        stream.sessionstarted = False
        refuse(f"the connection was closed: {why}")
        if stood and self._running and stream is self._stream:
            self._stream = None
            log.warning("component disconnected", component=repr(self._component), why=str(why))
            self._again = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        while self._running and not self.connected:
            wait_s = self._wait_s * float(self._rng.uniform(0.5, 1.5))
            self._wait_s = min(2 * self._wait_s, _RETRY_MAX_S)
            await asyncio.sleep(wait_s)  # noqa: TID251 - a lost connection is tried again in real time
            try:
                await asyncio.wait_for(self._open(), self._start_timeout_s)
            except (Unavailable, TimeoutError, OSError):
                stream, self._stream = self._stream, None
                if stream is not None:
                    stream.close()

    # ---------------------------------------------------------------------------------------- going out

    def _release_soon(self) -> None:
        if self._outbox and not self._leaving and self.connected:
            self._leaving = True
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        """Write what waits in one go."""
        self._leaving = False
        if self.connected and self._outbox and self._stream is not None:
            self._stream.send_raw("".join(self._outbox))
            self.counts["sent"] += len(self._outbox)
            self._outbox.clear()

    # ---------------------------------------------------------------------------------------- coming in

    def _arrive(self, message: Element) -> None:
        address = message.attrib.get("to", "").partition("/")[0]
        stanza = read_stanza(message, _NAMESPACE)
        if stanza.kind == "error":
            self.counts["bounced"] += 1
            return
        receive = self._receivers.get(address)
        if receive is None:
            self.counts["undelivered"] += 1
            return
        envelope = self._read(address, stanza)
        if envelope is None:
            return
        self.counts["received"] += 1
        try:
            receive(envelope)
        except Exception:
            self.counts["failed"] += 1
            log.exception("receiver failed", address=address, conversation=envelope.conversation)

    def _read(self, address: str, stanza: Stanza) -> Envelope | None:
        try:
            return from_fipa(stanza.sender, address, stanza.thread, stanza.metadata or {}, stanza.body)
        except NotUnderstood as error:
            self.counts["malformed"] += 1
            log.info("malformed letter", address=address, sender=stanza.sender, problems=str(error))
            return None


class _Stream(ComponentXMPP):  # type: ignore[misc]
    """A component's stream that hands messages over as they come, without building slixmpp's stanzas."""

    on_message: Callable[[Element], None]

    def __init__(self, domain: str, secret: str, host: str, port: int) -> None:
        super().__init__(domain, secret, host, port)

    def _spawn_event(self, xml: Element) -> None:
        if xml.tag in (_MESSAGE, _CLIENT_MESSAGE):
            self.on_message(xml)
        else:
            super()._spawn_event(xml)

    def close(self) -> None:
        """Close the connection at once."""
        self.cancel_connection_attempt()
        if self.transport is not None:
            self.send_raw(self.stream_footer)
            self.transport.close()
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()


def domain_of(address: str) -> str:
    """Return the domain of an address."""
    return address.partition("/")[0].rpartition("@")[2]
