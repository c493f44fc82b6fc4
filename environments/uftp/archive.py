"""What the edge remembers over a restart: which message is which letter, what came in, what must go out."""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID, uuid4, uuid5

import msgspec

from behaviours.ports import AgentStore
from environments.uftp import elements
from environments.uftp.roles import ParticipantRole
from ontology.base import Concept
from ontology.flexibility_trading import FlexOffer, TradeDocument

__all__ = ["Archive", "Frame", "Received", "Sent", "document_of", "frame_of", "framed", "sole_option_of"]

_SENT, _RECEIVED, _NAMESPACE = "sent ", "received ", "namespace"

_DOCUMENTS: dict[str, TradeDocument] = {
    "DPrognosis": TradeDocument.D_PROGNOSIS,
    "FlexMetering": TradeDocument.METERING,
} | {each.value: each for each in TradeDocument}


class Frame(msgspec.Struct, frozen=True):
    """The period of a document as it is inside, in epoch seconds; outside it is the day around it."""

    start_s: int
    end_s: int


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message that went out, or shall go out: which letter it is, and the sealed XML."""

    message_id: str
    letter_id: str
    conversation: str
    domain: str
    role: ParticipantRole
    body: bytes
    sent_at_s: float
    frame: Frame | None = None
    sole_option: str = ""
    done: bool = False


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message that came in: what it was, and whether it has been handed on and responded to."""

    message_id: str
    domain: str
    role: ParticipantRole
    conversation_id: str
    digest: bytes
    payload: bytes
    received_at_s: float
    document: TradeDocument | None = None
    frame: Frame | None = None
    sole_option: str = ""
    handed_on: bool = False
    response_id: str = ""


_Record = TypeVar("_Record", Sent, Received)


class Archive:
    """Keeps messages in an `AgentStore`, under the name of one's own domain and role."""

    def __init__(self, store: AgentStore, owner: str, *, older_s: float) -> None:
        """Recall what is kept, and forget what was sent or received before an epoch second."""
        self._store, self._owner = store, owner
        kept = store.load(owner)
        self._namespace = self._kept_namespace(kept)
        self.sent = _recalled(kept, _SENT, Sent)
        self.received = _recalled(kept, _RECEIVED, Received)
        self._forget(older_s)
        self._conversations = {
            self.uuid_of(each.conversation): each.conversation for each in self.sent.values()
        }

    def uuid_of(self, name: str) -> str:
        """Return the UUID by which a letter or conversation goes outside; what is a UUID stays the same."""
        if elements.UUID.pattern.fullmatch(name):
            return name.lower()
        return str(uuid5(self._namespace, name))

    def letter_of(self, message_id: str) -> str:
        """Return the id inside of a message, which is its own when it came from outside."""
        sent = self.sent.get(message_id.lower())
        return sent.letter_id if sent else message_id.lower()

    def conversation_of(self, conversation_id: str) -> str:
        """Return the conversation inside that a conversation outside is."""
        return self._conversations.get(conversation_id.lower(), conversation_id.lower())

    def find(self, message_id: str) -> Sent | Received | None:
        """Return what is known of a message of either way."""
        return self.sent.get(message_id.lower()) or self.received.get(message_id.lower())

    def keep(self, *records: Sent | Received) -> None:
        """Write messages down, or what has become of them, all or none.

        Raises: Unavailable when the store does not take it.
        """
        self._store.commit(self._owner, {_name(each): msgspec.json.encode(each) for each in records})
        for each in records:
            if isinstance(each, Sent):
                self.sent[each.message_id] = each
                self._conversations[self.uuid_of(each.conversation)] = each.conversation
            else:
                self.received[each.message_id] = each

    def _kept_namespace(self, kept: Mapping[str, bytes]) -> UUID:
        """Return the namespace of one's UUIDs, of each archive another: letters are named alike in all."""
        if _NAMESPACE not in kept:
            made = uuid4()
            self._store.commit(self._owner, {_NAMESPACE: made.bytes})
            return made
        return UUID(bytes=kept[_NAMESPACE])

    def _forget(self, older_s: float) -> None:
        """Forget old messages, but none that has not reached its end."""
        sent = [each for each in self.sent.values() if each.done and each.sent_at_s < older_s]
        received = [
            each for each in self.received.values() if each.handed_on and each.received_at_s < older_s
        ]
        forgotten: list[Sent | Received] = [*sent, *received]
        self._store.commit(self._owner, {_name(each): None for each in forgotten})
        for each in sent:
            del self.sent[each.message_id]
        for other in received:
            del self.received[other.message_id]


def _name(record: Sent | Received) -> str:
    """Return the name under which a message is kept."""
    return (_SENT if isinstance(record, Sent) else _RECEIVED) + record.message_id


def _recalled(kept: Mapping[str, bytes], prefix: str, cls: type[_Record]) -> dict[str, _Record]:
    decode = msgspec.json.Decoder(cls).decode
    return {
        name.removeprefix(prefix): decode(value)
        for name, value in sorted(kept.items())
        if name.startswith(prefix)
    }


def document_of(content: object) -> TradeDocument | None:
    """Return what kind of document a response would answer; None for what has none of its own."""
    return _DOCUMENTS.get(type(content).__name__)


def frame_of(content: object) -> Frame | None:
    """Return the period of a document that has one."""
    start_s, end_s = (getattr(content, each, None) for each in ("period_start_s", "period_end_s"))
    return Frame(start_s, end_s) if isinstance(start_s, int) and isinstance(end_s, int) else None


def sole_option_of(content: object) -> str:
    """Return the reference of an offer's only option; empty for anything else."""
    return (
        content.options[0].option_reference
        if isinstance(content, FlexOffer) and len(content.options) == 1
        else ""
    )


def framed(content: Concept, frame: Frame) -> Concept:
    """Return a document about a day as one about the shorter period of what it builds on."""
    period = frame_of(content)
    if period is None or not (period.start_s <= frame.start_s and frame.end_s <= period.end_s):
        return content
    return msgspec.structs.replace(content, period_start_s=frame.start_s, period_end_s=frame.end_s)
