"""Listening: the application on a port, by uvicorn, in the loop that is running anyway."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from environments.http.application import Api
from ontology.errors import InvalidInput, Unavailable, problem

__all__ = ["ApiServer"]

GRACE_S = 3
"""How long calls may go on when the server is stopped."""


class ApiServer:
    """Serves an application over HTTP, or HTTPS where there are a certificate and its key.

    ```python
    async with ApiServer(api, "127.0.0.1", 0) as server:
        print(server.url)
    ```
    Raises: InvalidInput when only one of certificate and key is given, or a file is not there.
    """

    def __init__(
        self,
        api: Api,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        _require_both(certificate, key)
        self._api = api
        self._host = host
        self._wanted_port = port
        self._tls = (certificate, key) if certificate and key else None
        self.port = port

    @property
    def url(self) -> str:
        """The address that clients are given."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def __aenter__(self) -> "ApiServer":
        """Listen; a port of 0 is a free one, which `port` then tells.

        Raises: Unavailable when the address is taken or is none of this machine's.
        """
        listening = self._bound()
        self.port = listening.getsockname()[1]
        certificate, key = self._tls or (None, None)
        config = uvicorn.Config(
            self._api,
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more, and write down what the audit log still holds."""
        self._server.should_exit = True
        await self._serving
        self._api.close()

    async def wait(self) -> None:
        """Return when the server has ended."""
        await asyncio.shield(self._serving)

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._host, self._wanted_port))
            listening.listen(1024)
        except OSError as error:
            listening.close()
            raise Unavailable(f"{self._host}:{self._wanted_port}: {error.strerror}") from error
        return listening


class _Server(uvicorn.Server):
    """A server that leaves signals to the program that it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _require_both(certificate: Path | None, key: Path | None) -> None:
    named = {"api.certificate": certificate, "api.key": key}
    if any(named.values()):
        missing = [
            problem(name, path or "missing", "a PEM file; certificate and key belong together")
            for name, path in named.items()
            if path is None or not path.is_file()
        ]
        if missing:
            raise InvalidInput(missing)
