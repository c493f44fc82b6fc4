"""Behaviours: what an agent does, declared by message type, by time and by event.

```python
class Bidding(Behaviour):
    @on(CallForFlexibility)
    async def offer(self, call, letter): ...     # a returned concept is the reply

    @every(minutes=15, offset_s=20)
    def publish_forecast(self): ...

    @when("started")
    def introduce(self): ...
```
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.performatives import Performative

if TYPE_CHECKING:
    import numpy as np

    from behaviours.agent import Agent
    from behaviours.ports import Clock

__all__ = ["Behaviour", "Occasion", "Rhythm", "every", "on", "when"]

F = TypeVar("F", bound=Callable[..., Any])
B = TypeVar("B", bound="Behaviour")
C = TypeVar("C", bound=Concept)

Period = float | Callable[[Any], float]


class Occasion(NamedTuple):
    """A message type that a handler answers, for one performative or (None) for any."""

    message_type: str
    performative: Performative | None


class Rhythm(NamedTuple):
    """A period in seconds, aligned to the epoch, and the offset within it.

    A callable period is asked with the agent's settings; zero or less means never.
    """

    period_s: Period
    offset_s: float


def on(concept: type[Concept], act: Performative | None = None) -> Callable[[F], F]:
    """Declare a method as the handler of a message type, optionally of one performative only."""
    occasion = Occasion(message_type_of(concept), act)
    return _declare("__occasions__", occasion)


def every(*, seconds: Period = 0, minutes: float = 0, offset_s: float = 0) -> Callable[[F], F]:
    """Declare a method to be called periodically, aligned to the epoch (so to market intervals)."""
    period_s = seconds if callable(seconds) else seconds + 60 * minutes
    return _declare("__rhythms__", Rhythm(period_s, offset_s))


def when(event: str) -> Callable[[F], F]:
    """Declare a method to be called at an event of the agent: `started`, `connected`, `stopping`."""
    return _declare("__events__", event)


def _declare(kind: str, what: object) -> Callable[[F], F]:
    def mark(method: F) -> F:
        setattr(method, kind, (*getattr(method, kind, ()), what))
        return method

    return mark


class Behaviour:
    """One thing that an agent does; several make an agent.

    `settings` are the agent's, read-only; `rng` is seeded by (run seed, agent).
    """

    publishes: ClassVar[tuple[type[Concept], ...]] = ()
    """Concepts that others may subscribe to."""

    def __init__(self, agent: "Agent") -> None:
        """Join an agent; override `setup` rather than this."""
        self.agent = agent
        self.clock: Clock = agent.clock
        self.settings: Any = agent.settings
        self.tell = agent.tell
        self.ask = agent.ask
        self.publish = agent.publish
        self.subscribe = agent.subscribe
        self.keep = agent.keep
        self.kept = agent.kept
        self.setup()

    def setup(self) -> None:
        """Prepare state before the first letter arrives; what was kept can be recalled here."""

    @property
    def rng(self) -> "np.random.Generator":
        """The agent's own seeded generator."""
        return self.agent.rng

    def now_s(self) -> int:
        """Return the agent's time in whole epoch seconds."""
        return int(self.clock.now_s())

    def sibling(self, behaviour: type[B]) -> B:
        """Return another behaviour of the same agent."""
        return self.agent.behaviour(behaviour)

    @classmethod
    def handlers(cls) -> tuple[tuple[Occasion, str], ...]:
        """Return the message types that the class handles, with the methods' names."""
        return _declared(cls, "__occasions__")

    @classmethod
    def rhythms(cls) -> tuple[tuple[Rhythm, str], ...]:
        """Return the periods at which the class acts, with the methods' names."""
        return _declared(cls, "__rhythms__")

    @classmethod
    def events(cls) -> tuple[tuple[str, str], ...]:
        """Return the events that the class reacts to, with the methods' names."""
        return _declared(cls, "__events__")


_DECLARED: dict[tuple[type, str], tuple[tuple[Any, str], ...]] = {}


def _declared(cls: type, kind: str) -> tuple[tuple[Any, str], ...]:
    """Return what methods declare, in the order of definition, overridden ones once; found once a class."""
    if (cls, kind) not in _DECLARED:
        marks = {
            name: getattr(member, "__dict__", {})
            for base in reversed(cls.__mro__)
            for name, member in vars(base).items()
            if callable(member)
        }
        _DECLARED[cls, kind] = tuple((what, name) for name in marks for what in marks[name].get(kind, ()))
    return _DECLARED[cls, kind]
