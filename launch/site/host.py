"""A site's host: one process with the site's agents, on the wall clock, joined to the community's server.

```
devices ── gateway ── prosumer, managers, oracle, blockchain agent      letters among them stay here
                          └── TLS, one account each ── the community's XMPP server
```
Nothing has to be there at the start: the server and the devices are tried until they answer, and what agents
say to the community waits. A site dials out, so its own address may change.
"""

import asyncio
import ssl
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from zlib import crc32

import structlog

from behaviours.agent import Agent, Surroundings
from behaviours.membership import Member, MemberRegister
from behaviours.ports import Clock
from behaviours.signing import Signer
from environments.live.endpoint import Endpoint, verified_context
from environments.live.near import NearTransport
from environments.live.xmpp import XmppTransport
from environments.repository.agent_store import SqliteAgentStore
from environments.simulation.clock import WallClock
from environments.site.enrolled import Enrolled, write_certificates
from environments.site.enrolment import time_of
from environments.site.health import CLOCK_TOLERANCE_S, SiteHealth
from environments.site.host_lock import HostLock
from environments.site.keystore import Keystore
from environments.wire.addresses import place_of
from launch.parts import Part
from launch.site.cast import cast_site
from launch.site.devices import SiteDevices
from launch.site.loading import LoadedSite
from ontology.control import Instruction
from ontology.errors import InvalidInput, ParityError, Refused, Unavailable, problem

__all__ = ["SiteHost", "endpoint_of", "software_version"]

log = structlog.get_logger()

ASK_TIME_EVERY_S = 600.0
REST_S = 60


class SiteHost:
    """The agents of one site and their world."""

    def __init__(
        self, site: LoadedSite, enrolled: Enrolled, keys: Keystore, clock: Clock | None = None
    ) -> None:
        """Prepare a host; nothing is connected yet.

        Raises: InvalidInput when an agent has no key, or the community's certificates cannot be read,
            Conflict when the site runs already, Unavailable when its own state cannot be opened.
        """
        self.site, self.enrolled, self.keys = site, enrolled, keys
        self.clock = clock or WallClock()
        self.endpoint = endpoint_of(site)
        self._lock = HostLock(site.data)
        self._lock.take()
        self._store = SqliteAgentStore(site.data / "agents.sqlite", durable=True)
        self.world = SiteDevices(site, self.clock, self._store)
        devices = self.world.devices
        self.parts = tuple(cast_site(site.file, enrolled.terms, devices))
        _require_keys(self.parts, keys)
        self._signers = {part.address: keys.agents[part.address].signer() for part in self.parts}
        self.register = self._register()
        self.wire = XmppTransport(
            self.endpoint,
            seed=int.from_bytes(keys.secret[:4], "big"),
            now_s=self.clock.now_s,
            resumes=True,
        )
        own = {part.address for part in self.parts}
        self.transport = NearTransport(self.wire, own.__contains__)
        self.agents: dict[str, Agent] = {}
        self.health = SiteHealth(
            site.file.site,
            software_version(),
            int(self.clock.now_s()),
            site.data,
            devices,
            links=lambda: (self.wire.losses, self.wire.away()),
            refused=self.refused,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def _register(self) -> MemberRegister:
        own = [
            Member(part.address, part.agent.role, part.site, self._signers[part.address].verify_key)
            for part in self.parts
        ]
        authority = bytes.fromhex(self.enrolled.authority)
        register = MemberRegister(authority, own, self.clock.now_s)
        for certificate in self.enrolled.certificates:
            with suppress(Refused):
                register.learn(certificate)
        register.changed = self._keep_certificates
        return register

    def _keep_certificates(self) -> None:
        try:
            write_certificates(self.site.data, list(self.register.certificates.values()))
        except Unavailable as error:
            log.error("certificates not written down", why=str(error))

    async def start(self) -> None:
        """Bring devices and agents to life; connections come when they can.

        Raises: Unavailable when the address that charge points come to is taken.
        """
        await self.world.start()
        for part in self.parts:
            self.wire.begin(part.address, self.keys.agents[part.address].password)
        for part in self.parts:
            self.agents[part.address] = self._create(part)
        for agent in self.agents.values():
            agent.post.open()
        for agent in self.agents.values():
            agent.start()
        self._tasks.append(asyncio.create_task(self._watch_clock()))

    async def stop(self) -> None:
        """Say farewell, give devices back to themselves where the file says so, disconnect."""
        for task in self._tasks:
            task.cancel()
        for agent in self.agents.values():
            agent.stop()
        if self.site.file.at_rest == "release":
            await self._release_devices()
        await self.world.close()
        await self.wire.stop_all()
        self._store.close()
        self._lock.release()

    def refused(self) -> int:
        """Return how many letters agents here have refused, bad certificates included."""
        letters = sum(agent.post.counts["refused"] for agent in self.agents.values())
        return letters + self.register.counts["refused"]

    def summary(self) -> str:
        """Say in one line how the site is."""
        alarms = self.health.status(int(self.clock.now_s())).alarms
        up = len(self.parts) - len(self.wire.away())
        return f"{up} of {len(self.parts)} agents connected; " + ("; ".join(alarms) or "all well")

    def _create(self, part: Part) -> Agent:
        ports: dict[str, Any] = dict(part.ports)
        if part.address == f"{self.site.file.site}-gateway@{self.enrolled.terms.domain}":
            ports["health"] = self.health
        signer: Signer = self._signers[part.address]
        surroundings = Surroundings(
            clock=self.clock,
            transport=self.transport,
            membership=self.register,
            store=self._store,
            run_id="site",
            durable=True,
            link=self.transport,
            seed=crc32(self.keys.secret),
            signer=signer,
            **ports,
        )
        return part.agent(self.register[part.address], part.settings, surroundings)

    async def _release_devices(self) -> None:
        now_s = int(self.clock.now_s())
        for device in self.world.devices:
            if device.name == "meter":
                continue
            asset_id = f"{self.site.file.site}-{device.name}"
            rest = Instruction(
                instruction_id=f"{asset_id} at rest {now_s}",
                asset_id=asset_id,
                execution_time_s=now_s,
                valid_until_s=now_s + REST_S,
                mode="auto",
            )
            try:
                await device.instruct(rest)
            except ParityError as error:
                log.warning("device not given back to itself", device=device.name, why=str(error))

    async def _watch_clock(self) -> None:
        """Compare this host's clock with the community's, now and then."""
        place, trust = place_of(self.site.file.community.enrolment, "https"), self.endpoint.ssl_context
        while True:
            try:
                await self._compare(place, trust)
            except Unavailable as error:
                log.info("the community's time is not known", why=str(error))
            await self.clock.sleep_until(self.clock.now_s() + ASK_TIME_EVERY_S)

    async def _compare(self, place: Any, trust: ssl.SSLContext) -> None:
        before_s = self.clock.now_s()
        theirs_s = await time_of(place, trust)
        self.health.clock_ahead_s = (before_s + self.clock.now_s()) / 2 - theirs_s
        if abs(self.health.clock_ahead_s) > CLOCK_TOLERANCE_S:
            log.error("the clock is wrong", ahead_s=round(self.health.clock_ahead_s, 1))


def endpoint_of(site: LoadedSite) -> Endpoint:
    """Return the way to the community's server.

    Raises: InvalidInput when the file of certificates is none.
    """
    community = site.file.community
    try:
        context = verified_context(site.ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "no certificates in it"
        raise InvalidInput(
            problem("community.ca_file", str(site.ca_file), f"the authority ({reason})")
        ) from None
    return Endpoint(community.host or community.domain, community.port, community.domain, context)


def software_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("parity-mas")
    except PackageNotFoundError:
        return "0"


def _require_keys(parts: tuple[Part, ...], keys: Keystore) -> None:
    missing = [part.address for part in parts if part.address not in keys.agents]
    if missing:
        expected = "an agent that was enrolled: a device was added, so enrol this site again"
        raise InvalidInput([problem("keystore", address, expected) for address in missing])
