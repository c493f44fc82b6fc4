"""A community on an XMPP server, with a clock that waits for its letters."""

from pathlib import Path
from tempfile import TemporaryDirectory

from behaviours.ports import (
    Presence,
    Recorder,
    ServiceLevels,
)
from contracts.memory import MemoryLedger
from environments.devices.dstatcom_http import UNITS
from environments.live.embedded_server import EmbeddedServer
from environments.live.population import PopulationTransport
from environments.live.prosody import ProsodyServer
from environments.live.prosody import available as prosody_available
from environments.live.server import LocalServer, new_accounts
from environments.live.shards import ShardClock, ShardTransport
from environments.live.xmpp import XmppTransport
from environments.monitoring.http_client import MONITORING
from environments.repository.agent_store import SqliteAgentStore
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from environments.simulation.world import World
from environments.uftp.exchange import UftpOffice
from environments.weather.chain import WeatherChain
from environments.weather.open_meteo import WEATHER
from launch.cast import cast_community
from launch.community import Community, Ground, attestors_of, open_ledger
from launch.dso_systems import Outside, outside_of, systems_of
from launch.offline import SETTLING_S
from launch.registers import registers_of
from launch.scenario import Scenario
from launch.schema import Uftp
from launch.sharding import WHOLE, MeetingPlace, Shard, clock_of, domains_of
from launch.uftp import exchanges_of, office_of, start_office
from launch.user_registry import registry_of
from launch.watching import Watching
from launch.weather import weather_of
from launch.world_settings import world_settings
from ontology.base import INTERVAL_S
from ontology.errors import Refused, Unavailable

__all__ = ["LiveCommunity", "server_of"]


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
        chain: Path | None = None,
        shard: Shard = WHOLE,
        meeting_place: MeetingPlace | None = None,
        portals: bool = False,
    ) -> None:
        """Prepare a run; the server starts on entering.

        Args:
            scenario: what to run.
            recorder: takes the letters.
            chain: file of the embedded chain, where the scenario names none; None forgets it after the run.
            shard: which part of the agents lives here.
            portals: whether people and programs outside may speak with the agents.
            meeting_place: the server at which shards meet; where there is one, none is started.

        Raises: InvalidInput when there are more shards than feeders.
        """
        self.scenario = scenario
        self.world = World(world_settings(scenario))
        self.shard = shard
        self.domains = domains_of(scenario, self.world, shard)
        self.clock = clock_of(scenario, self.world, shard)
        self.meeting_place = meeting_place
        self._portals = portals
        self.server = None if meeting_place else server_of(scenario)
        self._recorder = recorder
        self._watching = Watching(scenario, recorder)
        self._chain = chain
        self._state = TemporaryDirectory(prefix="parity-state-")
        self.office: UftpOffice | None = None
        """The place in the market outside, where the scenario trades there."""
        is_first = shard.is_first
        self.outside = outside_of(scenario, self.world, self.clock, self.clock) if is_first else Outside()
        """Systems of the DSO that its agents reach on sockets."""
        self.systems = systems_of(scenario, self.world, self.clock, self.clock) if is_first else None
        """The DSO's systems that this run emulates, where the scenario wants any."""

    async def __aenter__(self) -> "LiveCommunity":
        """Start server, connections and agents.

        Raises: Unavailable when the server does not come up or refuses an agent.
        """
        cast = cast_community(
            self.scenario, self.world, self.domains, self.outside, portals=self._portals, live=True
        )
        self._watchers = new_accounts(part.address for part in cast.watchers)
        self.passwords = new_accounts(part.address for part in cast.parts if self.shard.has(part.address))
        self.transport = await self._connected()
        folder = Path(self._state.name)
        self._store = SqliteAgentStore(folder / "agents.sqlite")
        self._registry = registry_of(self.scenario.registry.folder)
        kept = self.scenario.repository
        self._repository = SqlRepository(kept.url or f"sqlite:///{folder / 'repository.sqlite'}", kept.market)
        chain = self._chain or folder / "chain.sqlite"
        self._ledger = open_ledger(self.scenario, cast, chain) if self.shard.is_first else None
        trade = self.scenario.flexibility_market.uftp if self.shard.is_first else None
        self.office = office_of(self.scenario, trade, self._store, self.clock) if trade else None
        self._weather = weather_of(self.scenario, self.world, self.clock, WallClock(), self.clock)
        ground = Ground(
            clock=self.clock,
            transport=self.transport,
            store=self._store,
            repository=self._repository,
            registry=self._registry,
            ledger=self._ledger or MemoryLedger(),
            attestors=attestors_of(self.scenario, cast, self._ledger) if self._ledger else {},
            registers=registers_of(self.scenario, cast.parts, self._ledger) if self._ledger else None,
            service_levels=self._levels(),
            exchanges=exchanges_of(cast.parts, self.office.exchanges) if self.office else {},
            recorder=self._watching.recorder,
            barrier=self.clock,
            presence=self._presence,
            weather=self._weather,
        )
        self.community = Community(self.scenario, self.world, ground, cast, self.shard)
        for address in (*self.passwords, WEATHER):
            self.clock.expect(address)
        if isinstance(self.clock, ShardClock):
            await self.clock.meet()
        if self.office is not None and trade is not None:
            await self._open(self.office, trade)
        await self._meet_systems()
        self.community.start()
        self._watching.begin(self.community.agents)
        return self

    async def _meet_systems(self) -> None:
        """Start the DSO's systems, and let its agents hear of them.

        Raises: Unavailable when an address is taken or a broker is not there; then everything is stopped.
        """
        for name in (MONITORING, UNITS):
            self.clock.expect(name)
        try:
            if self.systems is not None:
                await self.systems.start()
            await self.outside.start()
            if self.systems is not None:
                await self.systems.tell()
        except Unavailable:
            await self.__aexit__()
            raise

    async def _open(self, office: UftpOffice, trade: Uftp) -> None:
        """Let those outside in.

        Raises: Unavailable when the address to listen at is taken; then everything is stopped.
        """
        try:
            await start_office(office, trade)
        except Unavailable:
            await self.__aexit__()
            raise

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
        self._watching.admit(self.server, self._watchers)
        await self.server.start()
        self._watching.tell(self.server, self._watchers)
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
        await self._watching.end()
        for agent in self.community.agents.values():
            agent.kill()
        if self.office is not None:
            await self.office.close()
        await self.outside.close()
        if isinstance(self._weather, WeatherChain):
            await self._weather.close()
        if self.systems is not None:
            await self.systems.close()
        await self.transport.stop_all()
        if self.server is not None:
            await self.server.stop()
        self._store.close()
        self._repository.close()
        if self._registry is not None:
            self._registry.close()
        if self._ledger is not None:
            self._ledger.close()
        self._state.cleanup()

    def _levels(self) -> ServiceLevels | None:
        """Return the agreements' contracts, where the ledger is at hand and anything is agreed."""
        return self._ledger.service_levels() if self._ledger and self.scenario.agreements else None

    @property
    def recorder(self) -> Recorder | None:
        """Who takes the letters, if anybody does."""
        return self._recorder

    @property
    def repository(self) -> SqlRepository:
        """Where the community's facts are."""
        return self._repository

    async def step(self) -> None:
        """Run one market interval: the agents up to its end, then the world, step by step."""
        end_s = self.world.now_s + INTERVAL_S
        while self.world.now_s < end_s:
            await self.clock.advance_to(self.world.now_s + self.world.settings.step_s)
            self.world.step()
            if self.systems is not None:
                await self.systems.tell()

    async def settle(self) -> None:
        """Let the agents deal with the last interval."""
        await self.clock.advance_to(self.world.now_s + SETTLING_S)

    def kill(self, address: str) -> None:
        """Let an agent and its connection die at once, as in a crash."""
        self.clock.forget(address)
        self.community.kill(address)
        self.transport.kill(address)

    async def stop(self, address: str) -> None:
        """Let an agent say farewell and leave, its last letters sent; `restart` brings it back.

        Raises: InvalidInput when no such agent lives.
        """
        if address in self.community.agents:
            self.community.agents[address].emit("stopping")
        self.clock.forget(address)
        self.community.kill(address)
        self.transport.forget(address)
        if isinstance(self.transport, XmppTransport):
            await self.transport.stop(address)
        else:
            self.transport.kill(address)

    async def restart(self, address: str) -> None:
        """Bring a dead agent back on a new connection."""
        await self.transport.start(address, self.passwords[address])
        self.clock.expect(address)
        self.community.restart(address)


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
