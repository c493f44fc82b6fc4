"""A connection to an MQTT broker that comes back by itself, with growing pauses."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from behaviours.ports import Clock
from environments.wire.addresses import Login, Place
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Unavailable

__all__ = ["Broker", "LastWill", "MqttLink", "Received"]

log = structlog.get_logger()

_ANSWER_S = 5.0
_KEEP_ALIVE_S = 15
_SESSION_S = 3_600


class Broker(NamedTuple):
    """Where a broker is, who one is there, and whose certificates are trusted."""

    place: Place
    login: Login | None = None
    trust: ssl.SSLContext | None = None


class LastWill(NamedTuple):
    """What the broker says in one's name when the connection breaks; retained."""

    topic: str
    payload: bytes


class Received(NamedTuple):
    """What came from the broker; `is_retained` when it was there before one subscribed."""

    topic: str
    payload: bytes
    is_retained: bool


class MqttLink:
    """Subscribes and publishes with quality of service 1; reconnects until it is closed.

    The broker keeps what is published to the subscriptions while the link is down, for an hour at most.
    What a callback raises is logged and counted; it ends nothing.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        clock: Clock,
        *,
        subscribe: Sequence[str] = (),
        receive: Callable[[Received], None] = lambda _: None,
        connected: Callable[[], None] = lambda: None,
        resumes: bool = False,
        will: LastWill | None = None,
        pauses: Pauses = USUAL_PAUSES,
    ) -> None:
        """Prepare a link.

        Args:
            broker: where to connect.
            name: the client's, unique at the broker.
            clock: the network's time, the machine's own.
            subscribe: filters of topics.
            receive: takes what comes.
            connected: is called after each time that the link came up and has subscribed.
            resumes: whether also what came before the link's start, since it was last closed, is wanted.
            will: what the broker says when the connection breaks.
            pauses: between attempts.
        """
        self._broker, self._name, self._clock = broker, name, clock
        self._filters, self._receive, self._came_up = tuple(subscribe), receive, connected
        self._resumes, self._will, self._pauses = resumes, will, pauses
        self._client: aiomqtt.Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.why_down = "not started"
        """Why there is no connection, while there is none."""

    @property
    def is_up(self) -> bool:
        """Whether there is a connection with all subscriptions."""
        return self._client is not None

    async def start(self, wait_s: float = 0.0) -> None:
        """Begin to connect; with a wait return only when connected.

        Raises: Unavailable when that takes longer; the link goes on trying.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._live())
        if wait_s:
            try:
                await asyncio.wait_for(self._up.wait(), wait_s)
            except TimeoutError:
                raise Unavailable(f"{self._broker.place.url}: {self.why_down}") from None

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish, and return when the broker has it.

        Raises: Unavailable when there is no connection or no acknowledgement in time.
        """
        client = self._client
        if client is None:
            raise Unavailable(f"{self._broker.place.url}: {self.why_down}")
        acknowledged = asyncio.ensure_future(
            client.publish(topic, payload, qos=1, retain=retain, timeout=_ANSWER_S)
        )
        broken = asyncio.ensure_future(self._down.wait())
        try:
            await asyncio.wait((acknowledged, broken), return_when=asyncio.FIRST_COMPLETED)
            if not acknowledged.done():
                raise aiomqtt.MqttError("the connection broke before the acknowledgement")
            acknowledged.result()
        except (aiomqtt.MqttError, OSError) as error:
            self.counts["not published"] += 1
            raise Unavailable(f"{self._broker.place.url}: {error}") from error
        finally:
            acknowledged.cancel()
            broken.cancel()

    async def close(self) -> None:
        """Disconnect and stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.why_down = "closed"

    async def _live(self) -> None:
        failures = 0
        while True:
            try:
                async with self._connection() as client:
                    failures = 0
                    async for message in client.messages:
                        self._take(message)
            except (aiomqtt.MqttError, OSError, ValueError) as error:
                self.why_down = str(error) or type(error).__name__
            failures += 1
            log.info("MQTT link down", broker=self._broker.place.url, why=self.why_down, failures=failures)
            await self._clock.sleep_until(self._clock.now_s() + self._pauses.after(failures))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiomqtt.Client]:
        async with self._new_client() as client:
            for each in self._filters:
                await client.subscribe(each, qos=1)
            self._client, self.why_down = client, ""
            self.counts["connected"] += 1
            self._down.clear()
            self._up.set()
            try:
                self._call(self._came_up)
                yield client
            finally:
                self._client, self.why_down = None, "disconnected"
                self.counts["disconnected"] += 1
                self._up.clear()
                self._down.set()

    def _new_client(self) -> aiomqtt.Client:
        place, login, trust = self._broker
        will = self._will and aiomqtt.Will(self._will.topic, self._will.payload, qos=1, retain=True)
        return aiomqtt.Client(
            place.host,
            place.port,
            username=login.name if login else None,
            password=login.password if login else None,
            identifier=self._name,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=not self._resumes and not self.counts["connected"],
            properties=_kept_session(),
            will=will,
            timeout=_ANSWER_S,
            keepalive=_KEEP_ALIVE_S,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            tls_context=(trust or ssl.create_default_context()) if place.is_secured else None,
        )

    def _take(self, message: aiomqtt.Message) -> None:
        payload = message.payload if isinstance(message.payload, bytes) else b""
        self._call(self._receive, Received(str(message.topic), payload, bool(message.retain)))

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:
            self.counts["errors"] += 1
            log.exception("what came by MQTT was not handled", broker=self._broker.place.url)


def _kept_session() -> Properties:
    """Return how long the broker keeps a session that has no connection (MQTT 5, 3.1.2.11.2)."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = _SESSION_S
    return properties
