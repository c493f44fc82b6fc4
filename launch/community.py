"""The agents of a scenario on the ground that they stand on: the composition root.

`launch/offline.py` and `launch/live.py` lay the ground, in virtual time or on an XMPP server; both hold the
same agents, and only what those are handed differs.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.aggregator import Aggregator
from agents.portal import Portal
from behaviours.agent import Agent, Surroundings
from behaviours.market.opening import TrafficLightObedience
from behaviours.membership import Member
from behaviours.ports import (
    AgentStore,
    Attestor,
    Barrier,
    Clock,
    FlexibilityExchange,
    Ledger,
    Presence,
    Recorder,
    Repository,
    ServiceLevels,
    Transport,
    WeatherService,
)
from behaviours.registry_port import UserRegistry
from behaviours.signing import Signer
from environments.simulation.world import World
from launch.cast import Cast, Part
from launch.ledgers import TokenLedger, opened_ledger
from launch.registers import Registers, funded_writers, ledger_key
from launch.scenario import Scenario, scenario_hash
from launch.sharding import WHOLE, Shard
from launch.weather import WorldWeather
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, problem

__all__ = ["Community", "Ground", "attestors_of", "open_ledger"]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all agents of a community stand on."""

    clock: Clock
    transport: Transport
    store: AgentStore
    repository: Repository
    ledger: Ledger
    attestors: Mapping[str, Attestor]
    registers: Registers | None = None
    exchanges: Mapping[str, FlexibilityExchange] = field(default_factory=dict)
    """With participants outside, by the address of who stands for them."""
    service_levels: ServiceLevels | None = None
    registry: UserRegistry | None = None
    recorder: Recorder | None = None
    barrier: Barrier | None = None
    presence: Presence | None = None
    weather: WeatherService | None = None
    """None is the simulated world's."""


class Community:
    """The agents of a scenario on some ground, startable one by one."""

    def __init__(
        self, scenario: Scenario, world: World, ground: Ground, cast: Cast, shard: Shard = WHOLE
    ) -> None:
        """Bring all agents into being, or those of a shard; none runs yet."""
        self.scenario = scenario
        self.shard = shard
        self.world = world
        self.ground = ground
        self.cast = cast
        self._parts = {part.address: part for part in cast.parts}
        self._signers = {
            part.address: _signer(scenario, part.address) for part in (*cast.parts, *cast.watchers)
        }
        self.membership = {
            part.address: Member(
                part.address,
                part.agent.role,
                part.site,
                self._signers[part.address].verify_key,
                is_portal=issubclass(part.agent, Portal),
            )
            for part in (*cast.parts, *cast.watchers)
        }
        self.agents: dict[str, Agent] = {}
        self._counts_of_the_dead: Counter[str] = Counter()

    @property
    def addresses(self) -> list[str]:
        """The addresses of the agents that live here."""
        return [address for address in self._parts if self.shard.has(address)]

    def start(self) -> None:
        """Start every agent: first all listen, then all speak."""
        for address in self.addresses:
            self.agents[address] = self._create(address)
        for agent in self.agents.values():
            agent.post.open()
        for agent in self.agents.values():
            agent.start()

    def kill(self, address: str) -> None:
        """Let an agent die at once, as in a crash.

        Raises: InvalidInput when no such agent lives.
        """
        if address not in self.agents:
            raise InvalidInput(problem("address", address, "the address of a living agent"))
        agent = self.agents.pop(address)
        agent.kill()
        self._counts_of_the_dead.update(agent.counts + agent.post.counts)

    def restart(self, address: str) -> None:
        """Bring a dead agent back; it remembers what it kept."""
        self.agents[address] = self._create(address)
        self.agents[address].start()

    @property
    def letters(self) -> int:
        """How many letters have been read."""
        dead = self._counts_of_the_dead["received"]
        return dead + sum(agent.post.counts["received"] for agent in self.agents.values())

    def light(self) -> str:
        """Return the gravest traffic light that the aggregator knows of the running interval."""
        aggregator = next((a for a in self.agents.values() if isinstance(a, Aggregator)), None)
        if aggregator is None:
            return ""
        start_s = int(self.ground.clock.now_s()) // INTERVAL_S * INTERVAL_S
        return aggregator.behaviour(TrafficLightObedience).worst(start_s).value

    def counts(self) -> Mapping[str, int]:
        """Return what happened how often, summed over all agents, those that died included."""
        total: dict[str, int] = dict(self._counts_of_the_dead)
        for agent in self.agents.values():
            for counter in (agent.counts, agent.post.counts):
                for name, number in counter.items():
                    total[name] = total.get(name, 0) + number
        return total

    def _create(self, address: str) -> Agent:
        part = self._parts[address]
        surroundings = Surroundings(
            clock=self.ground.clock,
            transport=self.ground.transport,
            membership=self.membership,
            store=self.ground.store,
            run_id=_run_id(self.scenario),
            seed=self.scenario.seed,
            recorder=self.ground.recorder,
            barrier=self.ground.barrier,
            presence=self.ground.presence,
            signer=self._signers[address],
            **self._ports(part),
        )
        return part.agent(self.membership[address], part.settings, surroundings)

    def _ports(self, part: Part) -> dict[str, Any]:
        """Return the ports of an agent; `...` stands for the community's own."""
        own = {
            "repository": self.ground.repository,
            "registry": self.ground.registry,
            "ledger": self.ground.ledger,
            "weather": self.ground.weather or WorldWeather(self.world),
            "service_levels": self.ground.service_levels,
            "attestor": self.ground.attestors.get(part.address),
            "register": self.ground.registers and self.ground.registers.of(part.address),
            "exchange": self.ground.exchanges.get(part.address),
        }
        return {name: own[name] if port is ... else port for name, port in part.ports.items()}


def open_ledger(scenario: Scenario, cast: Cast, path: Path | None = None) -> TokenLedger:
    """Return the ledger of a scenario: an embedded chain (by default in a file), or a node by its address.

    Raises: Unavailable when file or node cannot be reached, Conflict when the node is of another chain, or
    the contract that is there listens to other attestors.
    """
    aggregator = next(account for account, name in cast.accounts.items() if name == "aggregator")
    attestors = [ledger_key(scenario, address).address for address in _attestor_addresses(cast)]
    funded = funded_writers(scenario, cast.parts)
    return opened_ledger(scenario, aggregator, attestors, path, funded)


def attestors_of(scenario: Scenario, cast: Cast, ledger: TokenLedger) -> Mapping[str, Attestor]:
    """Return the keys of those that vouch for settlements, by the address of the agent that holds each."""
    return {address: ledger.attestor(ledger_key(scenario, address)) for address in _attestor_addresses(cast)}


def _attestor_addresses(cast: Cast) -> list[str]:
    return [part.address for part in cast.parts if "attestor" in part.ports]


def _run_id(scenario: Scenario) -> str:
    return hashlib.sha256(f"{scenario_hash(scenario)} {scenario.seed}".encode()).hexdigest()[:8]


def _signer(scenario: Scenario, address: str) -> Signer:
    """Derive an agent's signing key from the seed: a simulation's key, worthless anywhere else."""
    return Signer(hashlib.sha256(f"{scenario.seed} {address}".encode()).digest())
