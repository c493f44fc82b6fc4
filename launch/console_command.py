"""The command `parity-mas console`: a run folder in the browser, while it is written or afterwards."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.exits import errors

if TYPE_CHECKING:
    from uvicorn import Server

    from environments.http.application import Api
    from environments.http.console.community import AgentView
    from environments.http.console.recorded import RecordedCommunity
    from launch.scenario import Scenario
    from launch.simulations import LocalSimulations

__all__ = ["console"]

CATCH_UP_S = 1.0
OTHER_NAMES = {
    "market": "market-operator",
    "attestor": "blockchain",
    "external-markets": "external-markets",
    "portal": "ui",
}
"""Roles of agents whose names do not end with it."""


def console(
    run: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN", show_default=False)],
    port: Annotated[int, typer.Option(help="On which port of this machine; 0 takes a free one.")] = 8080,
    role: Annotated[
        str, typer.Option("--as", help="Whose console: market-operator, aggregator, dso or prosumer.")
    ] = "aggregator",
    site: Annotated[
        list[str] | None, typer.Option(help="The prosumer's own site; may be repeated.", show_default=False)
    ] = None,
    registry: Annotated[
        Path | None, typer.Option(help="Folder of a registry of users, to manage it.", show_default=False)
    ] = None,
) -> None:
    """Look at a run in the browser: messages, agents, markets. It is served to this machine alone."""
    with errors():
        asyncio.run(_serve(run, port, role, site or (), registry))


async def _serve(
    folder: Path, port: int, role: str, sites: Sequence[str], registry: Path | None = None
) -> None:
    """Serve a run folder until interrupted; what is still being written is followed."""
    import uvicorn

    from launch.simulations import LocalSimulations

    simulations = LocalSimulations(folder / os.pardir)
    community, app, token = await _opened(folder, role, sites, simulations, registry)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    following = asyncio.create_task(_follow(community))
    serving = asyncio.create_task(server.serve())
    if await _ready(server, serving):
        at = server.servers[0].sockets[0].getsockname()[1]
        print(f"console  http://127.0.0.1:{at}/console/\ntoken    {token}", flush=True)
    try:
        await serving
    finally:
        following.cancel()
        await simulations.close()
        community.close()


async def _opened(
    folder: Path,
    role: str,
    sites: Sequence[str],
    simulations: "LocalSimulations",
    registry: Path | None = None,
) -> "tuple[RecordedCommunity, Api, str]":
    """Open a run folder: what the console shows, the application, and a token for this visit."""
    from environments.http.access_database import AccessDatabase
    from environments.http.application import application
    from environments.http.console.recorded import RecordedCommunity
    from environments.http.console.routes import CONSOLE_ROUTES
    from environments.http.services import Services
    from environments.repository import MemoryRepository
    from environments.simulation.clock import WallClock
    from environments.simulation.world import World
    from launch.run_folder import MESSAGES, read_run
    from launch.user_registry import open_registry
    from launch.world_settings import world_settings

    found = read_run(folder)
    repository = MemoryRepository()
    community = RecordedCommunity(
        found.scenario.name,
        folder / MESSAGES,
        repository,
        _agents(found.scenario),
        finished=bool(found.manifest["complete"]),
    )
    await community.catch_up()
    more = {
        "community": community,
        "sleep": _real_seconds,
        "simulations": simulations,
        "networks": World(world_settings(found.scenario)).grid.networks,
        "registry": open_registry(registry) if registry else None,
    }
    services = Services(repository, AccessDatabase(), WallClock().now_s, more=more)
    token, _ = services.tokens.create("this visit", role, sites, rights=("bodies",), days=1)
    return community, application(services, routes=CONSOLE_ROUTES), token


async def _ready(server: "Server", serving: asyncio.Task[None]) -> bool:
    """Wait until a server answers; False when it has given up."""
    while not server.started and not serving.done():
        await _real_seconds(0.02)
    return server.started


async def _real_seconds(seconds: float) -> None:
    from environments.simulation.clock import WallClock

    clock = WallClock()
    await clock.sleep_until(clock.now_s() + seconds)


async def _follow(community: "RecordedCommunity") -> None:
    """Read on while the run writes."""
    while True:
        await _real_seconds(CATCH_UP_S)
        await community.catch_up()


def _agents(scenario: "Scenario") -> "list[AgentView]":
    """Return who takes part in a scenario, with role, site and what each behaviour answers."""
    from environments.http.console.community import AgentView
    from launch.directory import agent_classes, entries
    from ontology.roles import Role

    classes = {cls.role: cls for cls in agent_classes()}
    found = []
    for entry in entries(scenario):
        kind = entry.agent if entry.agent in OTHER_NAMES else entry.agent.rpartition("-")[2]
        kind = OTHER_NAMES.get(kind, kind)
        role = Role(kind) if kind in list(Role) else Role.FLEXIBILITY_GATEWAY
        answers = {
            name: sorted({occasion.message_type for occasion in occasions})
            for name, occasions in classes[role].handlers().items()
        }
        found.append(AgentView(address=entry.address, role=role, site=entry.site, behaviours=answers))
    return sorted(found, key=lambda agent: agent.address)
