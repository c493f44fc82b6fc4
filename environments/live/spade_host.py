"""One agent's place on XMPP: a SPADE agent whose connection is watched, and restored when lost.

SPADE 4.1.4 is pinned exactly, because what connects an agent (`_async_start`, `_async_connect`) is
replaced here. SPADE's own trusts any certificate, makes a TLS context an agent, returns never when the
server is down, hears nothing of a lost connection, and hands letters over inside the process.
"""

import asyncio
import hashlib
import itertools
import logging
import ssl
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import structlog
from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.util.sasl.mechanisms import SCRAM
from spade.agent import Agent
from spade.container import Container
from spade.xmpp_client import XMPPClient

from environments.live.endpoint import Endpoint
from environments.live.stanzas import write_probe
from environments.live.stream_management import Leftover, StreamManagement
from ontology.errors import Unavailable

__all__ = ["SpadeHost"]

log = structlog.get_logger()

# At DEBUG slixmpp writes down all that it sends, passwords included.
logging.getLogger("slixmpp").setLevel(logging.WARNING)

PING_EVERY_S = 25.0
PING_PATIENCE_S = 10.0
ATTEMPT_S = 15.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0
_PROBE = "parity-probe-"
_MESSAGE = "{jabber:client}message"
_PRESENCE = "{jabber:client}presence"


class _Rejected(Unavailable):
    """The server is there, and trying again will not help."""


class SpadeHost(Agent):  # type: ignore[misc]
    """A SPADE agent with its own account, kept connected until it is stopped or killed."""

    def __init__(
        self,
        address: str,
        password: str,
        server: Endpoint,
        *,
        receive: Callable[[Element], None],
        noticed: Callable[[Element], None],
        changed: Callable[[], None],
        rng: np.random.Generator,
        start_timeout_s: float,
        resumes: bool = False,
    ) -> None:
        """Prepare an agent.

        Args:
            address: bare JID.
            password: of its account, which exists.
            server: where to connect.
            receive: takes each message stanza.
            noticed: takes each presence stanza.
            changed: called whenever the connection comes or goes.
            rng: draws the jitter of reconnection.
            start_timeout_s: real seconds within which the first connection must stand.
            resumes: whether a lost stream is resumed where the server offers that (XEP-0198).
        """
        _adopt_running_loop()
        super().__init__(address, password, port=server.port, verify_security=True)
        self.container.unregister(address)  # never the shortcut inside the process
        self.address = address
        self.connected = False
        self._server = server
        self._receive = receive
        self._noticed = noticed
        self._changed = changed
        self._rng = rng
        self._start_timeout_s = start_timeout_s
        self._resumes = resumes
        self._leftover: Leftover | None = None
        self.resumed = 0
        """How often a lost stream was resumed, with nothing lost on the way."""
        self._lost = asyncio.Event()
        self._probes = itertools.count(1)
        self._probed: asyncio.Future[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.losses = 0
        """How often the connection was lost."""
        self.why_down = "not connected yet"
        """Why there is no connection, while there is none."""

    async def start(self, auto_register: bool = False) -> None:
        """Connect, and stay connected from now on.

        Raises: Unavailable, naming address, server and cause, when the password or the certificate is
        refused, or when no connection stands within `start_timeout_s`.
        """
        await self._async_start(auto_register)

    def begin(self) -> None:
        """Connect in the background, for as long as it takes, and stay connected."""
        self._supervisor = asyncio.create_task(self._begin(), name=f"supervise {self.address}")
        self._supervisor.add_done_callback(_report)

    async def _begin(self) -> None:
        await self._hook_plugin_before_connection()
        await self._reconnect()
        await self._hook_plugin_after_connection()
        await self.setup()
        self._alive.set()
        await self._supervise()

    async def _async_start(self, auto_register: bool = False) -> None:
        await self._hook_plugin_before_connection()
        await self._connect_in_time()
        await self._hook_plugin_after_connection()
        await self.setup()
        self._alive.set()
        self._supervisor = asyncio.create_task(self._supervise(), name=f"supervise {self.address}")
        self._supervisor.add_done_callback(_report)

    async def _async_stop(self) -> None:
        """Close the stream in an orderly way, so that all that was written arrives."""
        client = self._retire()
        if client is not None:
            await client.disconnect(wait=1.0)
            _dispose(client)

    def kill(self) -> None:
        """Drop the connection without a word, as a crash does."""
        client = self._retire()
        if client is not None:
            _dispose(client)

    def write(self, *stanzas: str) -> None:
        """Write stanzas to the server, in one go; only while connected."""
        self.client.write(*stanzas)

    # ------------------------------------------------------------------------------------- connecting

    async def _connect_in_time(self) -> None:
        """Try until connected, rejected for good, or out of time."""
        cause: Exception = Unavailable("no answer")
        try:
            async with asyncio.timeout(self._start_timeout_s):
                for pause_s in self._pauses():
                    try:
                        await self._async_connect()
                    except _Rejected:
                        raise
                    except Unavailable as error:
                        cause = error
                    else:
                        return
                    await asyncio.sleep(pause_s)  # noqa: TID251 - the server is in real time
        except TimeoutError:
            raise self._unavailable(f"{cause} (tried for {self._start_timeout_s:g} s)") from cause
        except _Rejected as error:
            raise self._unavailable(str(error)) from error

    def _unavailable(self, cause: str) -> Unavailable:
        return Unavailable(f"{self.address} cannot connect to {self._server}: {cause}")

    async def _async_connect(self) -> None:
        """Connect and log in once, and see a message to ourselves come back.

        Raises: Unavailable with the cause, or _Rejected when it will be the same next time.
        """
        client = _Client(self.address, self.password, self._server, self._take, self._noticed)
        if self._resumes:
            client.stream_management = StreamManagement(client, self._leftover)
        attempt = _Attempt(client)
        try:
            async with asyncio.timeout(ATTEMPT_S):
                client.connect(host=self._server.host, port=self._server.port)
                await attempt.outcome
                if not attempt.is_resumed:
                    await self._probe(client, attempt)
        except TimeoutError:
            _dispose(client)
            raise Unavailable(f"no answer within {ATTEMPT_S:g} s") from None
        except BaseException:
            _dispose(client)
            raise
        self.resumed += attempt.is_resumed
        self._adopt(client)
        if not attempt.is_resumed:
            self._repeat_leftover()

    def _repeat_leftover(self) -> None:
        """Write once more what a stream that could not be resumed had not delivered for certain."""
        leftover, self._leftover = self._leftover, None
        if leftover is not None and self.connected and (letters := leftover.messages()):
            self.write(*letters)

    async def _probe(self, client: Any, attempt: "_Attempt") -> None:
        """Wait for a message to ourselves: from then on the server delivers here."""
        self._probed = asyncio.get_running_loop().create_future()
        attempt.outcome = self._probed
        client.write(write_probe(client.boundjid.full, f"{_PROBE}{next(self._probes)}"))
        await self._probed

    def _adopt(self, client: Any) -> None:
        self.client = client
        self._lost.clear()
        client.add_event_handler("disconnected", lambda _: self._note_loss(client))
        if not client.is_connected():
            self._lost.set()
            return
        self.connected = True
        self._changed()

    def _take(self, message: Element) -> None:
        """Take a message stanza from the stream."""
        if message.get("id", "").startswith(_PROBE):
            if self._probed is not None and not self._probed.done():
                self._probed.set_result(None)
        else:
            self._receive(message)

    # ---------------------------------------------------------------------------------- staying connected

    async def _supervise(self) -> None:
        while self._alive.is_set():
            await self._until_lost()
            log.warning("XMPP connection lost", address=self.address, server=str(self._server))
            await self._reconnect()
            log.info("XMPP connection restored", address=self.address, server=str(self._server))

    async def _until_lost(self) -> None:
        """Return when the connection is lost, or silent for too long."""
        while True:
            try:
                await asyncio.wait_for(self._lost.wait(), PING_EVERY_S)
                return
            except TimeoutError:
                if not await self._answers():
                    _dispose(self.client)

    async def _answers(self) -> bool:
        try:
            await self.client["xep_0199"].ping(self._server.domain, timeout=PING_PATIENCE_S)
        except IqTimeout:
            return False
        except IqError:
            return True
        return True

    async def _reconnect(self) -> None:
        """Try, with pauses that double and differ between agents, until connected."""
        client = self.client
        if client is not None:
            if client.stream_management is not None:
                self._leftover = client.stream_management.leftover()
            _dispose(client)
        for pause_s in self._pauses():
            await asyncio.sleep(pause_s)  # noqa: TID251 - the server is in real time
            try:
                await self._async_connect()
            except Unavailable as error:
                if str(error) != self.why_down:
                    log.warning("no XMPP connection", address=self.address, cause=str(error))
                self.why_down = str(error)
            except Exception:
                log.exception("XMPP reconnection failed", address=self.address)
            else:
                return

    def _pauses(self) -> Iterator[float]:
        longest_s = FIRST_PAUSE_S
        while True:
            yield longest_s * (0.5 + 0.5 * float(self._rng.random()))
            longest_s = min(2 * longest_s, LONGEST_PAUSE_S)

    def _note_loss(self, client: Any) -> None:
        if client is self.client and self.connected:
            self.connected = False
            self.losses += 1
            self.why_down = "the connection was lost"
            self._lost.set()
            self._changed()

    def _retire(self) -> Any:
        """Stop watching; return the client, if there is one."""
        self._alive.clear()
        self.connected = False
        if self._supervisor is not None:
            self._supervisor.cancel()
            self._supervisor = None
        client, self.client = self.client, None
        return client


class _Client(XMPPClient):  # type: ignore[misc]
    """SPADE's client with the shared TLS context, and messages taken before slixmpp wraps them."""

    def __init__(
        self,
        address: str,
        password: str,
        server: Endpoint,
        take: Callable[[Element], None],
        notice: Callable[[Element], None],
    ) -> None:
        # Not SPADE's constructor: it makes a TLS context a client and switches its checks off.
        ClientXMPP.__init__(self, address, password, ssl_context=server.ssl_context)
        self._takers = {_MESSAGE: take, _PRESENCE: notice}
        self.stream_management: StreamManagement | None = None
        self.enable_direct_tls = False
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", self.session_start)

    def session_start(self, event: object) -> None:
        """Announce that messages are welcome; the roster is of no interest."""
        self.write("<presence/>")

    def write(self, *stanzas: str) -> None:
        """Write stanzas past slixmpp, counted where the stream is managed."""
        if self.stream_management is not None:
            for stanza in stanzas:
                self.stream_management.note_written(stanza)
        self.send_raw("".join(stanzas))
        if self.stream_management is not None:
            self.stream_management.ask_if_due()

    def _spawn_event(self, xml: Element) -> None:
        """Take messages and presence as they are (five times faster); slixmpp handles everything else."""
        take = self._takers.get(xml.tag)
        if take is None:
            super()._spawn_event(xml)
            return
        if self.stream_management is not None:
            self.stream_management.note_read()
        try:
            take(xml)
        except Exception:
            log.exception("stanza dropped", address=str(self.boundjid.bare), tag=xml.tag)


class _Attempt:
    """What becomes of one attempt to connect; the first thing that happens counts."""

    def __init__(self, client: Any) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._password_refused = False
        self.is_resumed = False
        on = client.add_event_handler
        on("session_start", lambda _: self._succeed())
        on("session_resumed", lambda _: self._resume())
        on("connection_failed", lambda why: self._fail(Unavailable(str(why))))
        on("failed_auth", lambda _: self._refuse_password())
        on("no_auth", lambda _: self._fail(_Rejected("the server offers no secure way to log in")))
        on("disconnected", lambda why: self._close(why))

    def _succeed(self) -> None:
        if not self.outcome.done():
            self.outcome.set_result(None)

    def _resume(self) -> None:
        self.is_resumed = not self.outcome.done()
        self._succeed()

    def _fail(self, error: Unavailable) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def _refuse_password(self) -> None:
        self._password_refused = True

    def _close(self, why: object) -> None:
        """Tell apart why a connection was closed, by the server or by us."""
        if self._password_refused:
            self._fail(_Rejected("the password was refused"))
        elif isinstance(why, ssl.SSLCertVerificationError):
            self._fail(_Rejected(f"its certificate is not trusted: {why.verify_message}"))
        else:
            self._fail(Unavailable(f"the server closed the connection: {why or 'no reason given'}"))


def _report(supervisor: asyncio.Task[None]) -> None:
    """Say so when a supervisor ends by anything but being told to."""
    if not supervisor.cancelled() and supervisor.exception() is not None:
        log.error("XMPP supervision ended", supervisor=supervisor.get_name(), exc_info=supervisor.exception())


def _dispose(client: Any) -> None:
    """Drop a client and all that it has running."""
    client.cancel_connection_attempt()
    client.abort()
    if client._run_out_filters is not None:
        client._run_out_filters.cancel()


def _adopt_running_loop() -> None:
    """Put SPADE's singleton on the running loop, and keep it from making everybody's loops uvloop's."""
    policy = asyncio.get_event_loop_policy()
    Container().loop = asyncio.get_running_loop()
    asyncio.set_event_loop_policy(policy)


def _derive(self: Any, text: Any, salt: bytes, iterations: int) -> bytes:
    """Derive SCRAM's key in C: slixmpp's own loop would hold up every agent at each login."""
    return hashlib.pbkdf2_hmac(self.hash().name, bytes(text), salt, iterations)


SCRAM.Hi = _derive
