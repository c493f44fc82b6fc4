"""Brings sealed messages to the participants: in order, again and again until they are taken or time is up.

Source: Shapeshifter specification 3.1, transmission: exponential back-off, for an hour at least.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Protocol, TypeAlias

import aiohttp
import structlog

from behaviours.ports import Clock

__all__ = ["Carrier", "Delivery", "Ended", "Parcel", "RetryPolicy"]

log = structlog.get_logger()

_LATER = frozenset({404, 408, 419, 425, 429})
"""Client errors that may pass: a front end whose back end is away answers 404 (specification, note 23)."""
_HEADERS = {"Content-Type": "text/xml; charset=utf-8"}
_SHOWN = 300


class RetryPolicy(NamedTuple):
    """How long to wait after a failure, in seconds: the first time, at most, and until giving up."""

    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 300.0
    give_up_s: float = 3600.0
    answer_s: float = 30.0

    def wait_s(self, attempts: int) -> float:
        """Return how long to wait after a number of attempts."""
        return float(min(self.longest_s, self.first_s * self.factor ** min(attempts - 1, 60)))


class Parcel(NamedTuple):
    """A signed message on its way: its id, where to, and the XML of the wrapper."""

    message_id: str
    url: str
    body: bytes


Ended: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Is told how a delivery ended: the message id, and why not, or nothing when the message was taken."""


class Carrier(Protocol):
    """Brings parcels to their addresses, in order."""

    async def start(self, ended: Ended) -> None:
        """Begin to deliver, and tell how each delivery ends."""

    def post(self, parcel: Parcel) -> None:
        """Have a parcel delivered; returns at once."""

    async def close(self) -> None:
        """Stop; what is not delivered by now is not."""


class Delivery:
    """Posts parcels, one after the other for each address.

    Args:
        clock: tells time and waits.
        retry: how often to try.
        trust: whose certificates are trusted; by default those of the system's authorities.
    """

    def __init__(
        self,
        clock: Clock,
        retry: RetryPolicy,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._clock, self._retry = clock, retry
        self._ended: Ended | None = None
        self._trust: ssl.SSLContext | bool = trust or True
        self._queues: dict[str, asyncio.Queue[Parcel]] = {}
        self._carriers: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self, ended: Ended) -> None:
        """Begin to deliver."""
        self._ended = ended
        timeout = aiohttp.ClientTimeout(total=self._retry.answer_s)
        # Messages are few: a connection that the other side may just have let go of is not worth keeping.
        connector = aiohttp.TCPConnector(force_close=True)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)

    def post(self, parcel: Parcel) -> None:
        """Have a parcel delivered; returns at once."""
        if parcel.url not in self._queues:
            self._queues[parcel.url] = asyncio.Queue()
            self._carriers.append(asyncio.create_task(self._carry(self._queues[parcel.url])))
        self._queues[parcel.url].put_nowait(parcel)

    async def close(self) -> None:
        """Stop; what is not delivered by now is not."""
        for each in self._carriers:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        self._carriers, self._queues = [], {}
        if self._session is not None:
            await self._session.close()

    async def _carry(self, queue: asyncio.Queue[Parcel]) -> None:
        while True:
            parcel = await queue.get()
            why_not = await self._deliver(parcel)
            if why_not:
                log.error(
                    "UFTP message not delivered", message=parcel.message_id, url=parcel.url, reason=why_not
                )
            assert self._ended is not None, "start first"
            try:
                await self._ended(parcel.message_id, why_not)
            except Exception:
                log.exception("end of a UFTP message not handled", message=parcel.message_id)

    async def _deliver(self, parcel: Parcel) -> str:
        """Try until the parcel is taken, refused for good, or too late; return why it was not taken."""
        give_up_s = self._clock.now_s() + self._retry.give_up_s
        attempts = 0
        while True:
            attempts += 1
            status, text = await self._attempt(parcel)
            if status == 200:
                return ""
            retry_s = self._clock.now_s() + self._retry.wait_s(attempts)
            if 400 <= status < 500 and status not in _LATER:
                return f"refused with {status}: {text}"
            if retry_s > give_up_s:
                return f"not taken in {attempts} attempts: {status or ''} {text}".strip()
            log.info(
                "UFTP message waits", message=parcel.message_id, attempts=attempts, status=status, why=text
            )
            await self._clock.sleep_until(retry_s)

    async def _attempt(self, parcel: Parcel) -> tuple[int, str]:
        """Return the HTTP status and text, or 0 and what went wrong on the way."""
        assert self._session is not None, "start first"
        try:
            async with self._session.post(
                parcel.url, data=parcel.body, headers=_HEADERS, ssl=self._trust
            ) as answer:
                shown = await answer.content.read(_SHOWN)
                return answer.status, shown.decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0, f"{type(error).__name__}: {error}"
