"""The post of an agent: the one boundary that every letter crosses, out and in.

Going out a letter is authorised, encoded, numbered, signed where its type asks for it, and handed to
the transport. Coming in it is authorised (role and message type, default deny), verified,
de-duplicated and put in order, decoded, and then either resolves an inquiry or goes to a handler.
Whatever is turned away is counted, recorded and, where FIPA asks for it, answered.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog

from behaviours.membership import Member, Membership
from behaviours.ports import Barrier, Cancellable, Clock, Recorder, Transport
from behaviours.protocols.conformance import protocol_of
from behaviours.signing import Signer, is_signed_by
from ontology.base import Concept
from ontology.codec import encode_body, message_type_of, open_letter
from ontology.discourse import Acknowledgement, FailureReport, Refusal, Rejection
from ontology.errors import (
    Failed,
    InvalidInput,
    NotUnderstood,
    ParityError,
    Problem,
    Refused,
    Unavailable,
    consequence_of,
)
from ontology.letter import Envelope, Letter
from ontology.performatives import Performative
from ontology.policy import SIGNED_TYPES, may_receive, may_send
from ontology.roles import Role

__all__ = ["ANSWERABLE", "Post"]

log = structlog.get_logger()

GAP_S = 2.0
"""How long a letter waits for a missing predecessor of its conversation before it is read anyway."""

WINDOW_S = 86_400.0
"""How long high-water marks are kept at least (SPEC 3.2: 24 h)."""

PROBLEMS_TOLD = 20
"""How many problems of a letter its sender is told."""

ANSWERABLE = frozenset(
    {
        Performative.REQUEST,
        Performative.QUERY_REF,
        Performative.QUERY_IF,
        Performative.CFP,
        Performative.PROPOSE,
        Performative.ACCEPT_PROPOSAL,
        Performative.SUBSCRIBE,
        Performative.CANCEL,
    }
)
"""Acts that expect an answer; nothing else is ever answered with an error, so errors cannot echo."""

_ANSWERED_BY: dict[tuple[str, Performative], Performative] = {
    (Performative.CFP, Performative.FAILURE): Performative.REFUSE,
    (Performative.ACCEPT_PROPOSAL, Performative.REFUSE): Performative.FAILURE,
}
"""Who cannot bid refuses, whatever the reason, and who has bid cannot refuse any more (FIPA SC00029)."""

_TEXT: dict[Performative, str] = {act: act.value for act in Performative}
_REQUEST = Performative.REQUEST
_INFORM = Performative.INFORM


class _Inquiry:
    """A question of ours that waits for its answer."""

    __slots__ = ("answer", "awaits_result", "question", "timer", "to")

    def __init__(
        self, to: str, answer: "asyncio.Future[Letter]", timer: Cancellable, awaits_result: bool
    ) -> None:
        self.to = to
        self.answer = answer
        self.timer = timer
        self.awaits_result = awaits_result
        self.question = ""


class Post:
    """Sends and receives the letters of one agent; knows nothing of what they are about."""

    def __init__(
        self,
        member: Member,
        *,
        clock: Clock,
        transport: Transport,
        membership: Membership,
        run_id: str,
        deliver: Callable[[Letter], None],
        recorder: Recorder | None = None,
        barrier: Barrier | None = None,
        signer: Signer | None = None,
    ) -> None:
        """Open the post of a member; `run_id` makes ids unique over runs and restarts."""
        self.counts: Counter[str] = Counter()
        self.spoke_at_s: float | None = None
        """When it sent its last letter, epoch seconds."""
        self._member = member
        self._address = member.address
        self._role = member.role
        self._clock = clock
        self._transport = transport
        self._membership = membership
        self._run_id = run_id
        self._deliver = deliver
        self._recorder = recorder
        self._barrier = barrier
        self._signer = signer
        self._allowed: set[tuple[Role, str, str]] = set()
        """What the policy has allowed before: it does not change while an agent lives."""
        self._sent: dict[str, int] = {}
        self._standing: dict[str, str] = {}
        self._marks: dict[tuple[str, str], int] = {}
        self._older_marks: dict[tuple[str, str], int] = {}
        self._early: dict[tuple[str, str], dict[int, Envelope]] = {}
        self._inquiries: dict[str, _Inquiry] = {}
        self._inquiries_made = 0
        self._open = False

    # -- opening and closing ------------------------------------------------------------------

    def open(self) -> None:
        """Receive letters from now on."""
        if not self._open:
            self._open = True
            receive = self._admit if self._barrier is None else self.receive
            self._transport.deliver_to(self._address, receive)
            self._clock.call_at(self._clock.now_s() + WINDOW_S, self._forget_old_marks)

    def close(self) -> None:
        """Receive nothing more; whoever still waits for an answer gets Unavailable."""
        self._open = False
        self._transport.forget(self._address)
        for conversation in list(self._inquiries):
            self._give_up(conversation, "the agent stopped")

    def marks(self) -> dict[tuple[str, str], int]:
        """Return the high-water marks: the last sequence number read, by sender and conversation."""
        return {**self._older_marks, **self._marks}

    def recall_mark(self, sender: str, conversation: str, sequence: int) -> None:
        """Take up a high-water mark from before a restart."""
        self._marks[sender, conversation] = sequence

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
        """Send a letter and return its message id.

        Raises: Refused when the sender's role may not say this, InvalidInput when it cannot be encoded.
        """
        message_type = message_type_of(type(content))
        if not may_send(self._role, message_type, act):
            raise _not_allowed(self._role, act, message_type)
        if not conversation:
            conversation = self._standing.get(to) or self.conversation_with(to)
        body = encode_body(content)
        envelope = self._envelope(
            to, message_type, body, act, conversation, in_reply_to, reply_by_s, protocol
        )
        self.post(envelope)
        return envelope.message_id

    def broadcast(self, recipients: Iterable[tuple[str, str]], content: Concept) -> None:
        """Inform many (address, conversation) of the same content, encoded once.

        Raises: Refused when the sender's role may not say this, InvalidInput when it cannot be encoded.
        """
        message_type = message_type_of(type(content))
        if not may_send(self._role, message_type, _INFORM):
            raise _not_allowed(self._role, _INFORM, message_type)
        body = encode_body(content)
        for to, conversation in recipients:
            self.post(self._envelope(to, message_type, body, _INFORM, conversation, "", 0.0, ""))

    async def ask(
        self,
        to: str,
        content: Concept,
        by_s: float,
        act: Performative = _REQUEST,
        *,
        conversation: str = "",
        protocol: str = "",
        until_agreed: bool = False,
    ) -> Letter:
        """Ask and wait for the answer; an `agree` on the way is waited through, unless it is answer enough.

        A conversation of several questions is begun with `new_conversation`.

        Raises: Refused, NotUnderstood or Failed as the other side says, Unavailable after the deadline.
        """
        within = conversation or self.new_conversation()
        answer: asyncio.Future[Letter] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(by_s, lambda: self._give_up(within, "no answer in time"))
        inquiry = self._inquiries[within] = _Inquiry(
            to, answer, timer, awaits_result=act is _REQUEST and not until_agreed
        )
        try:
            inquiry.question = self.send(
                to,
                content,
                act,
                conversation=within,
                reply_by_s=by_s,
                protocol=protocol or protocol_of(act),
            )
            letter = await answer
        finally:
            timer.cancel()
            self._inquiries.pop(within, None)
            if not conversation:
                self.conclude(within)
        return _as_answer(letter)

    def new_conversation(self) -> str:
        """Return the id of a conversation that this agent is about to begin."""
        self._inquiries_made += 1
        return f"{self._run_id}/{self._address}?{self._inquiries_made}"

    def cancel(self, conversation: str) -> None:
        """Call off what was asked in a conversation, if no answer has come; who waits gets Unavailable."""
        inquiry = self._inquiries.get(conversation)
        if inquiry is not None and not inquiry.answer.done():
            called_off = Acknowledgement(of=inquiry.question)
            self.send(inquiry.to, called_off, Performative.CANCEL, conversation=conversation)
            self._give_up(conversation, "called off")

    def conclude(self, conversation: str) -> None:
        """Forget the count of a conversation in which this agent says nothing more."""
        self._sent.pop(conversation, None)

    def reply(self, letter: Letter, content: Concept, act: Performative) -> str:
        """Answer a letter in its conversation, or in our own with its sender when it asked in passing.

        Returns: the answer's message id.
        """
        return self._answer(letter.envelope, content, act)

    def _answer(self, envelope: Envelope, content: Concept, act: Performative) -> str:
        """Answer; our numbers in a conversation that another holds would not outlive our restart."""
        inquiry = "" if ">" in envelope.conversation else envelope.conversation
        act = _ANSWERED_BY.get((envelope.performative, act), act)
        return self.send(
            envelope.sender,
            content,
            act,
            conversation=inquiry,
            in_reply_to=envelope.message_id,
            protocol=envelope.protocol,
        )

    @property
    def waiting(self) -> int:
        """How many letters are set aside until their predecessors come."""
        return sum(map(len, self._early.values()))

    def post(self, envelope: Envelope) -> None:
        """Hand a finished envelope to the transport."""
        self.spoke_at_s = envelope.sent_at_s
        if self._barrier is not None:
            self._barrier.sent(envelope.to)
        try:
            self._transport.send(envelope)
        except ParityError as error:
            if self._barrier is not None:
                self._barrier.handled(envelope.to)
            if not isinstance(error, Unavailable):
                raise
            self._turn_away(envelope, "undeliverable", error)

    def conversation_with(self, to: str) -> str:
        """Return the standing conversation in which this agent informs another."""
        conversation = self._standing.get(to)
        if conversation is None:
            conversation = self._standing[to] = f"{self._run_id}/{self._address}>{to}"
        return conversation

    def _envelope(
        self,
        to: str,
        message_type: str,
        body: bytes,
        act: Performative,
        conversation: str,
        in_reply_to: str,
        reply_by_s: float,
        protocol: str,
    ) -> Envelope:
        if in_reply_to and ">" not in conversation:
            sequence, message_id = 0, f"{in_reply_to}~{act}"
        else:
            sequence = self._sent[conversation] = self._sent.get(conversation, 0) + 1
            message_id = f"{conversation}{'~' if in_reply_to else '#'}{sequence}"
        envelope = Envelope(
            performative=_TEXT[act],
            sender=self._address,
            to=to,
            message_type=message_type,
            conversation=conversation,
            sequence=sequence,
            message_id=message_id,
            sent_at_s=self._clock.now_s(),
            in_reply_to=in_reply_to,
            reply_by_s=reply_by_s,
            protocol=protocol,
            body=body,
        )
        if message_type in SIGNED_TYPES and self._signer is not None and not self._is_neighbour(to):
            named = msgspec.structs.replace(envelope, key_id=self._address)
            return msgspec.structs.replace(named, signature=self._signer.sign(named))
        return envelope

    # -- coming in ----------------------------------------------------------------------------

    def receive(self, envelope: Envelope) -> None:
        """Take an envelope from the transport."""
        try:
            self._admit(envelope)
        finally:
            if self._barrier is not None:
                self._barrier.handled(self._address)

    def _admit(self, envelope: Envelope) -> None:
        """Turn an envelope away, set it aside until its turn, or open it."""
        objection = self._objection(envelope)
        if objection:
            self._turn_away(envelope, "refused", Refused(objection))
            return
        key = (envelope.sender, envelope.conversation)
        mark = self._marks.get(key)
        if mark is None:
            mark = self._older_marks.get(key, 0)
        sequence = envelope.sequence
        if sequence == mark + 1:
            self._marks[key] = sequence
            self._open_letter(envelope)
            if key in self._early:
                self._open_followers(key)
        elif sequence > mark:
            self._set_aside(key, envelope)
        elif sequence == 0:
            self._admit_unnumbered(envelope)
        else:
            self._note(envelope, "duplicate")

    def _objection(self, envelope: Envelope) -> str:
        """Return why an envelope must not be opened, or nothing."""
        sender = self._membership.get(envelope.sender)
        if sender is None:
            return f"{envelope.sender} is not a member of this community"
        message_type = envelope.message_type
        matter = (sender.role, message_type, envelope.performative)
        if matter not in self._allowed:
            if not may_send(*matter):
                return f"a {sender.role} may not {envelope.performative} {message_type}"
            if not may_receive(self._role, message_type):
                return f"a {self._role} may not be told {message_type}"
            self._allowed.add(matter)
        if message_type in SIGNED_TYPES and not self._is_trustworthy(envelope, sender):
            return f"{message_type} must bear the signature of {envelope.sender}"
        return ""

    def _is_trustworthy(self, envelope: Envelope, sender: Member) -> bool:
        """Tell whether a letter is signed, or comes from the same site: one zone of trust (SPEC 7.1)."""
        return self._is_neighbour(sender.address) or is_signed_by(envelope, sender.verify_key)

    def _is_neighbour(self, address: str) -> bool:
        other = self._membership.get(address)
        return other is not None and other.site != "" and other.site == self._member.site

    def _admit_unnumbered(self, envelope: Envelope) -> None:
        """Open a letter of an agent that does not number its letters, once."""
        key = (envelope.sender, envelope.message_id)
        if key in self._marks or key in self._older_marks:
            self._note(envelope, "duplicate")
            return
        self._marks[key] = 1
        self._open_letter(envelope)

    def _set_aside(self, key: tuple[str, str], envelope: Envelope) -> None:
        """Keep a letter that came before its predecessors, for a while."""
        waiting = self._early.setdefault(key, {})
        if envelope.sequence in waiting:
            self._note(envelope, "duplicate")
            return
        waiting[envelope.sequence] = envelope
        self.counts["out of order"] += 1
        if len(waiting) == 1:
            self._wait_for_next(key)

    def _wait_for_next(self, key: tuple[str, str]) -> None:
        """Give the letter that is missing now, and not a later one, its time to come."""
        mark = self._mark(key)
        self._clock.call_at(self._clock.now_s() + GAP_S, lambda: self._close_gap(key, mark))

    def _close_gap(self, key: tuple[str, str], mark: int) -> None:
        """Read on behind a gap that nothing filled since the mark."""
        waiting = self._early.get(key)
        if waiting and self._open and self._mark(key) == mark:
            self.counts["lost"] += min(waiting) - mark - 1
            self._marks[key] = min(waiting) - 1
            self._open_followers(key)

    def _mark(self, key: tuple[str, str]) -> int:
        return self._marks.get(key) or self._older_marks.get(key, 0)

    def _open_followers(self, key: tuple[str, str]) -> None:
        """Open what waited for the letter that was just read, and wait on for the rest."""
        waiting = self._early[key]
        while (envelope := waiting.pop(self._marks[key] + 1, None)) is not None:
            self._marks[key] += 1
            self._open_letter(envelope)
        if waiting:
            self._wait_for_next(key)
        else:
            del self._early[key]

    def _open_letter(self, envelope: Envelope) -> None:
        """Decode a letter and bring it to the inquiry or the handler that it is for."""
        try:
            letter = open_letter(envelope)
        except NotUnderstood as error:
            self._turn_away(envelope, "not understood", error)
            return
        self.counts["received"] += 1
        if self._recorder is not None:
            self._recorder.record(envelope, "handled", self._clock.now_s())
        if envelope.in_reply_to and self._resolve(letter):
            return
        self._deliver(letter)

    def _resolve(self, letter: Letter) -> bool:
        """Hand an answer to who waits for it; an answer that nobody waits for any more is dropped."""
        inquiry = self._inquiries.get(letter.conversation)
        if inquiry is None or letter.in_reply_to != (inquiry.question or letter.in_reply_to):
            return self._is_late(letter)
        if letter.sender != inquiry.to:
            self.counts["from a stranger"] += 1
            return True
        interim = inquiry.awaits_result and letter.performative is Performative.AGREE
        if not interim and not inquiry.answer.done():
            inquiry.answer.set_result(letter)
        return True

    def _is_late(self, letter: Letter) -> bool:
        """Drop what answers a question of ours that nobody waits for any more; a late bidder is told so."""
        if not letter.conversation.startswith(f"{self._run_id}/{self._address}?"):
            return False
        self.counts["late"] += 1
        if letter.performative is Performative.PROPOSE:
            self.reply(letter, Refusal(reason="too late"), Performative.REJECT_PROPOSAL)
        return True

    def _give_up(self, conversation: str, why: str) -> None:
        inquiry = self._inquiries.get(conversation)
        if inquiry is not None and not inquiry.answer.done():
            self.counts["unanswered"] += 1
            inquiry.answer.set_exception(Unavailable(f"{inquiry.to}: {why}"))

    def _turn_away(self, envelope: Envelope, outcome: str, error: ParityError) -> None:
        """Count, record and, where its act expects an answer, answer a letter that is not opened."""
        self._note(envelope, outcome)
        log.info(
            "letter turned away",
            to=envelope.to,
            type=envelope.message_type,
            outcome=outcome,
            why=str(error),
        )
        if envelope.to == self._address and envelope.performative in ANSWERABLE:
            act, content = error_reply(error)
            if envelope.sender in self._membership:
                self._answer(envelope, content, act)

    def _note(self, envelope: Envelope, outcome: str) -> None:
        self.counts[outcome] += 1
        if self._recorder is not None:
            self._recorder.record(envelope, outcome, self._clock.now_s())

    def _forget_old_marks(self) -> None:
        """Let high-water marks go that are older than the window, but those of standing conversations."""
        if self._open:
            standing = {key: mark for key, mark in self.marks().items() if ">" in key[1]}
            self._older_marks, self._marks = self._marks, standing
            self._clock.call_at(self._clock.now_s() + WINDOW_S, self._forget_old_marks)


def _not_allowed(role: Role, act: Performative, message_type: str) -> Refused:
    return Refused(f"a {role} may not {act} {message_type}")


def error_reply(error: BaseException) -> tuple[Performative, Concept]:
    """Return the FIPA act and the body that answer a letter whose handling ended in an error."""
    act = consequence_of(error).act
    reason = str(error)[:500] if isinstance(error, ParityError) else "internal error"
    if isinstance(error, InvalidInput | NotUnderstood):
        return act, Rejection(problems=[_in_short(each) for each in error.problems[:PROBLEMS_TOLD]])
    if act is Performative.REFUSE:
        return act, Refusal(reason=reason)
    return act, FailureReport(reason=reason)


def _in_short(problem: Problem) -> Problem:
    """Cut a problem so that as many as are told fit in a body, whatever they are about."""
    return Problem(problem.path[:80], problem.value[:80], problem.expected[:160])


def _as_answer(letter: Letter) -> Letter:
    """Return an answer, or raise what it refuses or reports."""
    content: Any = letter.content
    if isinstance(content, Refusal):
        raise Refused(f"{letter.sender}: {content.reason}")
    if isinstance(content, Rejection):
        raise NotUnderstood(content.problems)
    if isinstance(content, FailureReport):
        raise Failed(f"{letter.sender}: {content.reason}")
    return letter
