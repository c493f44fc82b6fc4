"""A community, or a repository alone, behind the REST interface."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from litestar import Request, Router
from litestar.types import ControllerRouterHandler

from behaviours.ports import SampleIntake
from environments.http import Api, ApiServer, Services, application
from environments.http.access import allowing, caller_of, writing
from environments.http.access_database import AccessDatabase
from environments.http.portals import Portals
from environments.http.routes import API, OPEN, ROUTES
from environments.http.routes.registry import REGISTRY
from environments.iml.rest import sample_route
from environments.repository.memory import MemoryRepository
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from launch.live import LiveCommunity
from launch.portals import CommunityPortals
from launch.schema.interface import Api as ApiSection
from ontology.codec import message_type_of
from ontology.samples import SampleBatch

__all__ = ["Front", "api_of", "samples_served", "serve_repository"]

Ready = Callable[[str], None]


class Front:
    """Puts a running community behind its interface, and stays when the scenario's days are over.

    Args: section: of the scenario; ready: told the address once calls are taken.
    """

    def __init__(self, section: ApiSection, ready: Ready) -> None:
        self._section = section
        self._ready = ready

    @asynccontextmanager
    async def opened(self, run: LiveCommunity) -> AsyncIterator[ApiServer]:
        """Serve as long as the block lasts.

        Raises: InvalidInput for files or URLs that are none, Unavailable when the address is taken.
        """
        portals = CommunityPortals(run.community.agents, list(run.community.membership))
        with closing(AccessDatabase(self._section.database)) as database:
            ground = run.community.ground
            more = {"registry": ground.registry, "ledger": ground.ledger}
            api = api_of(self._section, run.repository, database, portals, more)
            async with _server(self._section, api) as server:
                self._ready(server.url)
                yield server


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
    return application(services, (*ROUTES, REGISTRY) if services.more.get("registry") else ROUTES)


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
