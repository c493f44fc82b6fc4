"""The composition root: agents, world, ledger and transport joined into a community that runs.

`OfflineCommunity` lives in virtual time, `LiveCommunity` on an XMPP server with a scaled clock; both
hold the same agents, and only what those are handed differs.
"""

import asyncio
import gc
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from agents.aggregator import Aggregator
from behaviours.agent import Agent, Surroundings
from behaviours.market.opening import TrafficLightObedience
from behaviours.membership import Member
from behaviours.ports import (
    AgentStore,
    Attestor,
    Barrier,
    Clock,
    Ledger,
    Presence,
    Recorder,
    Repository,
    ServiceLevels,
    Transport,
)
from behaviours.signing import Signer
from contracts.chain import Signer as LedgerSigner
from contracts.ledger import EvmLedger
from contracts.memory import MemoryLedger
from environments.live.embedded_server import EmbeddedServer
from environments.live.population import PopulationTransport
from environments.live.prosody import ProsodyServer
from environments.live.prosody import available as prosody_available
from environments.live.server import LocalServer, new_accounts
from environments.live.shards import ShardClock, ShardTransport
from environments.live.xmpp import XmppTransport
from environments.repository.agent_store import MemoryAgentStore, SqliteAgentStore
from environments.repository.memory import MemoryRepository
from environments.repository.recorder import SqliteRecorder
from environments.repository.store import SqlRepository
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import Faults, InProcessTransport
from environments.simulation.world import World
from launch.agreements import retention_s
from launch.cast import Cast, Part, cast_community
from launch.results import completed, run_tables
from launch.run_folder import Interrupted, Progress, RunFolder, RunResult
from launch.scenario import Scenario, intervals_of, scenario_hash
from launch.sharding import WHOLE, MeetingPlace, Shard, clock_of, domains_of
from launch.tables import RunTables
from launch.world_settings import world_settings
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Refused, Unavailable, problem
from ontology.weather import WeatherForecast

__all__ = ["Community", "LiveCommunity", "OfflineCommunity", "run_live", "run_offline"]

log = structlog.get_logger()

Report = Callable[[Progress], None]

MANY_AGENTS = 500
"""From here on it pays to look through all memory for what an earlier run left."""

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
    attestors: Mapping[str, Attestor]
    service_levels: ServiceLevels | None = None
    recorder: Recorder | None = None
    barrier: Barrier | None = None
    presence: Presence | None = None


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
        self._signers = {part.address: _signer(scenario, part.address) for part in cast.parts}
        self.membership = {
            part.address: Member(
                part.address, part.agent.role, part.site, self._signers[part.address].verify_key
            )
            for part in cast.parts
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
            "ledger": self.ground.ledger,
            "weather": WorldWeather(self.world),
            "service_levels": self.ground.service_levels,
            "attestor": self.ground.attestors.get(part.address),
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
        self.ledger = open_ledger(scenario, cast)
        ground = Ground(
            clock=self.clock,
            transport=self.transport,
            store=MemoryAgentStore(),
            repository=MemoryRepository(retention_s(scenario)),
            ledger=self.ledger,
            attestors=attestors_of(scenario, cast, self.ledger),
            service_levels=self.ledger.service_levels() if scenario.agreements else None,
            recorder=recorder,
        )
        self.community = Community(scenario, self.world, ground, cast)
        self.loop.call_soon(self.community.start)
        self._settled_in = False

    def step(self) -> None:
        """Run one market interval: the agents up to its end, then the world, step by step."""
        end_s = self.world.now_s + INTERVAL_S
        while self.world.now_s < end_s:
            self.clock.advance_to(self.world.now_s + self.world.settings.step_s)
            self.world.step()
        if not self._settled_in:
            self._settled_in = True
            gc.collect(2 if len(self.community.agents) > MANY_AGENTS else 1)
            gc.freeze()  # thousands of agents live as long as the run: looking through them is in vain

    def settle(self) -> None:
        """Let the agents deal with the last interval."""
        self.clock.advance_to(self.world.now_s + SETTLING_S)

    def close(self) -> None:
        """Let go of the loop, and of what the run held for good; the ledger can be asked on."""
        self.loop.close()
        gc.unfreeze()


class LiveCommunity:
    """A community on an XMPP server, every letter over the wire, with a clock that waits for them.

    ```python
    async with LiveCommunity(scenario) as live:
        await live.step()
    ```
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        recorder: Recorder | None = None,
        shard: Shard = WHOLE,
        meeting_place: MeetingPlace | None = None,
    ) -> None:
        """Prepare a run; the server starts on entering.

        Args:
            scenario: what to run.
            recorder: takes the letters.
            shard: which part of the agents lives here.
            meeting_place: the server at which shards meet; where there is one, none is started.

        Raises: InvalidInput when there are more shards than feeders.
        """
        self.scenario = scenario
        self.world = World(world_settings(scenario))
        self.shard = shard
        self.domains = domains_of(scenario, self.world, shard)
        self.clock = clock_of(scenario, self.world, shard)
        self.meeting_place = meeting_place
        self.server = None if meeting_place else server_of(scenario)
        self._recorder = recorder
        self._state = TemporaryDirectory(prefix="parity-state-")

    async def __aenter__(self) -> "LiveCommunity":
        """Start server, connections and agents.

        Raises: Unavailable when the server does not come up or refuses an agent.
        """
        cast = cast_community(self.scenario, self.world, self.domains)
        self.passwords = new_accounts(part.address for part in cast.parts if self.shard.has(part.address))
        self.transport = await self._connected()
        folder = Path(self._state.name)
        self._store = SqliteAgentStore(folder / "agents.sqlite")
        self._repository = SqlRepository(f"sqlite:///{folder / 'repository.sqlite'}")
        chain = folder / "chain.sqlite"
        self._ledger = open_ledger(self.scenario, cast, chain) if self.shard.is_first else None
        ground = Ground(
            clock=self.clock,
            transport=self.transport,
            store=self._store,
            repository=self._repository,
            ledger=self._ledger or MemoryLedger(),
            attestors=attestors_of(self.scenario, cast, self._ledger) if self._ledger else {},
            service_levels=self._levels(),
            recorder=self._recorder,
            barrier=self.clock,
            presence=self._presence,
        )
        self.community = Community(self.scenario, self.world, ground, cast, self.shard)
        for address in self.passwords:
            self.clock.expect(address)
        if isinstance(self.clock, ShardClock):
            await self.clock.meet()
        self.community.start()
        return self

    async def _connected(self) -> XmppTransport | PopulationTransport | ShardTransport:
        """Start the server and connect all agents, each by its account or all by one component."""
        if self.meeting_place is not None:
            return await self._at_the_meeting_place(self.meeting_place)
        assert self.server is not None
        if isinstance(self.server, ProsodyServer) and self.scenario.server.connection == "component":
            domain = self.scenario.server.domain
            self.server.admit(domain)
            await self.server.start()
            population = PopulationTransport(self.server.component(domain), seed=self.scenario.seed)
            await population.connect()
            return population
        for address, password in self.passwords.items():
            self.server.register(address, password)
        await self.server.start()
        transport = XmppTransport(self.server.endpoint(), seed=self.scenario.seed, now_s=self.clock.now_s)
        await transport.start_all(self.passwords)
        return transport

    async def _at_the_meeting_place(self, place: MeetingPlace) -> PopulationTransport | ShardTransport:
        """Connect the shard's component to a server that is there already."""
        own = self.shard.domain or self.scenario.server.domain
        population = PopulationTransport(
            place.component(own), populations=self.shard.others, seed=self.scenario.seed
        )
        await population.connect()
        if not isinstance(self.clock, ShardClock):
            return population
        transport = ShardTransport(population, own)
        self.clock.attach(population, transport)
        return transport

    @property
    def _presence(self) -> Presence | None:
        """Who tells of lost connections: Prosody, where each agent has one of its own."""
        if isinstance(self.transport, XmppTransport) and isinstance(self.server, ProsodyServer):
            return self.transport
        return None

    async def __aexit__(self, *_: object) -> None:
        """Stop agents, connections and server; leave nothing behind."""
        for agent in self.community.agents.values():
            agent.kill()
        await self.transport.stop_all()
        if self.server is not None:
            await self.server.stop()
        self._store.close()
        self._repository.close()
        if self._ledger is not None:
            self._ledger.close()
        self._state.cleanup()

    def _levels(self) -> ServiceLevels | None:
        """Return the agreements' contracts, where the ledger is at hand and anything is agreed."""
        return self._ledger.service_levels() if self._ledger and self.scenario.agreements else None

    async def step(self) -> None:
        """Run one market interval: the agents up to its end, then the world, step by step."""
        end_s = self.world.now_s + INTERVAL_S
        while self.world.now_s < end_s:
            await self.clock.advance_to(self.world.now_s + self.world.settings.step_s)
            self.world.step()

    async def settle(self) -> None:
        """Let the agents deal with the last interval."""
        await self.clock.advance_to(self.world.now_s + SETTLING_S)

    def kill(self, address: str) -> None:
        """Let an agent and its connection die at once, as in a crash."""
        self.clock.forget(address)
        self.community.kill(address)
        self.transport.kill(address)

    async def restart(self, address: str) -> None:
        """Bring a dead agent back on a new connection."""
        await self.transport.start(address, self.passwords[address])
        self.clock.expect(address)
        self.community.restart(address)


def run_offline(scenario: Scenario, out: Path | None = None, progress: Report = lambda _: None) -> RunResult:
    """Run a scenario in virtual time; write a run folder when told where.

    Raises: InvalidInput when the scenario describes an impossible world, Interrupted (with what there
    is) on Ctrl-C.
    """
    book = _Book(scenario, out, "offline")
    run = OfflineCommunity(scenario, recorder=book.recorder)
    try:
        for done in range(1, book.intervals + 1):
            run.step()
            progress(book.progress(done, run.clock, run.community))
        run.settle()
        book.complete = True
    except KeyboardInterrupt:
        log.info("interrupted", interval=done)
    finally:
        run.close()
    tables = completed(run_tables(run.community))
    run.ledger.close()
    return book.closed(tables, run.community)


async def run_live(
    scenario: Scenario,
    out: Path | None = None,
    progress: Report = lambda _: None,
    *,
    shard: Shard = WHOLE,
    meeting_place: MeetingPlace | None = None,
) -> RunResult:
    """Run a scenario, or a shard of it, over XMPP with a scaled clock; write a run folder when told where.

    Raises: Unavailable when the server does not come up, InvalidInput when the scenario describes an
    impossible world, Interrupted (with what there is) when cancelled.
    """
    book = _Book(scenario, out, scenario.server.kind)
    async with LiveCommunity(
        scenario, recorder=book.recorder, shard=shard, meeting_place=meeting_place
    ) as run:
        try:
            for done in range(1, book.intervals + 1):
                await run.step()
                progress(book.progress(done, run.clock, run.community))
            await run.settle()
            book.complete = True
        except asyncio.CancelledError:
            log.info("interrupted", interval=done)
        book.missed = run.clock.missed
        tables = await run_tables(run.community)
    return book.closed(tables, run.community)


class _Book:
    """What is noted of a run while it lasts, and its folder."""

    def __init__(self, scenario: Scenario, out: Path | None, mode: str) -> None:
        self.scenario = scenario
        self.mode = mode
        self.intervals = intervals_of(scenario)
        self.complete = False
        self.missed = 0
        self.folder = RunFolder(out, scenario, mode) if out else None
        self.recorder = SqliteRecorder(self.folder.messages_path) if self.folder and scenario.record else None
        self._began_s = time.perf_counter()

    def progress(self, done: int, clock: Clock, community: Community) -> Progress:
        """Return how far the run is."""
        if self.recorder is not None and self.mode != "offline":
            self.recorder.flush()
        return Progress(done, self.intervals, clock.now_s(), community.letters, community.light())

    def closed(self, tables: RunTables, community: Community) -> RunResult:
        """Write the folder and return the result, or raise Interrupted with it."""
        if self.recorder is not None:
            self.recorder.close()
        result = RunResult(
            scenario=self.scenario,
            tables=tables.checked(),
            mode=self.mode,
            complete=self.complete,
            letters=community.letters,
            wall_s=time.perf_counter() - self._began_s,
            accounts=community.cast.accounts,
            deadlines_missed=self.missed,
            notes=notes_of(community),
            folder=self.folder.path if self.folder else None,
        )
        if self.folder is not None:
            self.folder.finish(result)
        if not self.complete:
            raise Interrupted(result)
        return result


CLIENTS = "xmpp"
"""Where ordinary clients have their accounts when the agents' domain is a component's."""


def server_of(scenario: Scenario) -> LocalServer:
    """Return the XMPP server that a scenario asks for, not started.

    Raises: Unavailable when it is not installed here.
    """
    if scenario.server.kind == "prosody":
        if not prosody_available():
            raise Unavailable("Prosody is not installed; scripts/install-servers installs it")
        shared = scenario.server.connection == "component"
        domain = scenario.server.domain
        return ProsodyServer(domain=f"{CLIENTS}.{domain}" if shared else domain)
    if scenario.server.kind == "external":
        raise Refused(
            "a community on an external server needs its agents' credentials: scenarios have none yet"
        )
    return EmbeddedServer(domain=scenario.server.domain)


def open_ledger(scenario: Scenario, cast: Cast, path: Path | None = None) -> EvmLedger:
    """Return the ledger of a scenario: an embedded chain (by default in a file), or a node by its address.

    Raises: Unavailable when file or node cannot be reached, Conflict when the node is of another chain.
    """
    aggregator = next(account for account, name in cast.accounts.items() if name == "aggregator")
    chosen = scenario.ledger
    attestors = [_ledger_key(scenario, address).address for address in _attestor_addresses(cast)]
    if chosen.url == "embedded":
        path = Path(chosen.file) if chosen.file else path
        return EvmLedger.embedded(aggregator, path, attestors=attestors, minimum=scenario.minimum_tokens)
    key = Path(chosen.key_file or "")
    return EvmLedger.on_node(
        chosen.url,
        operator_key=key,
        owner_key=key,
        password_file=Path(chosen.password_file) if chosen.password_file else None,
        contract=chosen.contract,
        aggregator=aggregator,
        attestors=attestors,
        minimum=scenario.minimum_tokens,
        chain_id=chosen.chain_id,
    )


def attestors_of(scenario: Scenario, cast: Cast, ledger: EvmLedger) -> Mapping[str, Attestor]:
    """Return the keys of those that vouch for settlements, by the address of the agent that holds each."""
    return {address: ledger.attestor(_ledger_key(scenario, address)) for address in _attestor_addresses(cast)}


def _attestor_addresses(cast: Cast) -> list[str]:
    return [part.address for part in cast.parts if "attestor" in part.ports]


def _ledger_key(scenario: Scenario, address: str) -> LedgerSigner:
    """Derive an attestor's key from the seed: a simulation's key, worthless anywhere else."""
    return LedgerSigner(hashlib.sha256(f"{scenario.seed} ledger {address}".encode()).digest())


def notes_of(community: Community) -> tuple[str, ...]:
    """Return what a reader of the results must know."""
    counts = community.counts()
    told = {
        "readings estimated": "readings were estimated",
        "readings unknown": "readings were unknown and count as nothing",
        "grid states missing": "grid states were missing and counted as green",
        "errors": "handlers failed",
        "markets disputed": "markets were disputed by the market operator",
        "attestations disputed": "attestations said that another result was right",
        "alarms raised": "alarms of devices were raised",
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
