"""A small town for tests: posts and agents in virtual time, and a notebook of what became of letters."""

import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import settings

from behaviours.agent import Agent, Surroundings
from behaviours.behaviour import Behaviour
from behaviours.membership import Member
from behaviours.ports import AgentStore, Barrier, Recorder
from behaviours.post import Post
from behaviours.signing import Signer
from environments.repository import MemoryAgentStore
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import Faults, InProcessTransport
from ontology.codec import encode_body, message_type_of
from ontology.discourse import Query, QueryResult
from ontology.letter import Envelope, Letter
from ontology.measurements import Measurement, Quantity
from ontology.roles import Role

START_S = 1_750_000_500
"""An interval start: a whole multiple of 900."""

some = settings(deadline=None, max_examples=25)
"""How many examples a property gets, on machines of any speed."""


class Notebook:
    """The `Recorder` port: a list of (message type, outcome), and of (message type, act)."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []
        self.acts: list[tuple[str, str]] = []

    def record(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        self.noted.append((envelope.message_type, outcome))
        self.acts.append((envelope.message_type, envelope.performative))


class Mailbox(Post):
    """A post that nobody sits behind: what it receives lies in `read`."""

    def __init__(self, member: Member, **ports: Any) -> None:
        self.read: list[Letter] = []
        super().__init__(member, deliver=self.read.append, **ports)

    @property
    def values(self) -> list[float]:
        """The values of the measurements that came, as they came."""
        return [letter.content.value for letter in self.read]  # type: ignore[attr-defined]


class Town:
    """A community in virtual time; its members are `name@town`."""

    def __init__(
        self, *, faults: Faults | None = None, seed: int = 0, store: AgentStore | None = None
    ) -> None:
        self.loop = VirtualLoop(START_S)
        self.clock = VirtualClock(self.loop)
        self.transport: Any = InProcessTransport(faults=faults, seed=seed)
        self.store = store or MemoryAgentStore()
        self.members: dict[str, Member] = {}
        self.notebook = Notebook()
        self.seed = seed
        self.presence: Any = None

    def __enter__(self) -> "Town":
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    def register(
        self,
        name: str,
        role: Role,
        *,
        signer: Signer | None = None,
        site: str = "",
        assets: tuple[str, ...] = (),
    ) -> Member:
        """Make a name known to everybody."""
        verify_key = signer.verify_key if signer else b""
        member = self.members[f"{name}@town"] = Member(f"{name}@town", role, site, verify_key, assets=assets)
        return member

    def mailbox(
        self,
        name: str,
        role: Role,
        *,
        site: str = "",
        run_id: str = "run",
        signer: Signer | None = None,
        barrier: Barrier | None = None,
    ) -> Mailbox:
        """Open a post that only collects what it receives."""
        mailbox = Mailbox(
            self.register(name, role, signer=signer, site=site),
            clock=self.clock,
            transport=self.transport,
            membership=self.members,
            run_id=run_id,
            recorder=self.notebook,
            barrier=barrier,
            signer=signer,
        )
        mailbox.open()
        return mailbox

    def agent(
        self,
        name: str,
        role: Role,
        *behaviours: type[Behaviour],
        settings: Any = None,
        site: str = "",
        signer: Signer | None = None,
        **ports: Any,
    ) -> Agent:
        """Let an agent with some behaviours live here; asked for again, it is the restarted one."""
        cls = type(name.title(), (Agent,), {"role": role, "behaviours": behaviours})
        surroundings = dataclasses.replace(self.surroundings(), signer=signer, **ports)
        agent = cls(self.register(name, role, site=site, signer=signer), settings, surroundings)
        self.soon(agent.start)
        return agent

    def surroundings(self, recorder: Recorder | None = None) -> Surroundings:
        """Return what the agents of the town are handed."""
        return Surroundings(
            clock=self.clock,
            transport=self.transport,
            membership=self.members,
            store=self.store,
            run_id="run",
            seed=self.seed,
            presence=self.presence,
            recorder=recorder or self.notebook,
        )

    def run(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        self.clock.advance_to(self.clock.now_s() + seconds)

    def soon(self, do: Callable[..., Any], *arguments: Any) -> Any:
        """Do something in the town, let its letters arrive, and return (or raise) what came of it."""

        async def doing() -> Any:
            return do(*arguments)

        return self.outcome(doing(), within_s=0.01)

    def outcome(self, work: Coroutine[Any, Any, Any], within_s: float = 60.0) -> Any:
        """Let time pass and return (or raise) what came of a conversation."""
        tasks: list[Any] = []
        self.loop.call_soon(lambda: tasks.append(self.loop.create_task(work)))
        self.run(within_s)
        return tasks[0].result()


def measured(value: float, subject: str = "meter") -> Measurement:
    """Return a measurement that one can tell by its value; a gateway tells it a battery's agent."""
    return Measurement(subject=subject, quantity=Quantity.ACTIVE_POWER_W, time_s=START_S, value=value)


def question(subject: str = "meter") -> Query:
    """Return a question that every role may ask every other."""
    return Query(entity=message_type_of(Measurement), subject=subject, latest=True)


def found(*values: float) -> QueryResult:
    """Return the answer to a question."""
    return QueryResult(entity=message_type_of(Measurement), items=[measured(value) for value in values])


def letter_no(sequence: int, **changes: Any) -> Envelope:
    """Return the gateway's letter of that number to the battery's agent, as it comes from outside."""
    fields: dict[str, Any] = {
        "performative": "inform",
        "sender": "gateway@town",
        "to": "bess@town",
        "message_type": message_type_of(Measurement),
        "conversation": "abroad/gateway>bess",
        "sequence": sequence,
        "message_id": f"abroad/gateway>bess#{sequence}",
        "sent_at_s": START_S,
        "body": encode_body(measured(sequence)),
    }
    return Envelope(**(fields | changes))
