"""A local XMPP server: what the embedded one and Prosody have in common, from start to end."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from environments.live.certificates import issue_certificate
from environments.live.endpoint import Endpoint, verified_context
from ontology.errors import InvalidInput, Problem, Unavailable

__all__ = ["LocalServer", "name_in", "new_accounts"]

log = structlog.get_logger()

DOMAIN = "localhost"
_POLL_S = 0.02
_STOP_S = 3.0


def new_accounts(addresses: Iterable[str]) -> dict[str, str]:
    """Draw a password for each address."""
    return {address: secrets.token_urlsafe(24) for address in addresses}


def name_in(domain: str, address: str) -> str:
    """Return the name before the `@` of an address in a domain.

    Raises: InvalidInput when the address is not of the form name@domain.
    """
    name, _, its_domain = address.partition("@")
    if not name or its_domain != domain:
        raise InvalidInput(Problem("address", address, f"name@{domain}"))
    return name


class LocalServer(ABC):
    """An XMPP server of ours, as a rule on 127.0.0.1, in a process group of its own and a folder of its own.

    It speaks only TLS, with a certificate by its own authority; it registers nobody by itself, and
    it ends when our process ends, however that happens. Usable from several event loops, one after
    the other: `async with` it, or call `start` and `stop`.
    """

    def __init__(
        self,
        accounts: Mapping[str, str] | None = None,
        *,
        domain: str = DOMAIN,
        host: str = "127.0.0.1",
        start_timeout_s: float = 20.0,
    ) -> None:
        """Prepare a server for accounts (address to password), in real seconds for it to be ready."""
        self.domain = domain
        self.host = host
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="parity-xmpp-"))
        self.ca_file = issue_certificate(self.folder, domain)
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._prepare()
        for address, password in (accounts or {}).items():
            self.register(address, password)

    # ------------------------------------------------------------------ what each server does its way

    @abstractmethod
    def _prepare(self) -> None:
        """Lay out the folder, once."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command of a server in the foreground, after configuring it for this start."""

    @abstractmethod
    def _listening_port(self) -> int | None:
        """Return the port when the server is ready."""

    @abstractmethod
    def register(self, address: str, password: str) -> None:
        """Give an address an account, also while the server runs.

        Raises: InvalidInput when the address is not in the domain.
        """

    # ------------------------------------------------------------------------------ what they all do

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_group(self) -> int | None:
        """The id of the server's process group, while it has one."""
        return None if self._process is None else self._process.pid

    def endpoint(self) -> Endpoint:
        """Return the way to the started server, trusting its authority and no other."""
        return Endpoint(self.host, self.port, self.domain, verified_context(self.ca_file))

    async def start(self) -> None:
        """Start the server and return when it takes clients.

        The first start takes a free port, later ones the same again.

        Raises: Unavailable when it is not ready in time, with the end of its log.
        """
        if self.running:
            return
        self._launch()
        try:
            await asyncio.wait_for(self._ready(), self._start_timeout_s)
        except (TimeoutError, Unavailable) as error:
            self._end()
            why = (
                f"not ready within {self._start_timeout_s:g} s" if isinstance(error, TimeoutError) else error
            )
            raise Unavailable(f"{type(self).__name__} did not start: {why}\n{self.log_tail()}") from error
        except BaseException:
            self._end()
            raise
        log.info("XMPP server ready", server=type(self).__name__, host=self.host, port=self.port)

    async def stop(self) -> None:
        """Ask the server to end, make it end, and remove its folder."""
        await self._terminate()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def ended(self) -> None:
        """Return when the server's process has ended by itself."""
        while self.running:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(_STOP_S)  # noqa: TID251 - a real process ends in real time

    async def kill(self) -> None:
        """End the server at once, as a crash would; `start` brings it back with its accounts."""
        self._end()
        await self._closed()

    async def restart(self) -> None:
        """End the server in an orderly way and start it again on the same port, with its accounts."""
        await self._terminate()
        await self.start()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines that the server wrote."""
        try:
            written = (self.folder / "server.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(written.splitlines()[-lines:])

    def _launch(self) -> None:
        guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), str(self.folder)]
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*guard, *self._command()],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                start_new_session=True,
            )

    async def _ready(self) -> None:
        while (port := self._listening_port()) is None:
            if not self.running:
                raise Unavailable("its process ended")
            await asyncio.sleep(_POLL_S)  # noqa: TID251 - a real process starts in real time
        self.port = port

    async def _terminate(self) -> None:
        """End the process group politely, then by force."""
        if self._process is None:
            return
        _signal_group(self._process.pid, signal.SIGTERM)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STOP_S
        while self.running and loop.time() < deadline:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(_POLL_S)  # noqa: TID251 - a real process ends in real time
        self._end()
        await self._closed()

    async def _closed(self) -> None:
        """Return when nobody listens on the port any more: a killed process takes a moment to go."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STOP_S
        while loop.time() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) != 0:
                    return
            await asyncio.sleep(_POLL_S)  # noqa: TID251 - a real process ends in real time

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
