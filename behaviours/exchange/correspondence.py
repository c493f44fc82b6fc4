"""What every gateway of the flexibility trade does: it answers letters with what comes from outside.

```
letter  ── relay ──> said outside, once, whatever is repeated    ── answered ──> the newest letter's answer
heard   ── bring ──> asked inside until somebody answers         ── respond ───> the document's response
```
Who said what, and what became of it, is kept before it is said, so that a restart loses and doubles nothing.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, when
from behaviours.ports import FlexibilityExchange, Heard
from ontology.base import Concept
from ontology.codec import decode_body, encode_body, message_type_of
from ontology.discourse import FailureReport, Refusal
from ontology.errors import Failed, ParityError, Refused, Unavailable
from ontology.flexibility_trading import FlexResponse, ResponseResult, TradeDocument
from ontology.letter import Letter
from ontology.performatives import Performative as Act

__all__ = ["Correspondence", "ExchangeSettings", "Thread"]

log = structlog.get_logger()

_THREAD, _KNOWN = "thread ", "known "
ANSWER_WITHIN_S, AGAIN_S = 5.0, 60
"""How long somebody inside has to answer, and how long it takes until they are asked again, in seconds."""
REMEMBERED_S = 40 * 86_400
"""How long letters are remembered: a month, which is settled at its end, and some days."""


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For whom outside a gateway stands, with whom it trades inside, and whose midnight divides days."""

    domain: str
    inside: str
    repository: str
    zone: str


class Thread(msgspec.Struct):
    """A letter that was said outside: the newest that said it, as what it went out, and the answer if any."""

    key: str
    said_as: str
    digest: bytes
    sender: str
    message_id: str
    conversation: str
    act: Act
    protocol: str
    at_s: int
    answer: tuple[Act, str, bytes] | None = None

    def follow(self, letter: Letter) -> None:
        """Answer this letter from now on."""
        self.message_id, self.conversation = letter.message_id, letter.conversation
        self.act, self.protocol = letter.performative, letter.envelope.protocol


class _Relayed(msgspec.Struct, frozen=True):
    """A document from outside: its id there, the letter that told it inside, and the conversation there."""

    outside: str
    inside: str
    conversation: str
    at_s: int


class Correspondence(Behaviour):
    """Stands for a participant outside towards one agent inside; a subclass says what is said to whom."""

    settings: ExchangeSettings

    def setup(self) -> None:
        """Recall what was said before a restart."""
        self.threads: dict[str, Thread] = {}
        for name in self.agent.kept_names(_THREAD):
            thread = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=Thread)
            self.threads[thread.key] = thread
        self._relayed: dict[str, _Relayed] = {}
        """Documents from outside, by their ids in either world."""
        for name in self.agent.kept_names(_KNOWN):
            self._note(msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=_Relayed))

    @property
    def exchange(self) -> FlexibilityExchange:
        """The way outside."""
        exchange = self.agent.surroundings.exchange
        assert exchange is not None, "a gateway needs an exchange"
        return exchange

    async def handle(self, heard: Heard) -> None:
        """Deal with what the participant said."""
        raise NotImplementedError

    @when("started")
    async def listen(self) -> None:
        """Deal with what the participant says, one after the other; what fails is told to people."""
        while True:
            heard = await self.exchange.hear()
            try:
                await self.handle(heard)
                self.agent.commit()
            except Exception:
                self.agent.counts["errors"] += 1
                log.exception("message from outside not handled", message=heard.message_id)
            self.exchange.dealt_with(heard)

    # -- out ------------------------------------------------------------------------------------

    def require_inside(self, letter: Letter) -> None:
        """Check that a letter is from whom the gateway trades with.

        Raises: Refused.
        """
        if letter.sender != self.settings.inside:
            raise Refused(f"{self.settings.domain} trades with {self.settings.inside} only")

    def relay(
        self,
        key: str,
        letter: Letter,
        meant: Concept,
        document: Callable[[], Concept],
        conversation: str = "",
    ) -> Thread:
        """Say outside what a letter says, unless that was done before; answer what has been answered.

        Args:
            key: names what is said: the same under the same key is a repetition.
            letter: to be answered.
            meant: what makes two letters the same.
            document: makes what is said outside.
            conversation: that it belongs to outside, if not the letter's.
        Raises: Failed when something else was said under the key, or it cannot be said outside.
        """
        digest = sha256(encode_body(meant)).digest()
        thread = self.threads.get(key)
        if thread is not None and thread.digest != digest:
            raise Failed(f"duplicate reference: another {type(meant).__name__} was {key}")
        if thread is None:
            thread = self._thread(key, letter, digest)
        thread.follow(letter)
        self._keep(thread)
        if not self.exchange.has_said(thread.said_as):
            self.agent.commit()
            self._say(thread, document(), conversation or thread.conversation)
        if thread.answer is not None:
            self._answer(thread)
        return thread

    def _thread(self, key: str, letter: Letter, digest: bytes) -> Thread:
        envelope = letter.envelope
        return Thread(
            key=key,
            said_as=letter.message_id,
            digest=digest,
            sender=letter.sender,
            message_id=letter.message_id,
            conversation=letter.conversation,
            act=letter.performative,
            protocol=envelope.protocol,
            at_s=self.now_s(),
        )

    def _say(self, thread: Thread, document: Concept, conversation: str) -> None:
        try:
            self.exchange.say(document, message_id=thread.said_as, conversation=conversation)
        except ParityError as error:
            self.forget(thread)
            raise Failed(f"cannot be said outside: {error}") from error

    def thread_of(self, message_id: str) -> Thread | None:
        """Return the thread that went outside under a letter's id."""
        return next((each for each in self.threads.values() if each.said_as == message_id), None)

    def conclude(self, thread: Thread, act: Act, content: Concept) -> None:
        """Answer a thread's newest letter, and those that repeat it later."""
        thread.answer = act, message_type_of(type(content)), encode_body(content)
        self._keep(thread)
        self._answer(thread)

    def forget(self, thread: Thread) -> None:
        """Let a thread go: what is repeated is said outside again."""
        self.threads.pop(thread.key, None)
        self.keep(_THREAD + thread.key, None)

    def _answer(self, thread: Thread) -> None:
        assert thread.answer is not None
        act, message_type, body = thread.answer
        self.agent.post.send(
            thread.sender,
            decode_body(message_type, body),
            act,
            conversation=thread.conversation,
            in_reply_to=thread.message_id,
            protocol=thread.protocol,
        )

    def _keep(self, thread: Thread) -> None:
        self.threads[thread.key] = thread
        self.keep(_THREAD + thread.key, msgspec.json.encode(thread))

    # -- in -------------------------------------------------------------------------------------

    async def bring(
        self,
        content: Concept,
        act: Act,
        by_s: float,
        *,
        conversation: str = "",
        within_s: float = ANSWER_WITHIN_S,
    ) -> Letter:
        """Ask inside until somebody answers, and return the answer.

        Raises: Refused, NotUnderstood, Failed as they say, Unavailable when nobody has answered by a time.
        """
        while True:
            try:
                return await self.agent.post.ask(
                    self.settings.inside,
                    content,
                    self.clock.now_s() + within_s,
                    act,
                    conversation=conversation,
                )
            except Unavailable:
                if self.clock.now_s() + AGAIN_S > by_s:
                    raise
                self.agent.counts["asked inside again"] += 1
                await self.clock.sleep_until(self.clock.now_s() + AGAIN_S)

    async def bring_and_respond(
        self, heard: Heard, document: TradeDocument, content: Concept, act: Act, by_s: float
    ) -> bool:
        """Ask inside and respond outside as they answer; tell whether they took it."""
        try:
            letter = await self.bring(content, act, by_s)
        except ParityError as error:
            self.respond(heard, document, self.told(error))
            return False
        self.know(heard, letter.in_reply_to)
        answer = letter.content
        reasons = answer.reasons if isinstance(answer, FlexResponse) else []
        self.respond(heard, document, reasons)
        return not reasons

    def respond(self, heard: Heard, document: TradeDocument, reasons: Iterable[str] = ()) -> None:
        """Respond to a document, rejected when there are reasons; once."""
        self.respond_to(heard.message_id, heard.conversation, document, reasons)

    def respond_to(
        self, message_id: str, conversation: str, document: TradeDocument, reasons: Iterable[str] = ()
    ) -> None:
        """Respond to a document of an id and a conversation outside."""
        said_as, why = f"response to {message_id}", list(reasons)
        if self.exchange.has_said(said_as):
            return
        self.agent.counts["rejected outside" if why else "accepted outside"] += 1
        response = FlexResponse(
            document=document,
            reference_message_id=message_id,
            result=ResponseResult.REJECTED if why else ResponseResult.ACCEPTED,
            reasons=why,
        )
        self.exchange.say(response, message_id=said_as, conversation=conversation, in_reply_to=message_id)

    def told(self, error: ParityError) -> list[str]:
        """Return what somebody inside objected, without saying outside who."""
        return [each for each in str(error).removeprefix(f"{self.settings.inside}: ").split("; ") if each]

    # -- ids ------------------------------------------------------------------------------------

    def know(self, heard: Heard, letter_id: str) -> None:
        """Note which letter told inside what came from outside."""
        relayed = _Relayed(heard.message_id, letter_id, heard.conversation, self.now_s())
        self._note(relayed)
        self.keep(_KNOWN + relayed.outside, msgspec.json.encode(relayed))

    def _note(self, relayed: _Relayed) -> None:
        self._relayed[relayed.outside] = self._relayed[relayed.inside] = relayed

    def has_told(self, message_id: str) -> bool:
        """Tell whether something from outside has been told inside, by its id in either world."""
        return message_id in self._relayed

    def inside(self, message_id: str) -> str:
        """Return the letter that told a document from outside; the id itself where there was none."""
        relayed = self._relayed.get(message_id)
        return relayed.inside if relayed else message_id

    def outside(self, letter_id: str) -> tuple[str, str]:
        """Return id and conversation outside of what a letter told.

        Raises: Failed when it came from somewhere else.
        """
        relayed = self._relayed.get(letter_id)
        if relayed is None:
            raise Failed(f"unknown reference: {letter_id} did not come from {self.settings.domain}")
        return relayed.outside, relayed.conversation

    # -- what both sides answer -------------------------------------------------------------------

    def answered(self, heard: Heard) -> None:
        """Answer the letter that a response from outside is about."""
        thread = self.thread_of(heard.in_reply_to)
        if thread is None:
            self._note_objection(heard.content)
        elif thread.act is Act.CFP:
            if isinstance(heard.content, Refusal | FailureReport):
                self.conclude(thread, Act.REFUSE, Refusal(reason=heard.content.reason))
        elif _is_undelivered(heard) and not thread.key.startswith("order "):
            self.forget(thread)
        elif isinstance(heard.content, FlexResponse):
            self.conclude(thread, Act.INFORM, heard.content)
        else:
            self.conclude(thread, heard.act, heard.content)

    def _note_objection(self, content: Concept) -> None:
        """Tell inside what was objected to something that expects no answer."""
        if isinstance(content, FlexResponse) and content.result is ResponseResult.REJECTED:
            self.agent.counts[f"{content.document} rejected outside"] += 1
            log.warning("rejected outside", document=content.document, reasons=content.reasons)
            self.tell(self.settings.inside, content)
        elif isinstance(content, FailureReport):
            self.agent.counts["undelivered outside"] += 1

    @every(minutes=60)
    def let_go(self) -> None:
        """Forget what is more than a month old."""
        old_s = self.now_s() - REMEMBERED_S
        for thread in [each for each in self.threads.values() if each.at_s < old_s]:
            self.forget(thread)
        for relayed in {each.outside: each for each in self._relayed.values() if each.at_s < old_s}.values():
            self._relayed.pop(relayed.outside, None)
            self._relayed.pop(relayed.inside, None)
            self.keep(_KNOWN + relayed.outside, None)


def _is_undelivered(heard: Heard) -> bool:
    """Tell whether a failure is the exchange's own: what could not be delivered may be said again."""
    return heard.message_id.startswith("undelivered ")
