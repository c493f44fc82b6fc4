"""A community, or a repository alone, behind the REST interface; a community with its console beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from litestar import Request, Router
from litestar.types import ControllerRouterHandler

from behaviours.ports import Recorder, SampleIntake
from environments.http import Api, ApiServer, Services, application
from environments.http.access import allowing, caller_of, writing
from environments.http.access_database import AccessDatabase
from environments.http.console.routes import CONSOLE_ROUTES
from environments.http.portals import Portals
from environments.http.routes import API, OPEN, ROUTES
from environments.http.routes.registry import REGISTRY
from environments.iml.rest import sample_route
from environments.repository.letter_archive import LetterArchive
from environments.repository.memory import MemoryRepository
from environments.repository.recorder import SqliteRecorder
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from launch.hosted_community import HostedCommunity
from launch.live import LiveCommunity
from launch.portals import CommunityPortals
from launch.schema.interface import Api as ApiSection
from launch.simulations import LocalSimulations
from ontology.codec import message_type_of
from ontology.errors import Unavailable
from ontology.samples import SampleBatch

__all__ = ["Front", "api_of", "samples_served", "serve_repository"]

log = structlog.get_logger()

Ready = Callable[[str], None]
FLUSH_S = 1.0
"""How often letters are written down, so that the console sees them."""


class Front:
    """Puts a running community behind its interface, and stays when the scenario's days are over.

    Args:
        section: of the scenario.
        ready: told the address once calls are taken.
        runs: where simulations may be started and run folders looked at; None: nowhere.
    """

    def __init__(self, section: ApiSection, ready: Ready, runs: LocalSimulations | None = None) -> None:
        self._runs = runs
        self._section = section
        self._ready = ready

    @asynccontextmanager
    async def opened(self, run: LiveCommunity) -> AsyncIterator[ApiServer]:
        """Serve as long as the block lasts.

        Raises: InvalidInput for files or URLs that are none, Unavailable when the address is taken.
        """
        portals = CommunityPortals(run.community.agents, list(run.community.membership))
        with closing(AccessDatabase(self._section.database)) as database, _archive_of(run) as archive:
            ground = run.community.ground
            more: dict[str, Any] = {
                "registry": ground.registry,
                "ledger": ground.ledger,
                "community": HostedCommunity(run, archive),
                "sleep": real_seconds,
                "networks": run.world.grid.networks,
            }
            if self._runs is not None:
                more["simulations"] = self._runs
            api = api_of(self._section, run.repository, database, portals, more)
            async with _server(self._section, api) as server, _written_down(run.recorder):
                self._ready(server.url)
                try:
                    yield server
                finally:
                    if self._runs is not None:
                        await self._runs.close()


async def serve_repository(section: ApiSection, repository_url: str, ready: Ready) -> None:
    """Serve a repository without a community, until cancelled.

    Raises: InvalidInput for files or URLs that are none, Unavailable when address or database cannot be had.
    """
    with (
        closing(SqlRepository(repository_url)) as repository,
        closing(AccessDatabase(section.database)) as database,
    ):
        async with _server(section, api_of(section, repository, database)) as server:
            ready(server.url)
            await server.wait()


def api_of(
    section: ApiSection,
    repository: SqlRepository,
    database: AccessDatabase,
    portals: Portals | None = None,
    more: Mapping[str, Any] | None = None,
) -> Api:
    """Return the application that a scenario's section asks for."""
    services = Services(
        repository,
        database,
        WallClock().now_s,
        portals=portals,
        requests_per_s=section.requests_per_s,
        deadline_s=section.deadline_s,
        more=more,
    )
    registry = (REGISTRY,) if services.more.get("registry") else ()
    console = CONSOLE_ROUTES if services.more.get("community") else ()
    return application(services, (*ROUTES, *registry, *console))


async def real_seconds(seconds: float) -> None:
    """Return after real seconds."""
    clock = WallClock()
    await clock.sleep_until(clock.now_s() + seconds)


@contextmanager
def _archive_of(run: LiveCommunity) -> Iterator[LetterArchive | None]:
    """Open the letters of a run for reading while it writes them; None where it writes none."""
    recorder = run.recorder
    if not isinstance(recorder, SqliteRecorder):
        yield None
        return
    with LetterArchive(recorder.path) as archive:
        yield archive


@asynccontextmanager
async def _written_down(recorder: Recorder | None) -> AsyncIterator[None]:
    """Write letters down every second as long as the block lasts."""

    async def write() -> None:
        while isinstance(recorder, SqliteRecorder):
            await real_seconds(FLUSH_S)
            try:
                recorder.flush()
            except Unavailable as error:
                log.warning("letters wait to be written down", why=str(error))

    writing = asyncio.create_task(write())
    try:
        yield
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing


@asynccontextmanager
async def samples_served(section: ApiSection, intake: SampleIntake) -> AsyncIterator[ApiServer]:
    """Take samples by REST as long as the block lasts; a gateway's token is bound to its site.

    Raises: InvalidInput for files or URLs that are none, Unavailable when an address cannot be had.
    """
    route = sample_route(intake, _own_site, allowing(writing(message_type_of(SampleBatch))))
    with closing(AccessDatabase(section.database)) as database:
        services = Services(
            MemoryRepository(), database, WallClock().now_s, requests_per_s=section.requests_per_s
        )
        routes: tuple[ControllerRouterHandler, ...] = (*OPEN, Router(API, route_handlers=[route]))
        async with _server(section, application(services, routes)) as server:
            yield server


def _own_site(request: Request[Any, Any, Any]) -> str:
    return next(iter(caller_of(request).subjects), "")


def _server(section: ApiSection, api: Api) -> ApiServer:
    certificate = Path(section.certificate) if section.certificate else None
    key = Path(section.key) if section.key else None
    return ApiServer(api, section.host, section.port, certificate=certificate, key=key)
