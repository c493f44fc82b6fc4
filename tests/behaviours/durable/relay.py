"""A chain of three agents for tests of delivery: the operator says, the oracle hands on, the market reads.

What each has read it counts by number in its store, so a letter that is lost or read twice shows.
"""

from collections import Counter
from typing import Any

import msgspec
from post_office import START_S, Town

from behaviours.agent import Agent
from behaviours.behaviour import Behaviour, on
from environments.repository import MemoryAgentStore
from ontology.errors import Unavailable
from ontology.grid import GridState, GridStatusEvent
from ontology.market import GREEN_PARAMETERS, LemParameters
from ontology.roles import Role

DSO, ORACLE, MARKET = "dso@town", "oracle@town", "market@town"


def light(number: int) -> GridStatusEvent:
    """Return a traffic light that one can tell by its number."""
    start_s = START_S + 900 * number
    return GridStatusEvent(
        segment_id="feeder",
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=start_s,
        state=GridState.GREEN,
        causes=[],
        loading=0.1,
        voltage_min_pu=1.0,
        voltage_max_pu=1.0,
    )


def number_of(event: GridStatusEvent) -> int:
    return (event.start_s - START_S) // 900


class Counting(Behaviour):
    """Counts what it reads, in its store."""

    @on(GridStatusEvent)
    def count(self, event: GridStatusEvent, letter: Any) -> None:
        name = f"read {number_of(event):06d}"
        self.keep(name, str(int(self.agent.kept_bytes(name) or b"0") + 1).encode())


class HandingOn(Counting):
    """Counts what it reads, and hands it on in the same breath."""

    @on(GridStatusEvent)
    def count(self, event: GridStatusEvent, letter: Any) -> None:
        super().count(event, letter)
        self.tell(MARKET, event)


ROLES = {DSO: (Role.DSO, Behaviour), ORACLE: (Role.ORACLE, HandingOn), MARKET: (Role.BLOCKCHAIN, Counting)}


class Relay:
    """The three agents in a town, each of which may die and come back."""

    def __init__(self, town: Town, store: Any = None) -> None:
        self.town = town
        town.durable = True
        town.store = store or MemoryAgentStore()
        self.agents: dict[str, Agent] = {}
        self.graveyard: Counter[str] = Counter()
        for address, (role, _) in ROLES.items():
            town.register(address.partition("@")[0], role)
        for address in ROLES:
            self.start(address)

    def start(self, address: str) -> None:
        """Bring an agent to life, or back to it."""
        role, behaviour = ROLES[address]
        self.agents[address] = self.town.agent(address.partition("@")[0], role, behaviour)

    def is_running(self, address: str) -> bool:
        return address in self.agents and self.agents[address].is_running

    def kill(self, address: str) -> None:
        agent = self.agents[address]
        self.graveyard.update(agent.counts + agent.post.counts)
        agent.kill()

    def say(self, *numbers: int) -> None:
        """Let the operator say lights, if it lives."""
        if self.agents[DSO].is_running:
            for number in numbers:
                self.town.soon(self.agents[DSO].tell, ORACLE, light(number))

    def say_what_is_none_of_its_business(self) -> None:
        """Say the oracle what oracles may not be told."""
        report = LemParameters(**msgspec.structs.asdict(GREEN_PARAMETERS))
        self.town.soon(self.agents[DSO].tell, ORACLE, report)

    def read(self, address: str) -> list[int]:
        """Return the numbers that an agent has read, in their order, each as often as it was read."""
        kept = sorted(self.town.store.load(address).items())
        counts = {int(name.removeprefix("read ")): int(n) for name, n in kept if name.startswith("read ")}
        return [number for number, times in counts.items() for _ in range(times)]

    def has_written(self, address: str, number: int) -> bool:
        """Whether the letter of that number is in the store of the agent, or was before it was confirmed."""
        kept = self.town.store.load(address).items()
        return any(int(value) >= number for name, value in kept if name.startswith("sent "))

    def unconfirmed(self, address: str) -> int:
        """Return how many letters an agent still has in its outbox, as written down."""
        return sum(name.startswith("outbox ") for name in self.town.store.load(address))


class MortalStore(MemoryAgentStore):
    """A store whose user dies at a transaction: before it is written, or right after."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths: dict[int, bool] = {}
        """By number of the transaction: whether it was still written."""
        self.transactions = 0
        self.dies: Any = None
        self.is_mortal: Any = lambda agent: False
        self.dead: list[str] = []

    def commit(self, agent: str, changes: Any) -> None:
        self.transactions += 1
        is_written = self.deaths.get(self.transactions)
        if is_written is None or not self.is_mortal(agent):
            super().commit(agent, changes)
            return
        if is_written:
            super().commit(agent, changes)
        self.dead.append(agent)
        self.dies(agent)
        raise Unavailable("the process died")
