"""Servers for the live tests: one of each a test run, in a process group of its own, on a free port."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from environments.live.embedded_server import EmbeddedServer
from environments.live.prosody import ProsodyServer, available
from environments.live.server import LocalServer


def _running(server: LocalServer) -> Iterator[LocalServer]:
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


def _need_prosody() -> None:
    if available():
        return
    reason = "Prosody is not installed: scripts/install-servers installs it"
    if os.environ.get("PARITY_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def embedded() -> Iterator[LocalServer]:
    yield from _running(EmbeddedServer())


@pytest.fixture
def prosody_is_here() -> None:
    """Skip (or, where servers are required, fail) without Prosody."""
    _need_prosody()


@pytest.fixture(scope="session")
def prosody() -> Iterator[LocalServer]:
    _need_prosody()
    yield from _running(ProsodyServer())


@pytest.fixture(params=["embedded", pytest.param("prosody", marks=pytest.mark.server)])
def server(request: pytest.FixtureRequest) -> LocalServer:
    """Each of the servers; running again when a test has ended it."""
    server: LocalServer = request.getfixturevalue(request.param)
    if not server.running:
        asyncio.run(server.start())
    return server


@pytest.fixture(params=["embedded", pytest.param("prosody", marks=pytest.mark.server)])
def server_class(request: pytest.FixtureRequest) -> type[LocalServer]:
    if request.param == "embedded":
        return EmbeddedServer
    _need_prosody()
    return ProsodyServer
