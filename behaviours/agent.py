"""The agent: an address, a role and the behaviours that make it what it is.

An agent is handed everything that differs between a pilot and a simulation (clock, transport,
devices, repository, ledger) and knows nothing of which it is.
"""

import asyncio
import inspect
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any, ClassVar, NamedTuple, TypeVar
from zlib import crc32

import numpy as np
import structlog

from behaviours.behaviour import Behaviour, Occasion, Rhythm
from behaviours.membership import Member, Membership
from behaviours.ports import (
    AgentStore,
    Attestor,
    Barrier,
    Cancellable,
    Clock,
    Device,
    FlexibilityExchange,
    Ledger,
    MarketRegister,
    MonitoringSystem,
    NetworkEvents,
    Presence,
    Recorder,
    Repository,
    SampleIntake,
    SampleSource,
    ServiceLevels,
    Transport,
    WeatherService,
)
from behaviours.post import ANSWERABLE, Post, error_reply
from behaviours.protocols.subscription import Subscriptions
from behaviours.registry_port import UserRegistry
from behaviours.signing import Signer
from ontology.base import Concept
from ontology.codec import decode_body, encode_body, message_type_of
from ontology.discourse import Acknowledgement, FailureReport, Refusal, Rejection
from ontology.errors import Failed, ParityError, Problem
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.roles import Role

__all__ = ["Agent", "Fault", "Surroundings"]

log = structlog.get_logger()

B = TypeVar("B", bound=Behaviour)
C = TypeVar("C", bound=Concept)

_REPLY_TO = {
    Performative.REQUEST: Performative.INFORM,
    Performative.QUERY_REF: Performative.INFORM,
    Performative.QUERY_IF: Performative.INFORM,
    Performative.CFP: Performative.PROPOSE,
    Performative.PROPOSE: Performative.ACCEPT_PROPOSAL,
    Performative.SUBSCRIBE: Performative.AGREE,
}
_ERROR_ACT: dict[type[Concept], Performative] = {
    Refusal: Performative.REFUSE,
    FailureReport: Performative.FAILURE,
    Rejection: Performative.NOT_UNDERSTOOD,
}


FAULTS_KEPT = 20


class Fault(NamedTuple):
    """A bug that a handler met: when (epoch seconds), in which handler, and what it said."""

    time_s: float
    where: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an agent is handed: its world, as ports."""

    clock: Clock
    transport: Transport
    membership: Membership
    store: AgentStore
    run_id: str
    seed: int = 0
    recorder: Recorder | None = None
    barrier: Barrier | None = None
    signer: Signer | None = None
    devices: Sequence[Device] = ()
    repository: Repository | None = None
    samples: SampleIntake | None = None
    outbox: SampleSource | None = None
    registry: UserRegistry | None = None
    ledger: Ledger | None = None
    attestor: Attestor | None = None
    service_levels: ServiceLevels | None = None
    register: MarketRegister | None = None
    weather: WeatherService | None = None
    monitoring: MonitoringSystem | None = None
    exchange: FlexibilityExchange | None = None
    presence: Presence | None = None
    network_events: NetworkEvents | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Agent:
    """An autonomous member of a community; a subclass names its role and its behaviours."""

    role: ClassVar[Role]
    behaviours: ClassVar[tuple[type[Behaviour], ...]] = ()

    def __init__(self, member: Member, settings: Any, surroundings: Surroundings) -> None:
        """Come into being, silent until started."""
        self.member = member
        self.address = member.address
        self.settings = settings
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.counts: Counter[str] = Counter()
        self.faults: deque[Fault] = deque(maxlen=FAULTS_KEPT)
        """The last errors of its handlers, the newest last."""
        self._kept = surroundings.store.load(member.address)
        self._changes: dict[str, bytes | None] = {}
        self.boots = self._count_boot()
        self.post = Post(
            member,
            clock=surroundings.clock,
            transport=surroundings.transport,
            membership=surroundings.membership,
            run_id=f"{surroundings.run_id}.{self.boots}",
            deliver=self._dispatch,
            recorder=surroundings.recorder,
            barrier=surroundings.barrier,
            signer=surroundings.signer,
        )
        self._recall_marks()
        self.subscriptions = Subscriptions(self)
        self._timers: dict[str, Cancellable] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handling: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._running = False
        self._behaviours = {cls: cls(self) for cls in self.behaviours}
        self._answers: dict[tuple[str, Performative], tuple[Callable[..., Any], ...]] = {}

    # -- who it is ----------------------------------------------------------------------------

    @cached_property
    def rng(self) -> np.random.Generator:
        """The agent's own generator, seeded by (run seed, address)."""
        return np.random.default_rng([self.surroundings.seed, crc32(self.address.encode())])

    @classmethod
    def handlers(cls) -> dict[str, list[Occasion]]:
        """Return what each behaviour answers, by the behaviour's name."""
        return {b.__name__: [occasion for occasion, _ in b.handlers()] for b in cls.behaviours}

    def behaviour(self, behaviour: type[B]) -> B:
        """Return one of the agent's behaviours."""
        found = self._behaviours[behaviour]
        assert isinstance(found, behaviour)
        return found

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the post, wind up the periodic behaviours and tell them that the agent lives."""
        self._running = True
        self.post.open()
        for behaviour in self._behaviours.values():
            for rhythm, name in behaviour.rhythms():
                self._wind_up(rhythm, name, getattr(behaviour, name))
        self.emit("started")

    def stop(self) -> None:
        """Say farewell and fall silent."""
        self.emit("stopping")
        self.kill()

    def kill(self) -> None:
        """Fall silent at once, as a crash would."""
        self._running = False
        self.post.close()
        for timer in self._timers.values():
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()

    @property
    def inbox(self) -> int:
        """How many letters wait for their turn, or are being worked on."""
        return self.post.waiting + len(self._handling)

    def emit(self, event: str) -> None:
        """Let the behaviours react to an event."""
        for behaviour in self._behaviours.values():
            for name, method in behaviour.events():
                if name == event:
                    self._run(getattr(behaviour, method), (), None)

    # -- saying things ------------------------------------------------------------------------

    def tell(self, to: str, content: Concept, act: Performative = Performative.INFORM) -> str:
        """Say something that expects no answer; return the message id.

        What was kept before is committed before the letter leaves.
        """
        if self._changes:
            self.commit()
        return self.post.send(to, content, act)

    async def ask(
        self,
        to: str,
        content: Concept,
        answer: type[C],
        *,
        within_s: float = 5.0,
        act: Performative = Performative.REQUEST,
    ) -> C:
        """Ask for an answer of a type.

        Raises: Refused, NotUnderstood, Failed as the other side says, or when the answer is of
        another type; Unavailable when none comes within the time.
        """
        self.commit()
        letter = await self.post.ask(to, content, self.clock.now_s() + within_s, act)
        if not isinstance(letter.content, answer):
            raise Failed(f"{to} answered {letter.message_type}, not {message_type_of(answer)}")
        return letter.content

    def publish(self, content: Concept, subject: str = "") -> None:
        """Inform all who subscribed to this kind of content (and, if they named one, to this subject)."""
        self.commit()
        self.subscriptions.publish(content, subject)

    def subscribe(self, to: str, concept: type[Concept], subject: str = "") -> None:
        """Ask to be informed of what another publishes; asked again until it agrees."""
        self.spawn(self.subscriptions.subscribe(to, concept, subject))

    # -- remembering --------------------------------------------------------------------------

    def keep(self, name: str, content: Concept | bytes | None) -> None:
        """Remember something over a restart; committed when the present handler ends."""
        raw = encode_body(content) if isinstance(content, Concept) else content
        self._changes[name] = raw
        if raw is None:
            self._kept.pop(name, None)
        else:
            self._kept[name] = raw

    def kept(self, name: str, concept: type[C]) -> C | None:
        """Recall what was kept under a name."""
        raw = self._kept.get(name)
        if raw is None:
            return None
        content = decode_body(message_type_of(concept), raw)
        assert isinstance(content, concept)
        return content

    def kept_bytes(self, name: str) -> bytes | None:
        """Recall what was kept as bytes under a name."""
        return self._kept.get(name)

    def kept_names(self, prefix: str) -> list[str]:
        """Return the names that begin with a prefix, sorted."""
        return sorted(name for name in self._kept if name.startswith(prefix))

    def commit(self) -> None:
        """Write what changed, in one transaction; what is not taken goes with the next.

        Raises: Unavailable when the store does not take it.
        """
        if self._changes:
            self.surroundings.store.commit(self.address, self._changes)
            self._changes = {}

    def _count_boot(self) -> int:
        boot = int(self._kept.get("boot", b"0")) + 1
        self.keep("boot", str(boot).encode())
        self.commit()
        return boot

    def _recall_marks(self) -> None:
        for name in self.kept_names("mark "):
            _, sender, conversation = name.split(" ", 2)
            self.post.recall_mark(sender, conversation, int(self._kept[name]))

    # -- acting -------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes a while, supervised."""
        self._follow(self._finish(work, getattr(work, "__qualname__", "task"), None))

    def _follow(self, work: Coroutine[Any, Any, None], letter: Letter | None = None) -> None:
        """Run a coroutine as a task that a crash of the agent ends, and who asked for it may cancel."""
        task = asyncio.get_running_loop().create_task(work)
        if task.done():
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if letter is not None and letter.performative in ANSWERABLE:
            key = (letter.sender, letter.conversation)
            self._handling[key] = task
            task.add_done_callback(lambda _: self._handling.pop(key, None))

    def _wind_up(self, rhythm: Rhythm, name: str, method: Callable[[], Any]) -> None:
        """Call a periodic behaviour at its next turn, and so on for ever."""
        period_s = rhythm.period_s(self.settings) if callable(rhythm.period_s) else rhythm.period_s
        if period_s <= 0:
            return
        due_s = next_turn_s(self.clock.now_s(), period_s, rhythm.offset_s)
        key = f"{method.__qualname__}:{period_s}:{rhythm.offset_s}"

        def turn() -> None:
            nonlocal due_s
            if self._running:
                self._run(method, (), None)
                due_s = max(due_s + period_s, next_turn_s(self.clock.now_s(), period_s, rhythm.offset_s))
                self._timers[key] = self.clock.call_at(due_s, turn)

        self._timers[key] = self.clock.call_at(due_s, turn)

    def _dispatch(self, letter: Letter) -> None:
        """Bring a letter to every handler that answers its type and performative."""
        key = (letter.envelope.message_type, letter.performative)
        methods = self._answers.get(key)
        if methods is None:
            methods = self._answers[key] = tuple(self._methods_for(*key))
        if letter.performative is Performative.CANCEL and self._cancel(letter):
            return
        if not methods:
            self._run(_decline_unhandled, (letter,), letter)
        for method in methods:
            self._run(method, (letter.content, letter), letter)

    def _cancel(self, letter: Letter) -> bool:
        """End the work on an earlier letter of the conversation (FIPA cancel); tell whether there was any."""
        task = self._handling.pop((letter.sender, letter.conversation), None)
        if task is None or not task.cancel():
            return False
        self.counts["cancelled"] += 1
        self.post.reply(letter, Acknowledgement(of=letter.message_id), Performative.INFORM)
        return True

    def _methods_for(self, message_type: str, act: Performative) -> Iterable[Callable[..., Any]]:
        if message_type == Subscriptions.MESSAGE_TYPE:
            yield self.subscriptions.handle
        for behaviour in self._behaviours.values():
            for occasion, name in behaviour.handlers():
                if occasion.message_type == message_type and occasion.performative in (None, act):
                    yield getattr(behaviour, name)

    def _run(self, method: Callable[..., Any], arguments: tuple[Any, ...], letter: Letter | None) -> None:
        """Run a handler; whatever it returns is the reply, whatever it raises kills nobody."""
        try:
            result = method(*arguments)
            if result is None and not self._changes:
                return
            if inspect.iscoroutine(result):
                self._follow(self._finish(result, method.__qualname__, letter), letter)
                return
            if self._changes:
                self._remember_mark(letter)
                self.commit()
            self._reply(letter, result)
        except Exception as error:
            if self._changes:
                self._remember_mark(letter)
            self._fail(method.__qualname__, letter, error)

    async def _finish(self, work: Coroutine[Any, Any, Any], name: str, letter: Letter | None) -> None:
        try:
            result = await work
            self.commit()
            self._reply(letter, result)
        except Exception as error:
            self._fail(name, letter, error)

    def _fail(self, where: str, letter: Letter | None, error: Exception) -> None:
        """Write down what a handler changed before it failed, if that is possible, and say that it failed."""
        with suppress(Exception):
            self.commit()
        self._report(where, letter, error)

    def _reply(self, letter: Letter | None, result: Any) -> None:
        if letter is not None and isinstance(result, Concept):
            act = _ERROR_ACT.get(type(result)) or _REPLY_TO.get(letter.performative, Performative.INFORM)
            self.post.reply(letter, result, act)

    def _remember_mark(self, letter: Letter | None) -> None:
        """Keep, with the state that a letter changed, that this letter has been read.

        Only standing conversations are marked: a request that is repeated comes in a new one, and
        its handler recognises it by its content.
        """
        if letter is not None and ">" in letter.conversation:
            self._changes[f"mark {letter.sender} {letter.conversation}"] = str(letter.sequence).encode()

    def _report(self, where: str, letter: Letter | None, error: Exception) -> None:
        """Log and count what went wrong in a handler, and answer whoever waits."""
        expected = isinstance(error, ParityError)
        self.counts["refusals" if expected else "errors"] += 1
        if not expected:
            self.faults.append(Fault(self.clock.now_s(), where, f"{type(error).__name__}: {error}"[:300]))
            log.error(
                "handler failed",
                agent=self.address,
                where=where,
                conversation=letter.conversation if letter else "",
                exc_info=error,
            )
        if letter is not None and letter.performative in ANSWERABLE:
            act, content = error_reply(error)
            self.post.reply(letter, content, act)


def next_turn_s(now_s: float, period_s: float, offset_s: float) -> float:
    """Return the next epoch second that is an offset after a multiple of a period, now included."""
    return offset_s + ceil((now_s - offset_s) / period_s) * period_s


def _decline_unhandled(letter: Letter) -> Rejection | FailureReport | None:
    """Say that nobody here handles such a letter, to who expects an answer."""
    if letter.performative is Performative.CANCEL and isinstance(letter.content, Acknowledgement):
        return FailureReport(reason="nothing to call off")
    if letter.performative in ANSWERABLE:
        return Rejection(
            problems=[Problem("type", letter.message_type, "a message type that is handled here")]
        )
    return None
