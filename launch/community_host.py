"""The community's own agents as a host of their own, on the wall clock, joined by sites that come and go.

```
aggregator, DSO, market operator, engine, repository, oracles … ── TLS ── the XMPP server ── sites
market operator's key ── signs who is a member        enrolment ── HTTPS ── new sites
```
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import msgspec
import structlog

from agents.external_markets import ExternalMarkets
from agents.market_operator import MarketOperator
from behaviours.membership import Member, MemberRegister, certified
from behaviours.ports import Clock, WeatherService
from behaviours.signing import Signer
from environments.live.endpoint import Endpoint, verified_context
from environments.live.near import NearTransport
from environments.live.prosody import ProsodyAccounts
from environments.live.xmpp import XmppTransport
from environments.repository.agent_store import SqliteAgentStore
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from environments.simulation.world import World
from environments.site.enrolled import SiteTerms
from environments.site.enrolment import EnrolmentGrant, EnrolmentOffice, EnrolmentService
from environments.site.files import write_whole
from environments.site.host_lock import HostLock
from environments.site.invitations import Invitations
from environments.site.keystore import Keystore, keystore_file
from environments.weather import ReferenceWeather
from launch.cast import cast_community
from launch.community import Community, Ground, Keys, open_ledger
from launch.community_file import LoadedCommunity
from launch.dso_systems import Outside, outside_of, reaches_outside
from launch.parts import AddressBook, Part, attesting_sites, attestor_addresses
from launch.pseudonyms import pseudonyms_of
from launch.registers import registers_of
from launch.site_parts import usual_draw_w, usual_load_w
from launch.weather import weather_of
from launch.world_settings import world_settings
from ontology.errors import Refused, Unavailable
from ontology.grid import GridMeasurement
from ontology.membership import MemberCertificate

__all__ = ["CommunityHost", "Members", "members_of"]

log = structlog.get_logger()

DAY_S = 86_400
RENEW_EVERY_S = 60.0
"""How often it is looked whether a certificate has to be renewed, or was revoked by a command."""
SHARES_KWH = 8760.0
"""A site with this yearly demand draws a kilowatt on average."""


class NoMonitoring:
    """The monitoring of a network that nobody measures beyond the sites' meters."""

    async def measurements(self, since_s: int) -> list[GridMeasurement]:
        """Return nothing."""
        return []


class Members:
    """The certificates of a community as files, one a site: written by enrolment and by commands."""

    def __init__(self, community: LoadedCommunity) -> None:
        """Keep them in the community's data folder."""
        self._folder = community.data / "members"
        self._valid_s = community.file.certificate_days * DAY_S

    def read(self) -> list[MemberCertificate]:
        """Return all certificates, in order of sites; a damaged file is passed over and logged."""
        found = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                found.append(msgspec.json.decode(file.read_bytes(), type=MemberCertificate))
            except (OSError, msgspec.DecodeError) as error:
                log.error("certificate not readable", file=file.name, why=str(error))
        return found

    def issue(
        self, signer: Signer, site: str, members: list[Member], now_s: float, *, is_revoked: bool = False
    ) -> MemberCertificate:
        """Sign a certificate from now on, write it down and return it; always later than the one before.

        Raises: Unavailable when the disk does not take it.
        """
        before = next((each.issued_at_s for each in self.read() if each.site == site), 0)
        issued_s = max(int(now_s), before + 1)
        certificate = certified(
            signer, site, members, issued_s, issued_s + self._valid_s, is_revoked=is_revoked
        )
        file = self._folder / f"{site or 'community'}.json"
        write_whole(file, msgspec.json.encode(certificate))
        return certificate

    def is_due(self, certificate: MemberCertificate, now_s: float) -> bool:
        """Tell whether a certificate has passed half of its time."""
        return not certificate.is_revoked and now_s > certificate.issued_at_s + self._valid_s / 2


def members_of(certificate: MemberCertificate) -> list[Member]:
    """Return the agents of a certificate."""
    return [
        Member(each.address, each.role, certificate.site, bytes.fromhex(each.verify_key))
        for each in certificate.members
    ]


class CommunityHost:
    """The agents that serve a whole community."""

    def __init__(self, community: LoadedCommunity, clock: Clock | None = None) -> None:
        """Prepare a host; nothing is connected yet, and missing keys are drawn.

        Raises: InvalidInput when the keystore is damaged, Unavailable when the disk does not take it.
        """
        self.community, self.scenario = community, community.scenario
        self.clock = clock or WallClock()
        self.world = World(world_settings(self.scenario))
        self.outside = self._outside()
        self.keys = self._keystore()
        self.names = pseudonyms_of(self.scenario, self.keys.secret)
        cast = cast_community(self.scenario, self.world, outside=self.outside, names=self.names)
        own = tuple(_without_world(part) for part in cast.parts if not part.site)
        self.cast = replace(cast, parts=own)
        self.keys = self._extended(own)
        self.signers = {part.address: self.keys.agents[part.address].signer() for part in own}
        self.market = next(part.address for part in own if part.agent is MarketOperator)
        self.members = Members(community)
        self.register = self._register(own)
        self.accounts = ProsodyAccounts(
            community.folder / community.file.server.accounts, community.file.server.domain
        )
        self.enrolment = EnrolmentService(self._office(), self.clock.now_s)
        self._lock = HostLock(community.data)
        self._running: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------------------------ keys, members

    def _keystore(self) -> Keystore:
        file = keystore_file(self.community.data)
        if file.exists():
            return Keystore.read(file)
        keys = Keystore.drawn(())
        keys.write(file)
        return keys

    def _extended(self, parts: tuple[Part, ...]) -> Keystore:
        extended = self.keys.extended(part.address for part in parts)
        if len(extended.agents) > len(self.keys.agents):
            extended.write(self.community.data / "keystore.json")
        return extended

    def _register(self, parts: tuple[Part, ...]) -> MemberRegister:
        own = [
            Member(part.address, part.agent.role, "", self.signers[part.address].verify_key) for part in parts
        ]
        signer = self.signers[self.market]
        register = MemberRegister(signer.verify_key, own, self.clock.now_s)
        ours = next((each for each in self.members.read() if each.site == ""), None)
        if ours is None or members_of(ours) != sorted(own, key=lambda each: each.address):
            self.members.issue(signer, "", own, self.clock.now_s())
        for certificate in self.members.read():
            try:
                register.learn(certificate)
            except Refused as error:
                log.error("certificate refused", site=certificate.site, why=str(error))
        return register

    def _office(self) -> EnrolmentOffice:
        return EnrolmentOffice(
            Invitations(self.community.data / "invitations"),
            self.accounts,
            terms_of=self.terms_of,
            certify=self._certify,
            grant=self._grant,
            now_s=self.clock.now_s,
        )

    def _certify(self, site: str, members: list[Member]) -> None:
        signer = self.signers[self.market]
        self.register.learn(self.members.issue(signer, site, members, self.clock.now_s()))

    def _grant(self, terms: SiteTerms) -> EnrolmentGrant:
        authority = self.signers[self.market].verify_key.hex()
        return EnrolmentGrant(
            terms=terms, authority=authority, certificates=list(self.register.certificates.values())
        )

    def terms_of(self, site: str) -> SiteTerms:
        """Return what is agreed with a site.

        Raises: Refused when the scenario has no such site.
        """
        if site not in {each.id for each in self.scenario.sites}:
            raise Refused(f"{site} is not among the sites that may join")
        at = AddressBook(self.scenario, {})
        names = self.names.players(site)
        return SiteTerms(
            site=site,
            domain=self.scenario.server.domain,
            segment_id=self.world.feeder_of(site).segment_id,
            names=names,
            subject_key=self.names.subject_keys[site].hex(),
            contacts={
                "aggregator": at["aggregator"],
                "market_engine": at["aggregator-blockchain"],
                "repository": at["repository"],
                "dso": at["dso"],
                "market": at["market"],
            },
            attestors=attestor_addresses(self.scenario, at, attesting_sites(self.world)),
            payment_attestors=attestor_addresses(self.scenario, at, attesting_sites(self.world)),
            usual_shares=self._usual_shares,
            draw_w_per_l=usual_draw_w(1.0, self.scenario.zone, self.world.settings.start_s),
            tokens_per_currency=self.scenario.tokens_per_currency,
            solver=self.scenario.planning.solver,
            planning_intervals=self.scenario.planning.intervals,
        )

    @cached_property
    def _usual_shares(self) -> Mapping[str, tuple[float, ...]]:
        settings = self.world.settings.sites[0]
        found = {}
        for profile in ("household", "commerce"):
            usual = msgspec.structs.replace(settings, annual_kwh=SHARES_KWH, profile=profile)
            found[profile] = tuple(w / 1000 for w in usual_load_w(usual, self.world.settings.start_s))
        return found

    def _outside(self) -> Outside:
        if reaches_outside(self.scenario):
            return outside_of(self.scenario, self.world, self.clock)
        return Outside(NoMonitoring())

    # -------------------------------------------------------------------------------------------- life

    @property
    def endpoint(self) -> Endpoint:
        """The way to the server."""
        server = self.community.file.server
        context = verified_context(self.community.ca_file)
        return Endpoint(server.host or server.domain, server.port, server.domain, context)

    async def start(self) -> None:
        """Bring the agents to life and let sites in; connections come when they can.

        Raises: Unavailable when a database, the ledger or the address of the enrolment is not to be had.
        """
        self._lock.take()
        for part in self.cast.parts:
            self.accounts.register(part.address, self.keys.agents[part.address].password)
        self.wire = XmppTransport(
            self.endpoint,
            seed=int.from_bytes(self.keys.secret[:4], "big"),
            now_s=self.clock.now_s,
            resumes=True,
        )
        own = {part.address for part in self.cast.parts}
        self._store = SqliteAgentStore(self.community.data / "agents.sqlite", durable=True)
        self._repository = SqlRepository(self.community.repository)
        self._ledger = open_ledger(self.scenario, self.cast, self.community.data / "chain.sqlite")
        near = NearTransport(self.wire, own.__contains__)
        ground = Ground(
            clock=self.clock,
            transport=near,
            store=self._store,
            repository=self._repository,
            ledger=self._ledger,
            attestors={},
            registers=registers_of(self.scenario, self.cast.parts, self._ledger),
            weather=self._weather(),
        )
        keys = Keys(self.register, self.signers, "community", durable=True, link=near)
        self.agents = Community(self.scenario, self.world, ground, self.cast, keys=keys)
        for address in self.agents.addresses:
            self.wire.begin(address, self.keys.agents[address].password)
        await self.outside.start()
        await self._let_sites_in()
        self.agents.start()
        self._running.append(asyncio.create_task(self._keep_members()))

    async def _let_sites_in(self) -> None:
        given = self.community.file.enrolment
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        folder = self.community.folder
        try:
            tls.load_cert_chain(folder / given.certificate, folder / given.key)
        except (OSError, ssl.SSLError) as error:
            raise Unavailable(f"the certificate of the enrolment: {error}") from error
        await self.enrolment.start(given.host, given.port, tls)

    async def stop(self) -> None:
        """Stop everything in order."""
        for task in self._running:
            task.cancel()
        await self.enrolment.close()
        for agent in self.agents.agents.values():
            agent.stop()
        await self.outside.close()
        await self.wire.stop_all()
        self._store.close()
        self._repository.close()
        self._ledger.close()
        self._lock.release()

    def summary(self) -> str:
        """Say in one line how the community is."""
        up = len(self.cast.parts) - len(self.wire.away())
        sites = sum(1 for each in self.register.certificates.values() if each.site and not each.is_revoked)
        return f"{up} of {len(self.cast.parts)} agents connected; {sites} sites enrolled"

    async def _keep_members(self) -> None:
        """Renew certificates in time, and learn what a command has revoked."""
        while True:
            now_s = self.clock.now_s()
            for certificate in self.members.read():
                try:
                    self.register.learn(certificate)
                    if self.members.is_due(certificate, now_s):
                        self._certify(certificate.site, members_of(certificate))
                except (Refused, Unavailable) as error:
                    log.error("certificate not renewed", site=certificate.site, why=str(error))
            await self.clock.sleep_until(now_s + RENEW_EVERY_S)

    def _weather(self) -> WeatherService:
        if self.scenario.weather.providers:
            return weather_of(self.scenario, self.world, self.clock, self.clock)
        return ReferenceWeather(self.world.weather, self.clock)


def _without_world(part: Part) -> Part:
    """Take from an agent what only a simulated world has."""
    if part.agent is not ExternalMarkets:
        return part
    ports = {name: port for name, port in part.ports.items() if name != "devices"}
    return Part(part.agent, part.address, part.settings, part.site, ports)
