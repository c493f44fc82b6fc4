"""The composition root: agents, world, ledger and transport joined into a community that runs.

`OfflineCommunity` lives in virtual time, `LiveCommunity` on an XMPP server with a scaled clock; both
hold the same agents, and only what those are handed differs.
"""

import asyncio
import gc
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from behaviours.agent import Agent, Surroundings
from behaviours.membership import Member
from behaviours.ports import AgentStore, Barrier, Clock, Ledger, Recorder, Repository, Transport
from behaviours.signing import Signer
from contracts.ledger import EvmLedger
from environments.repository.agent_store import MemoryAgentStore, SqliteAgentStore
from environments.repository.memory import MemoryRepository
from environments.repository.recorder import SqliteRecorder
from environments.simulation.clock import ScaledClock, VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import Faults, InProcessTransport
from environments.simulation.world import World
from launch.cast import Cast, Part, cast_community
from launch.results import run_tables
from launch.run_folder import Progress, RunFolder, RunResult
from launch.scenario import Scenario, intervals_of, scenario_hash
from launch.world_settings import world_settings
from ontology.base import INTERVAL_S
from ontology.weather import WeatherForecast

__all__ = ["Community", "OfflineCommunity", "run_offline"]

log = structlog.get_logger()

RETENTION_S = {"parity:Forecast": 3_600, "parity:IntervalReading": 2 * 86_400}
"""What an offline run forgets: nobody asks for older forecasts and readings."""

SETTLING_S = 300
"""How long into the interval after the last one agents run on, so that the last one is settled."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all agents of a community stand on."""

    clock: Clock
    transport: Transport
    store: AgentStore
    repository: Repository
    ledger: Ledger
    recorder: Recorder | None = None
    barrier: Barrier | None = None


class WorldWeather:
    """The weather service of a simulated world."""

    def __init__(self, world: World) -> None:
        """Forecast the weather of a world."""
        self._world = world

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return the present forecast."""
        return self._world.weather.forecast(self._world.now_s)


class Community:
    """The agents of a scenario on some ground, startable one by one."""

    def __init__(self, scenario: Scenario, world: World, ground: Ground, cast: Cast) -> None:
        """Bring all agents into being; none runs yet."""
        self.scenario = scenario
        self.world = world
        self.ground = ground
        self.cast = cast
        self._parts = {part.address: part for part in cast.parts}
        self._signers = {part.address: _signer(scenario, part.address) for part in cast.parts}
        self.membership = {
            part.address: Member(
                part.address, part.agent.role, part.site, self._signers[part.address].verify_key
            )
            for part in cast.parts
        }
        self.agents: dict[str, Agent] = {}

    def start(self) -> None:
        """Start every agent: first all listen, then all speak."""
        for address in self._parts:
            self.agents[address] = self._create(address)
        for agent in self.agents.values():
            agent.post.open()
        for agent in self.agents.values():
            agent.start()

    def kill(self, address: str) -> None:
        """Let an agent die at once, as in a crash."""
        self.agents.pop(address).kill()

    def restart(self, address: str) -> None:
        """Bring a dead agent back; it remembers what it kept."""
        self.agents[address] = self._create(address)
        self.agents[address].start()

    @property
    def letters(self) -> int:
        """How many letters have been read."""
        return sum(agent.post.counts["received"] for agent in self.agents.values())

    def counts(self) -> Mapping[str, int]:
        """Return what happened how often, summed over all agents."""
        total: dict[str, int] = {}
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
            signer=self._signers[address],
            **self._ports(part),
        )
        return part.agent(self.membership[address], part.settings, surroundings)

    def _ports(self, part: Part) -> dict[str, Any]:
        """Return the ports of an agent; `...` stands for the community's own."""
        own = {
            "repository": self.ground.repository,
            "ledger": self.ground.ledger,
            "weather": WorldWeather(self.world),
        }
        return {name: own[name] if port is ... else port for name, port in part.ports.items()}


class OfflineCommunity:
    """A community in virtual time: deterministic, as fast as its work."""

    def __init__(self, scenario: Scenario, *, recorder: Recorder | None = None) -> None:
        """Prepare a run; nothing happens before the first `step`."""
        self.world = World(world_settings(scenario))
        start_s = self.world.settings.start_s
        self.loop = VirtualLoop(start_s)
        self.clock = VirtualClock(self.loop)
        self.transport = InProcessTransport(faults=_faults(scenario), seed=scenario.seed)
        cast = cast_community(scenario, self.world)
        ground = Ground(
            clock=self.clock,
            transport=self.transport,
            store=MemoryAgentStore(),
            repository=MemoryRepository(RETENTION_S),
            ledger=open_ledger(scenario, cast),
            recorder=recorder,
        )
        self.community = Community(scenario, self.world, ground, cast)
        self.loop.call_soon(self.community.start)

    def step(self) -> None:
        """Run one market interval: the agents up to its end, then the world, step by step."""
        end_s = self.world.now_s + INTERVAL_S
        while self.world.now_s < end_s:
            self.clock.advance_to(self.world.now_s + self.world.settings.step_s)
            self.world.step()

    def settle(self) -> None:
        """Let the agents deal with the last interval."""
        self.clock.advance_to(self.world.now_s + SETTLING_S)

    def close(self) -> None:
        """Let go of the loop."""
        self.loop.close()


def run_offline(
    scenario: Scenario, out: Path | None = None, progress: Callable[[Progress], None] = lambda _: None
) -> RunResult:
    """Run a scenario in virtual time; write a run folder when told where.

    Raises: InvalidInput when the world that the scenario describes is impossible.
    """
    began_s = time.perf_counter()
    folder = RunFolder(out, scenario, "offline") if out else None
    recorder = SqliteRecorder(folder.messages_path) if folder and scenario.record else None
    run = OfflineCommunity(scenario, recorder=recorder)
    gc.freeze()
    total, done, complete = intervals_of(scenario), 0, False
    try:
        for done in range(1, total + 1):
            run.step()
            progress(Progress(done, total, run.clock.now_s(), run.community.letters))
        complete = True
    finally:
        run.settle()
        run.close()
        if recorder:
            recorder.close()
        result = RunResult(
            scenario=scenario,
            tables=asyncio.run(run_tables(run.community)),
            mode="offline",
            complete=complete,
            letters=run.community.letters,
            wall_s=time.perf_counter() - began_s,
            accounts=run.community.cast.accounts,
            notes=notes_of(run.community),
        )
        if folder:
            folder.finish(result)
    return result


def open_ledger(scenario: Scenario, cast: Cast) -> EvmLedger:
    """Return the ledger of a scenario: an embedded chain, or a node by its address."""
    aggregator = next(account for account, name in cast.accounts.items() if name == "aggregator")
    if scenario.ledger.url == "embedded":
        return EvmLedger.embedded(aggregator)
    return EvmLedger.on_node(
        scenario.ledger.url, operator_key=Path(scenario.ledger.key_file or ""), aggregator=aggregator
    )


def notes_of(community: Community) -> tuple[str, ...]:
    """Return what a reader of the results must know."""
    counts = community.counts()
    told = {
        "readings estimated": "readings were estimated",
        "readings unknown": "readings were unknown and count as nothing",
        "grid states missing": "grid states were missing and count as green",
        "errors": "handlers failed",
        "markets disputed": "markets were disputed by the market operator",
    }
    return tuple(f"{counts[name]} {text}" for name, text in told.items() if counts.get(name))


def _run_id(scenario: Scenario) -> str:
    return hashlib.sha256(f"{scenario_hash(scenario)} {scenario.seed}".encode()).hexdigest()[:8]


def _signer(scenario: Scenario, address: str) -> Signer:
    """Derive an agent's signing key from the seed: a simulation's key, worthless anywhere else."""
    return Signer(hashlib.sha256(f"{scenario.seed} {address}".encode()).digest())


def _faults(scenario: Scenario) -> Faults | None:
    faults = scenario.faults
    if not faults.delay_s and not faults.loss:
        return None
    return Faults(delay_max_s=2 * faults.delay_s, loss=faults.loss)
