"""The gateway between agents and participants outside: FIPA acts inside, signed UFTP messages outside.

```
letter → written → UUIDs for ids → XML → sealed → posted until it is taken
letter ← spoken ← ids for UUIDs ← XML ← unsealed ← posted to the endpoint
```
Each message is written down before it is acknowledged or posted, so a restart loses and doubles nothing.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import structlog

from behaviours.ports import AgentStore, Clock
from environments.uftp.archive import Archive, Received, Sent, document_of, frame_of, framed, sole_option_of
from environments.uftp.delivery import Carrier, Delivery, Parcel, RetryPolicy
from environments.uftp.endpoint import Endpoint, Receipt
from environments.uftp.messages import (
    Content,
    Message,
    Metadata,
    RejectedMessage,
    TestMessage,
    TestMessageResponse,
    from_xml,
    to_xml,
)
from environments.uftp.participants import AddressBook, Participant
from environments.uftp.roles import ParticipantRole, may_say
from environments.uftp.signing import SignedMessage, SigningKey
from environments.uftp.speech import reference_of, response, spoken, written
from environments.uftp.terms import MarketTerms
from ontology.base import Concept
from ontology.errors import InvalidInput, Refused, Unavailable, problem
from ontology.flexibility_trading import FlexResponse, FlexSettlementResponse, TradeDocument
from ontology.performatives import Performative

__all__ = ["Identity", "Incoming", "UftpGateway"]

log = structlog.get_logger()

KEEP_S = 40 * 86_400
"""How long messages are remembered: a month, which is settled at its end, and some days."""
ROUTINE = RetryPolicy()
_REFERENCES = (
    "request_message_id",
    "prognosis_message_id",
    "offer_message_id",
    "reference_message_id",
    "settlement_message_id",
)


class Identity(NamedTuple):
    """Who one is outside: domain, role and private key."""

    domain: str
    role: ParticipantRole
    key: SigningKey


class Incoming(NamedTuple):
    """What a participant says, as an agent would: act and content, who, and where it belongs."""

    act: Performative
    content: Concept
    domain: str
    message_id: str
    conversation: str
    in_reply_to: str


class UftpGateway:
    """Speaks UFTP for one participant of the community.

    Args:
        identity: whom it speaks for.
        terms: what the market has agreed on.
        book: whom it speaks with.
        store: where it keeps what must survive a restart.
        clock: tells what time messages bear, and waits for tests.
        deliver: is told what participants say, each one's messages one after the other; what fails there is
            logged.
        retry: how often a message is posted before it is given up.
        carrier: brings messages to the participants; by default HTTP, as often as `retry` says.
        undelivered: is told whom it was for, the letter's id, and why, when a message is given up.
        trust: whose TLS certificates are trusted; by default those of the system's authorities.
    """

    def __init__(
        self,
        identity: Identity,
        terms: MarketTerms,
        book: AddressBook,
        store: AgentStore,
        clock: Clock,
        deliver: Callable[[Incoming], Awaitable[None]],
        *,
        retry: RetryPolicy = ROUTINE,
        undelivered: Callable[[str, str, str], Awaitable[None]] | None = None,
        trust: ssl.SSLContext | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        self._identity, self._terms, self._book, self._clock = identity, terms, book, clock
        self._deliver, self._undelivered = deliver, undelivered
        owner = f"uftp:{identity.role}:{identity.domain}"
        self._archive = Archive(store, owner, older_s=clock.now_s() - KEEP_S)
        self._delivery = carrier or Delivery(clock, retry, trust)
        self._endpoint = Endpoint(self.take)
        self._inboxes: dict[str, asyncio.Queue[Received]] = {}
        """What came in and has not been handed on yet, by the sender's domain."""
        self._tests: dict[str, asyncio.Event] = {}
        """Tests under way, by conversation."""
        self._readers: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self._endpoint.port

    async def start(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Listen, and go on with what was not finished before a restart.

        Raises: OSError when the address is taken.
        """
        await self.resume()
        await self._endpoint.start(host, port, tls)

    async def resume(self) -> None:
        """Go on with what was not finished before a restart, in order, without listening to HTTP."""
        await self._delivery.start(self._ended)
        for received in sorted(self._archive.received.values(), key=lambda each: each.received_at_s):
            if not received.handed_on:
                self._put_in(received)
        for sent in sorted(self._archive.sent.values(), key=lambda each: each.sent_at_s):
            if not sent.done:
                self._post(sent)

    async def close(self) -> None:
        """Stop listening and delivering."""
        await self._endpoint.close()
        for reader in self._readers:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
        self._readers, self._inboxes = [], {}
        await self._delivery.close()

    # -- out ------------------------------------------------------------------------------------

    def say(
        self, content: Concept, *, to: str, message_id: str, conversation: str, in_reply_to: str = ""
    ) -> str:
        """Send what a letter says to a participant's domain; returns the message's UUID at once.

        A document that builds on another accepts it: its response goes first, unless there was one.

        Raises: InvalidInput with everything that UFTP cannot say, Refused when it is not one's own to say or
            the domain is none that one deals with, Unavailable when it cannot be written down.
        """
        answered = self._archive.received.get(in_reply_to.lower())
        document = written(content, answered.document if answered else None, in_reply_to)
        partner = self._partner(to, document)
        sent = self._sealed(document, partner, message_id, conversation)
        asked = self._archive.received.get(reference_of(document).lower())
        if asked is None:
            self._send(sent)
        elif isinstance(document, FlexResponse | FlexSettlementResponse):
            self._send(sent, msgspec.structs.replace(asked, response_id=sent.message_id))
        else:
            if not asked.response_id:
                self._respond(asked, [])
            self._send(sent)
        return sent.message_id

    def has_said(self, letter_id: str) -> bool:
        """Tell whether a letter of an id has been sent, or is on its way."""
        return self._archive.uuid_of(letter_id) in self._archive.sent

    async def test(self, to: str, message_id: str, *, within_s: float = 30.0) -> None:
        """Have the other side's software show that it can be reached, and that each knows the other's key.

        Raises: Refused as `say` does, Unavailable when it does not answer in time.
        """
        sent = self._sealed(TestMessage(), self._partner(to, TestMessage()), message_id, message_id)
        self._tests[sent.message_id] = answered = asyncio.Event()
        self._send(sent)
        timer = self._clock.call_at(self._clock.now_s() + within_s, answered.set)
        try:
            await answered.wait()
            if sent.message_id in self._tests:
                raise Unavailable(f"{to} did not answer a test message within {within_s:g} s")
        finally:
            timer.cancel()
            self._tests.pop(sent.message_id, None)

    def _partner(self, domain: str, content: Content) -> Participant:
        if not may_say(self._identity.role, content):
            raise Refused(f"a {type(content).__name__} is not said by {self._identity.role}")
        partner = self._book.find(domain, _other(self._identity.role))
        if partner is None:
            raise Refused(f"{domain} is no {_other(self._identity.role)} that this gateway deals with")
        return partner

    def _sealed(self, content: Content, partner: Participant, letter_id: str, conversation: str) -> Sent:
        message_id = self._archive.uuid_of(letter_id)
        if message_id in self._archive.sent:
            raise InvalidInput(problem("message_id", letter_id, "an id of its own"))
        metadata = Metadata(
            sender_domain=self._identity.domain,
            recipient_domain=partner.domain,
            sent_at_s=self._clock.now_s(),
            message_id=message_id,
            conversation_id=self._archive.uuid_of(conversation),
        )
        payload = to_xml(Message(metadata, _translated(content, self._archive.uuid_of)), self._terms)
        wrapper = SignedMessage(
            sender_domain=self._identity.domain,
            sender_role=self._identity.role,
            body=self._identity.key.seal(payload),
        )
        return Sent(
            message_id=message_id,
            letter_id=letter_id,
            conversation=conversation,
            domain=partner.domain,
            role=partner.role,
            body=wrapper.to_xml(),
            sent_at_s=metadata.sent_at_s,
            frame=frame_of(content),
            sole_option=sole_option_of(content),
        )

    def _respond(self, asked: Received, reasons: list[str]) -> None:
        """Send a response of the gateway's own."""
        partner = self._book.find(asked.domain, asked.role)
        if partner is None or asked.document is None:
            return
        answer = response(asked.document, asked.message_id, reasons)
        self._send_response(asked, answer, partner)

    def _send_response(self, asked: Received, answer: Content, partner: Participant) -> None:
        conversation = self._archive.conversation_of(asked.conversation_id)
        sent = self._sealed(answer, partner, f"response to {asked.message_id}", conversation)
        self._send(sent, msgspec.structs.replace(asked, response_id=sent.message_id))

    def _send(self, sent: Sent, *changed: Received) -> None:
        """Write a message down, with what it changes, and have it posted."""
        self._archive.keep(sent, *changed)
        self._post(sent)

    def _post(self, sent: Sent) -> None:
        partner = self._book.find(sent.domain, sent.role)
        if partner is not None:
            self._delivery.post(Parcel(sent.message_id, partner.url, sent.body))

    async def _ended(self, message_id: str, why_not: str) -> None:
        sent = self._archive.sent[message_id]
        if not sent.done:
            # Responses are posted again when they are asked for again; of documents the ids are enough.
            body = b"" if sent.frame else sent.body
            self._archive.keep(msgspec.structs.replace(sent, done=True, body=body))
        if why_not and self._undelivered is not None:
            await self._undelivered(sent.domain, sent.letter_id, why_not)

    # -- in -------------------------------------------------------------------------------------

    async def take(self, body: bytes) -> Receipt:
        """Take a signed message as it was posted, and say what HTTP is to answer."""
        try:
            wrapper = SignedMessage.from_xml(body)
            partner = self._sender(wrapper)
            payload = partner.key.unseal(wrapper.body)
        except InvalidInput as error:
            return Receipt(400, str(error))
        except _UnknownSender as error:
            return Receipt(403, str(error))
        except Refused as error:
            return Receipt(401, str(error))
        try:
            message = from_xml(payload, self._terms, self._sole_option)
        except RejectedMessage as error:
            return self._rejected(partner, payload, error.metadata, error.document, error.reasons)
        except InvalidInput as error:
            return Receipt(400, str(error))
        return self._checked(partner, payload, message)

    def _sender(self, wrapper: SignedMessage) -> Participant:
        partner = self._book.find(wrapper.sender_domain, wrapper.sender_role)
        if partner is not None:
            return partner
        if self._book.knows(wrapper.sender_domain):
            raise _UnknownSender(
                f"Invalid Sender combination: {wrapper.sender_domain} as {wrapper.sender_role}"
            )
        raise _UnknownSender(f"Unknown SenderDomain: {wrapper.sender_domain}")

    def _checked(self, partner: Participant, payload: bytes, message: Message) -> Receipt:
        """Take a message that is well-formed and signed, unless it is not for us, or not theirs to say."""
        wrong = []
        if message.metadata.sender_domain != partner.domain:
            wrong.append(
                f"Mismatch SenderDomain: {message.metadata.sender_domain}, signed by {partner.domain}"
            )
        if message.metadata.recipient_domain != self._identity.domain:
            wrong.append(f"Unknown RecipientDomain: {message.metadata.recipient_domain}")
        if partner.role is not _other(self._identity.role) or not may_say(partner.role, message.content):
            wrong.append(f"Invalid Message: {type(message.content).__name__} of {partner.role}")
        document = document_of(message.content)
        if wrong:
            return self._rejected(partner, payload, message.metadata, document, wrong)
        return self._noted(partner, payload, message)

    def _noted(self, partner: Participant, payload: bytes, message: Message) -> Receipt:
        """Write a message down, once, and have it handed on."""
        known = self._archive.received.get(message.metadata.message_id.lower())
        if known is not None:
            return self._again(known, partner, payload, message.metadata, document_of(message.content))
        received = self._received(partner, payload, message.metadata)
        received = msgspec.structs.replace(
            received,
            document=document_of(message.content),
            frame=frame_of(self._inside(message.content)),
            sole_option=sole_option_of(message.content),
        )
        try:
            self._archive.keep(received)
        except Unavailable as error:
            return Receipt(503, str(error))
        self._put_in(received)
        return Receipt()

    def _again(
        self,
        known: Received,
        partner: Participant,
        payload: bytes,
        metadata: Metadata,
        document: TradeDocument | None,
    ) -> Receipt:
        """Answer a message that was there before as it was answered then; another of its id is rejected."""
        if known.digest != _digest(payload) or known.domain != partner.domain:
            return self._duplicate(partner, payload, metadata, document)
        before = self._archive.sent.get(known.response_id)
        if before is not None:
            self._post(before)
        return Receipt()

    def _duplicate(
        self, partner: Participant, payload: bytes, metadata: Metadata, document: TradeDocument | None
    ) -> Receipt:
        reasons = [f"Duplicate Identifier: {metadata.message_id}"]
        if document is None:
            return Receipt(400, reasons[0])
        answer = response(document, metadata.message_id.lower(), reasons)
        letter_id = f"response to {metadata.message_id} {_digest(payload).hex()}"
        if self._archive.uuid_of(letter_id) not in self._archive.sent:
            conversation = self._archive.conversation_of(metadata.conversation_id)
            self._send(self._sealed(answer, partner, letter_id, conversation))
        return Receipt()

    def _rejected(
        self,
        partner: Participant,
        payload: bytes,
        metadata: Metadata,
        document: TradeDocument | None,
        reasons: list[str],
    ) -> Receipt:
        """Respond to a message that is not taken; one that has no response of its own is refused by HTTP."""
        log.warning(
            "UFTP message rejected", message=metadata.message_id, sender=partner.domain, reasons=reasons
        )
        if document is None:
            return Receipt(400, "; ".join(reasons))
        known = self._archive.received.get(metadata.message_id.lower())
        if known is not None:
            return self._again(known, partner, payload, metadata, document)
        received = self._received(partner, payload, metadata)
        self._respond(msgspec.structs.replace(received, document=document, handed_on=True), reasons)
        return Receipt()

    def _received(self, partner: Participant, payload: bytes, metadata: Metadata) -> Received:
        return Received(
            message_id=metadata.message_id.lower(),
            domain=partner.domain,
            role=partner.role,
            conversation_id=metadata.conversation_id.lower(),
            digest=_digest(payload),
            payload=payload,
            received_at_s=self._clock.now_s(),
        )

    def _put_in(self, received: Received) -> None:
        """Have a message handed on after those of its sender that came before."""
        if received.domain not in self._inboxes:
            inbox = self._inboxes[received.domain] = asyncio.Queue()
            self._readers.append(asyncio.create_task(self._hand_on(inbox)))
        self._inboxes[received.domain].put_nowait(received)

    async def _hand_on(self, inbox: "asyncio.Queue[Received]") -> None:
        """Hand a participant's messages on one after the other, in the order in which they came."""
        while True:
            received = await inbox.get()
            try:
                await self._tell(received)
            except Exception:
                log.exception("UFTP message not handled", message=received.message_id)
            try:
                newest = self._archive.received[received.message_id]
                self._archive.keep(msgspec.structs.replace(newest, handed_on=True, payload=b""))
            except Unavailable as error:
                log.error(
                    "UFTP message comes again after a restart", message=received.message_id, why=str(error)
                )

    async def _tell(self, received: Received) -> None:
        message = from_xml(received.payload, self._terms, self._sole_option)
        if isinstance(message.content, TestMessage):
            partner = self._book.find(received.domain, received.role)
            if partner is not None:
                self._send_response(received, TestMessageResponse(), partner)
        if isinstance(message.content, TestMessageResponse):
            answered = self._tests.pop(received.conversation_id, None)
            if answered is not None:
                answered.set()
        content = self._inside(message.content)
        if not isinstance(content, Concept):
            return
        act, says = spoken(content)
        await self._deliver(
            Incoming(
                act,
                says,
                received.domain,
                received.message_id,
                self._archive.conversation_of(received.conversation_id),
                reference_of(content),
            )
        )

    def _inside(self, content: Content) -> Content:
        """Return what came in with the ids of letters, about the period of what it builds on."""
        if not isinstance(content, Concept):
            return content
        before = self._archive.find(reference_of(content))
        if before is not None and before.frame is not None:
            content = framed(content, before.frame)
        inside = _translated(content, self._archive.letter_of)
        assert isinstance(inside, Concept)
        return inside

    def _sole_option(self, offer_id: str) -> str:
        offer = self._archive.find(offer_id)
        return offer.sole_option if offer else ""


class _UnknownSender(Refused):
    """A message of somebody with whom one does not deal."""


def _other(role: ParticipantRole) -> ParticipantRole:
    """Return the role that one trades with."""
    return ParticipantRole.AGR if role is ParticipantRole.DSO else ParticipantRole.DSO


def _translated(content: Any, translate: Callable[[str], str]) -> Any:
    """Return a document with the ids that it refers to translated."""
    fields = getattr(content, "__struct_fields__", ())
    references = {each: getattr(content, each) for each in _REFERENCES if each in fields}
    named = {each: translate(value) for each, value in references.items() if value}
    return msgspec.structs.replace(content, **named) if named else content


def _digest(payload: bytes) -> bytes:
    return sha256(payload).digest()
