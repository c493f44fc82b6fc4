"""The post of an agent whose letters must survive it: written down before they leave, read exactly once.

Going out, a letter that must arrive is numbered in a conversation that goes on over restarts, staged with
the state of the handler that says it, and leaves when both are written. Coming in, a letter's mark is
written with what the letter changed, and then its receipt is sent.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import structlog

from behaviours.durable.inbox import Inbox
from behaviours.durable.outbox import Outbox
from behaviours.post import Post
from ontology.base import Concept
from ontology.codec import decode_body, encode_body, message_type_of
from ontology.discourse import DeliveryGap, DeliveryReceipt
from ontology.errors import InvalidInput, NotUnderstood, ParityError, Refused
from ontology.letter import Envelope
from ontology.performatives import Performative
from ontology.policy import SIGNED_TYPES, lifetime_s, may_send, must_arrive

__all__ = ["KeepingPost"]

log = structlog.get_logger()

EARLY_MAX = 256
"""How many letters of a conversation wait for a predecessor that their sender still has."""

_RECEIPT, _GAP = message_type_of(DeliveryReceipt), message_type_of(DeliveryGap)
_INFORM = Performative.INFORM

Transaction = Callable[[], AbstractContextManager[None]]


class _Words(NamedTuple):
    """What is said to whom, before it is numbered."""

    to: str
    message_type: str
    body: bytes
    act: Performative
    conversation: str = ""
    in_reply_to: str = ""
    reply_by_s: float = 0.0
    protocol: str = ""


class KeepingPost(Post):
    """A post with an outbox and an inbox that outlive the agent."""

    def __init__(self, *arguments: Any, **ports: Any) -> None:
        """Open as a `Post` does; `keep_letters` follows."""
        super().__init__(*arguments, **ports)
        self._held: list[Envelope] | None = None
        self._confirmations = 0
        self._outbox: Outbox
        self._inbox: Inbox
        self._transaction: Transaction

    def keep_letters(self, outbox: Outbox, inbox: Inbox, transaction: Transaction) -> None:
        """Keep letters and marks in boxes; what a transaction stages is written at its end."""
        self._outbox, self._inbox, self._transaction = outbox, inbox, transaction

    def close(self) -> None:
        """Receive and send nothing more; what is in the outbox stays written."""
        super().close()
        self._outbox.close()

    # -- transactions -------------------------------------------------------------------------

    def hold(self) -> None:
        """Send nothing until `release`."""
        self._held = []

    def release(self, *, is_written: bool) -> None:
        """Send what was held and is written; if nothing could be, only letters that must arrive wait on."""
        held, self._held = self._held or [], None
        if not is_written:
            self.counts["unsent"] += len(held)
            return
        for envelope in held:
            self.post(envelope)
        self._outbox.leave()
        self._inbox.written()

    def post(self, envelope: Envelope) -> None:
        """Hand a finished envelope to the transport, or hold it until its transaction is written."""
        if self._held is None:
            super().post(envelope)
        else:
            self._held.append(envelope)

    # -- going out ----------------------------------------------------------------------------

    def send(
        self,
        to: str,
        content: Concept,
        act: Performative = _INFORM,
        *,
        conversation: str = "",
        in_reply_to: str = "",
        reply_by_s: float = 0.0,
        protocol: str = "",
    ) -> str:
        """Send a letter and return its message id; one that must arrive is kept until it has.

        Raises: as `Post.send`.
        """
        message_type = message_type_of(type(content))
        if not must_arrive(message_type, act) or not may_send(self._role, message_type, act):
            return super().send(
                to,
                content,
                act,
                conversation=conversation,
                in_reply_to=in_reply_to,
                reply_by_s=reply_by_s,
                protocol=protocol,
            )
        words = _Words(
            to, message_type, encode_body(content), act, conversation, in_reply_to, reply_by_s, protocol
        )
        return self._send_kept(words, reply_by_s, outlives_restart=not conversation)

    def broadcast(self, recipients: Iterable[tuple[str, str]], content: Concept) -> None:
        """Inform many of the same content, encoded once; kept for each until it has arrived.

        Raises: as `Post.broadcast`.
        """
        message_type = message_type_of(type(content))
        if not must_arrive(message_type, _INFORM) or not may_send(self._role, message_type, _INFORM):
            super().broadcast(recipients, content)
            return
        body = encode_body(content)
        with self._transaction():
            for to, _ in recipients:
                self._send_kept(_Words(to, message_type, body, _INFORM), 0.0)

    def _send_answer(self, envelope: Envelope, content: Concept, act: Performative, inquiry: str) -> str:
        """Answer; kept until the question's deadline, if there is one and the letter itself was kept."""
        message_type = message_type_of(type(content))
        if not envelope.wants_receipt:
            return super().send(
                envelope.sender,
                content,
                act,
                conversation=inquiry,
                in_reply_to=envelope.message_id,
                protocol=envelope.protocol,
            )
        if not may_send(self._role, message_type, act):
            return super()._send_answer(envelope, content, act, inquiry)
        words = _Words(
            envelope.sender,
            message_type,
            encode_body(content),
            act,
            inquiry,
            envelope.message_id,
            protocol=envelope.protocol,
        )
        return self._send_kept(words, envelope.reply_by_s)

    def _send_kept(self, words: _Words, expires_s: float, *, outlives_restart: bool = True) -> str:
        """Number, stage and, at the end of the transaction, send a letter that must arrive."""
        with self._transaction():
            conversation = words.conversation or self._outbox.conversation_with(words.to)
            if not words.conversation:
                self._sent[conversation] = self._outbox.next_number(conversation) - 1
            envelope = self._envelope(*words._replace(conversation=conversation), wants_receipt=True)
            expires_s = expires_s or self._clock.now_s() + lifetime_s(words.message_type)
            self._outbox.put(envelope, expires_s, outlives_restart=outlives_restart)
        return envelope.message_id

    def _close_inquiry(self, to: str, question: str) -> None:
        self._outbox.withdraw(question, to)

    def confirm(self, to: str, content: DeliveryReceipt | DeliveryGap) -> None:
        """Send a receipt, or tell of a gap: without a number, and once."""
        self._confirmations += 1
        conversation = f"{self._run_id}/{self._address}!"
        envelope = Envelope(
            performative=Performative.CONFIRM.value,
            sender=self._address,
            to=to,
            message_type=message_type_of(type(content)),
            conversation=conversation,
            sequence=0,
            message_id=f"{conversation}{self._confirmations}",
            sent_at_s=self._clock.now_s(),
            body=encode_body(content),
        )
        self.post(envelope)

    def send_again(self, envelope: Envelope) -> None:
        """Hand a kept letter to the transport; one that it can never carry is counted, and expires."""
        try:
            self.post(envelope)
        except InvalidInput as error:
            self.counts["unfit"] += 1
            log.error("letter cannot be carried", agent=self._address, to=envelope.to, why=str(error))

    # -- coming in ----------------------------------------------------------------------------

    def _turn_away(self, envelope: Envelope, outcome: str, error: ParityError) -> None:
        """Turn a letter away; one of a member that may not say this is read past, so that it holds up none.

        What seems to be said in the future is not: it comes again, and may be right by then.
        """
        super()._turn_away(envelope, outcome, error)
        is_said = envelope.sent_at_s <= self._clock.now_s()
        if outcome == "refused" and is_said and envelope.wants_receipt and self._is_authentic(envelope):
            self._read_past(envelope)

    def _is_authentic(self, envelope: Envelope) -> bool:
        """Whether a letter is of a member and, where its type asks for it, bears its signature."""
        sender = self._membership.get(envelope.sender)
        if sender is None or envelope.to != self._address:
            return False
        return envelope.message_type not in SIGNED_TYPES or self._is_trustworthy(envelope, sender)

    def _read_past(self, envelope: Envelope) -> None:
        key = (envelope.sender, envelope.conversation)
        if envelope.sequence == 0:
            self._inbox.owe_id(envelope.sender, envelope.message_id)
            return
        if envelope.sequence == self._mark(key) + 1:
            self._marks[key] = envelope.sequence
            with self._transaction():
                self._inbox.note(envelope)
            self._read_followers(key)
        else:
            self._inbox.owe(*key)

    def _take(self, envelope: Envelope) -> None:
        """Take a receipt, or a letter: set aside until its turn, or read, once."""
        self._outbox.heard_from(envelope.sender)
        if envelope.message_type in (_RECEIPT, _GAP):
            self._take_confirmation(envelope)
        elif not envelope.wants_receipt:
            super()._take(envelope)
        elif self._inbox.is_stale(envelope):
            self._turn_away(envelope, "expired", Refused("the letter came long after its deadline"))
            self._inbox.owe_id(envelope.sender, envelope.message_id)
        elif envelope.sequence == 0:
            self._take_unnumbered(envelope)
        else:
            self._take_numbered(envelope)

    def _take_confirmation(self, envelope: Envelope) -> None:
        try:
            content = decode_body(envelope.message_type, envelope.body)
        except NotUnderstood as error:
            self._turn_away(envelope, "not understood", error)
            return
        if isinstance(content, DeliveryReceipt):
            for gap in self._outbox.confirm(envelope.sender, content):
                self.confirm(envelope.sender, gap)
        elif isinstance(content, DeliveryGap):
            self._close_kept_gap((envelope.sender, content.conversation), content.next_number)

    def _take_unnumbered(self, envelope: Envelope) -> None:
        """Read a kept answer, once."""
        key = (envelope.sender, envelope.message_id)
        if self._mark(key):
            self._note(envelope, "duplicate")
            self._inbox.owe_id(envelope.sender, envelope.message_id)
            return
        self._marks[key] = 1
        self._read(envelope)

    def _take_numbered(self, envelope: Envelope) -> None:
        """Read a kept letter after all before it; its sender sends again what is missing."""
        key = (envelope.sender, envelope.conversation)
        mark = self._mark(key)
        if envelope.sequence == mark + 1:
            self._marks[key] = envelope.sequence
            self._read(envelope)
            self._read_followers(key)
            return
        waiting = self._early.setdefault(key, {}) if envelope.sequence > mark else {}
        if envelope.sequence > mark and envelope.sequence not in waiting and len(waiting) < EARLY_MAX:
            self.counts["out of order"] += 1
            waiting[envelope.sequence] = envelope
        else:
            self._note(envelope, "duplicate")
        self._inbox.owe(*key)

    def _read(self, envelope: Envelope) -> None:
        """Open a letter in one transaction with its mark."""
        with self._transaction():
            self._inbox.note(envelope)
            self._open_letter(envelope)

    def _read_followers(self, key: tuple[str, str]) -> None:
        waiting = self._early.get(key)
        while waiting and (envelope := waiting.pop(self._marks[key] + 1, None)) is not None:
            self._marks[key] += 1
            self._read(envelope)
        if not waiting:
            self._early.pop(key, None)

    def _close_kept_gap(self, key: tuple[str, str], next_number: int) -> None:
        """Read on at a number, as nothing before it will come any more."""
        missing = next_number - 1 - self._mark(key)
        if missing <= 0:
            return
        self.counts["lost"] += missing
        log.warning("letters expired with their sender", agent=self._address, sender=key[0], letters=missing)
        self._marks[key] = next_number - 1
        with self._transaction():
            self._inbox.note_mark(key, next_number - 1)
        self._read_followers(key)
