"""Questions to an HTTP service outside: a bearer token, a timeout, and pauses that grow while it is away."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import msgspec
import structlog

from behaviours.ports import Barrier, Clock
from environments.wire.addresses import Place
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Refused, Unavailable

__all__ = ["HttpLink", "Reply", "Service", "held"]

log = structlog.get_logger()

_ANSWER_S = 10.0
_LONGEST_BYTES = 16_000_000


class Service(NamedTuple):
    """Where a service is, the token that lets one in, and whose certificates are trusted."""

    place: Place
    token: str = ""
    trust: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Service({self.place.url!r}, …)"


class Reply(NamedTuple):
    """What a service answered: the HTTP status and the decoded JSON."""

    status: int
    content: Any


@asynccontextmanager
async def held(barrier: Barrier | None, who: str) -> AsyncIterator[None]:
    """Let a scaled clock stand while one waits for a system outside; who is a name that it expects."""
    if barrier is not None:
        barrier.sent(who)
    try:
        yield
    finally:
        if barrier is not None:
            barrier.handled(who)


class HttpLink:
    """Asks a service; after a failure it is left alone for a while, then for longer.

    Raises: Unavailable from every question while it is away, Refused when the token is not taken.
    """

    def __init__(
        self, service: Service, clock: Clock, *, pauses: Pauses = USUAL_PAUSES, answer_s: float = _ANSWER_S
    ) -> None:
        """Prepare a link; `clock` is the network's time, the machine's own."""
        self._service, self._clock, self._pauses = service, clock, pauses
        self._timeout = aiohttp.ClientTimeout(total=answer_s)
        self._session: aiohttp.ClientSession | None = None
        self._failures = 0
        self._not_before_s = 0.0
        self._why_down = ""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Reply:
        """Ask for a resource below the service's address.

        Raises: Unavailable, Refused.
        """
        return await self._ask("GET", path, query, None)

    async def post(self, path: str, body: bytes) -> Reply:
        """Post JSON to a resource below the service's address.

        Raises: Unavailable, Refused.
        """
        return await self._ask("POST", path, None, body)

    async def pause(self) -> None:
        """Wait until the service may be asked again."""
        await self._clock.sleep_until(self._not_before_s)

    async def close(self) -> None:
        """Let go of the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None
    ) -> Reply:
        if self._clock.now_s() < self._not_before_s:
            raise Unavailable(f"{self._service.place.url}: {self._why_down}")
        try:
            reply = await self._attempt(method, f"{self._service.place.url}/{path}", query, body)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError, ValueError) as error:
            raise self._failed(f"{type(error).__name__}: {error}".strip(": ")) from error
        if reply.status >= 500:
            raise self._failed(f"HTTP status {reply.status}")
        self._failures, self._not_before_s = 0, 0.0
        if reply.status in (401, 403):
            raise Refused(f"{self._service.place.url}: HTTP status {reply.status}: the token is not taken")
        return reply

    async def _attempt(
        self, method: str, url: str, query: Mapping[str, str] | None, body: bytes | None
    ) -> Reply:
        if self._session is None:
            token = self._service.token
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=headers)
        json = {"Content-Type": "application/json"} if body is not None else None
        trust = self._service.trust or True
        async with self._session.request(
            method, url, params=query, data=body, headers=json, ssl=trust, allow_redirects=False
        ) as answer:
            raw = b""
            async for chunk in answer.content.iter_any():
                raw += chunk
                if len(raw) > _LONGEST_BYTES:
                    raise ValueError(f"more than {_LONGEST_BYTES} bytes")
            is_json = answer.content_type == "application/json"
            return Reply(answer.status, msgspec.json.decode(raw) if is_json else None)

    def _failed(self, why: str) -> Unavailable:
        self._failures += 1
        self._not_before_s = self._clock.now_s() + self._pauses.after(self._failures)
        self._why_down = why
        log.info("HTTP service away", url=self._service.place.url, why=why, failures=self._failures)
        return Unavailable(f"{self._service.place.url}: {why}")
