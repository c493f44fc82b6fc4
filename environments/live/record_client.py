"""Looking on from outside: an XMPP client that subscribes to a host's letters, over SPADE or aioxmpp.

```python
async with RecordClient(SpadeLink(way), way) as client:
    async for batch in client.batches(agent="h001"):
        ...
```
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, Self

import msgspec

from environments.live.endpoint import Endpoint, authority_context
from environments.live.xmpp import XmppTransport
from environments.simulation.clock import WallClock
from ontology.base import Concept
from ontology.codec import encode_body, from_fipa, message_type_of, open_letter, to_fipa
from ontology.discourse import Acknowledgement, FailureReport, Refusal, Rejection
from ontology.errors import InvalidInput, NotUnderstood, Refused, Unavailable, problem
from ontology.letter import Envelope, Letter
from ontology.letter_record import RecordedLetters, RecordSubscription
from ontology.performatives import Performative

# aioxmpp tells each connection that ends as an error; what matters reaches the caller as one.
logging.getLogger("aioxmpp").setLevel(logging.CRITICAL)

__all__ = ["AioxmppLink", "Link", "RecordClient", "SpadeLink", "WayIn", "read_way_in"]

ANSWERED_WITHIN_S = 20.0
CONNECTED_WITHIN_S = 20.0


class WayIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a client needs: the server, its account, whom to trust and whom to ask."""

    host: str
    port: int
    domain: str
    address: str
    password: str
    authority: str
    """Certificate of the server's authority, PEM."""
    keeper: str

    def endpoint(self) -> Endpoint:
        """Return the way to the server."""
        return Endpoint(self.host, self.port, self.domain, authority_context(self.authority))


class Link(Protocol):
    """A connection of one account that carries letters."""

    async def open(self, receive: Callable[[Envelope], None]) -> None:
        """Connect, and hand over what comes.

        Raises: Unavailable when the server cannot be reached or refuses the account.
        """

    def send(self, envelope: Envelope) -> None:
        """Send a letter."""

    async def close(self) -> None:
        """Disconnect."""


class SpadeLink:
    """A link over SPADE, as the community's own agents have."""

    def __init__(self, way: WayIn) -> None:
        self._way = way
        self._transport = XmppTransport(way.endpoint(), start_timeout_s=CONNECTED_WITHIN_S)

    async def open(self, receive: Callable[[Envelope], None]) -> None:
        """Connect, and hand over what comes.

        Raises: Unavailable when the server cannot be reached or refuses the account.
        """
        self._transport.deliver_to(self._way.address, receive)
        await self._transport.start(self._way.address, self._way.password)

    def send(self, envelope: Envelope) -> None:
        """Send a letter."""
        self._transport.send(envelope)

    async def close(self) -> None:
        """Disconnect."""
        await self._transport.stop_all()


class AioxmppLink:
    """A link over aioxmpp, a library of others that shares no code with ours.

    Raises: Unavailable where aioxmpp is not installed.
    """

    def __init__(self, way: WayIn) -> None:
        try:
            import aioxmpp
        except ImportError as error:
            raise Unavailable("aioxmpp is not installed: pip install 'parity-mas[aioxmpp]'") from error
        self._aioxmpp: Any = aioxmpp
        self._way = way
        self._client = self._made(way)

    async def open(self, receive: Callable[[Envelope], None]) -> None:
        """Connect, and hand over what comes.

        Raises: Unavailable when the server cannot be reached or refuses the account.
        """
        dispatcher = self._client.summon(self._aioxmpp.dispatcher.SimpleMessageDispatcher)
        take = lambda message: self._take(message, receive)  # noqa: E731
        dispatcher.register_callback(self._aioxmpp.MessageType.CHAT, None, take)
        self._connection = self._client.connected()
        try:
            await asyncio.wait_for(self._connection.__aenter__(), CONNECTED_WITHIN_S)
        except (OSError, TimeoutError, self._aioxmpp.errors.StanzaError) as error:
            raise Unavailable(f"{self._way.host}:{self._way.port}: {error!r}") from error

    def send(self, envelope: Envelope) -> None:
        """Send a letter, as SPADE writes it."""
        xmpp = self._aioxmpp
        metadata, body = to_fipa(envelope)
        message = xmpp.Message(to=xmpp.JID.fromstr(envelope.to), type_=xmpp.MessageType.CHAT)
        message.body[None] = body
        message.thread = xmpp.stanza.Thread()
        message.thread.identifier = envelope.conversation
        form = xmpp.forms.Data(xmpp.forms.xso.DataType.FORM)
        form.title = "spade:x:metadata"
        for name, value in metadata.items():
            text = xmpp.forms.xso.FieldType.TEXT_SINGLE
            form.fields.append(xmpp.forms.Field(type_=text, var=name, values=[value]))
        message.xep0004_data.append(form)
        self._client.enqueue(message)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.__aexit__(None, None, None)

    def _take(self, message: Any, receive: Callable[[Envelope], None]) -> None:
        metadata = {
            field.var: field.values[0]
            for form in message.xep0004_data
            for field in form.fields
            if field.values
        }
        thread = metadata.pop("_thread_node", "") or (message.thread.identifier if message.thread else "")
        sender = str(message.from_.bare())
        try:
            receive(from_fipa(sender, self._way.address, thread, metadata, message.body.any()))
        except NotUnderstood:
            return

    def _made(self, way: WayIn) -> Any:
        from OpenSSL import SSL, crypto

        xmpp = self._aioxmpp

        def trusting_the_authority() -> Any:
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            store = context.get_cert_store()
            assert store is not None
            store.add_cert(crypto.load_certificate(crypto.FILETYPE_PEM, way.authority.encode()))
            return context

        class ByOpenssl(xmpp.security_layer.CertificateVerifier):  # type: ignore[misc, name-defined]
            """aioxmpp's own verifier calls what pyOpenSSL no longer has."""

            def verify_callback(self, connection: Any, cert: Any, error: int, depth: int, good: int) -> int:
                """Trust what leads to the authority."""
                return good

            async def post_handshake(self, transport: Any) -> None:
                """Nothing more to ask."""

        layer = xmpp.make_security_layer(way.password, ssl_context_factory=trusting_the_authority)
        return xmpp.PresenceManagedClient(
            xmpp.JID.fromstr(way.address),
            layer._replace(certificate_verifier_factory=ByOpenssl),
            override_peer=[(way.host, way.port, xmpp.connector.STARTTLSConnector())],
        )


class RecordClient:
    """Subscribes to a host's letters and acknowledges what it read, so that no more is sent than it reads."""

    def __init__(self, link: Link, way: WayIn) -> None:
        self._link = link
        self._way = way
        self._clock = WallClock()
        self._numbers = itertools.count(1)
        self._came: asyncio.Queue[Letter] = asyncio.Queue()
        self._run = f"watch-{self._clock.now_s():.6f}"

    async def __aenter__(self) -> Self:
        """Connect.

        Raises: Unavailable when the server cannot be reached or refuses the account.
        """
        await self._link.open(self._receive)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say that nothing more is wanted, and disconnect."""
        self._say(RecordSubscription(agent=""), Performative.CANCEL)
        await self._link.close()

    async def batches(self, agent: str = "", *, bodies: bool = False) -> AsyncIterator[RecordedLetters]:
        """Yield letters as the host records them, in the order in which they were read.

        Raises: Refused when the host does not grant it, Unavailable when it does not answer.
        """
        asked = self._say(RecordSubscription(agent=agent, bodies=bodies), Performative.SUBSCRIBE)
        await self._agreed(asked)
        while True:
            letter = await self._came.get()
            if isinstance(letter.content, RecordedLetters):
                yield letter.content
                self._say(Acknowledgement(of=letter.message_id), Performative.INFORM, letter.message_id)

    async def _agreed(self, asked: str) -> None:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                answer = await self._came.get()
                while answer.in_reply_to != asked:
                    answer = await self._came.get()
        except TimeoutError:
            raise Unavailable(f"{self._way.keeper} does not answer") from None
        content = answer.content
        if isinstance(content, Refusal | FailureReport):
            raise Refused(content.reason)
        if isinstance(content, Rejection):
            raise Refused("; ".join(map(str, content.problems)))

    def _receive(self, envelope: Envelope) -> None:
        """Take what the keeper says, and nobody else."""
        if envelope.sender != self._way.keeper:
            return
        try:
            self._came.put_nowait(open_letter(envelope))
        except NotUnderstood:
            return

    def _say(self, content: Concept, act: Performative, in_reply_to: str = "") -> str:
        message_id = f"{self._run}#{next(self._numbers)}"
        envelope = Envelope(
            performative=act.value,
            sender=self._way.address,
            to=self._way.keeper,
            message_type=message_type_of(type(content)),
            conversation=self._run,
            sequence=0,
            message_id=message_id,
            sent_at_s=self._clock.now_s(),
            in_reply_to=in_reply_to,
            body=encode_body(content),
        )
        self._link.send(envelope)
        return message_id


def read_way_in(content: bytes, name: str) -> WayIn:
    """Read a way in.

    Raises: InvalidInput when it is none.
    """
    try:
        return msgspec.json.decode(content, type=WayIn)
    except msgspec.DecodeError as error:
        expected = f"a client's way in, as a live run writes it ({error})"
        raise InvalidInput(problem("--live", name, expected)) from error
