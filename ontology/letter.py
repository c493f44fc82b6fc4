"""Letters: the envelope that a transport carries, and the opened letter that a handler sees."""

import msgspec

from ontology.base import ONTOLOGY, Concept
from ontology.performatives import Performative

__all__ = ["LANGUAGE", "Envelope", "Letter"]

LANGUAGE = "application/json"


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A letter as it is carried: who says what kind of thing to whom, and the encoded body (SPEC 3.2).

    `conversation` is the XMPP thread; `sequence` counts a sender's letters in it from 1, and 0 means
    unordered. Times are epoch seconds, `reply_by_s` 0 means no deadline. `body` is JSON in UTF-8. Who
    `wants_receipt` keeps the letter, and sends it again, until a `DeliveryReceipt` names it.
    """

    performative: str
    sender: str
    to: str
    message_type: str
    conversation: str
    sequence: int
    message_id: str
    sent_at_s: float
    in_reply_to: str = ""
    reply_by_s: float = 0
    protocol: str = ""
    ontology: str = ONTOLOGY
    language: str = LANGUAGE
    signature: str = ""
    key_id: str = ""
    wants_receipt: bool = False
    body: bytes = b""


class Letter(msgspec.Struct, frozen=True, gc=False):
    """An opened letter: the envelope, its speech act and the decoded content."""

    envelope: Envelope
    performative: Performative
    content: Concept

    @property
    def sender(self) -> str:
        """The address that the letter comes from."""
        return self.envelope.sender

    @property
    def to(self) -> str:
        """The address that the letter goes to."""
        return self.envelope.to

    @property
    def message_type(self) -> str:
        """The wire tag of the content, such as `parity:Lem`."""
        return self.envelope.message_type

    @property
    def conversation(self) -> str:
        """The id of the conversation (the XMPP thread)."""
        return self.envelope.conversation

    @property
    def sequence(self) -> int:
        """The place of the letter among the sender's in this conversation; 0 when unordered."""
        return self.envelope.sequence

    @property
    def message_id(self) -> str:
        """The id of the letter."""
        return self.envelope.message_id

    @property
    def sent_at_s(self) -> float:
        """When the letter was sent, in epoch seconds."""
        return self.envelope.sent_at_s

    @property
    def in_reply_to(self) -> str:
        """The id of the letter that this one answers, or nothing."""
        return self.envelope.in_reply_to

    @property
    def reply_by_s(self) -> float:
        """By when an answer is wanted, in epoch seconds; 0 when there is no deadline."""
        return self.envelope.reply_by_s

    @property
    def protocol(self) -> str:
        """The interaction protocol, such as `fipa-request`, or nothing."""
        return self.envelope.protocol

    @property
    def key_id(self) -> str:
        """Which key signed the letter, or nothing."""
        return self.envelope.key_id
