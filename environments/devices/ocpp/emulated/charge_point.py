"""An emulated charge point: it connects, charges as it is told, and forgets nothing while offline."""

import asyncio
import base64
import ssl
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from ocpp.exceptions import OCPPError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from behaviours.ports import Clock
from environments.devices.ocpp.emulated.connector import EmulatedConnector, EmulatedSession
from environments.devices.ocpp.emulated.profile_stack import ProfileStack
from environments.devices.ocpp.emulated.vehicle import EmulatedVehicle
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import Refused

__all__ = ["EmulatedChargePoint", "EmulatedSettings", "PointSide", "SessionEvent"]

log = structlog.get_logger()

_GONE = (ConnectionClosed, OSError, TimeoutError, OCPPError)


@dataclass(frozen=True)
class EmulatedSettings:
    """An emulated charge point: where it connects, as whom, and what it can give (W a connector)."""

    url: str
    identity: str
    password: str
    version: str = "1.6"
    connectors: int = 1
    power_max_w: float = 11_000.0
    phase_v: float = 230.0
    phases: int = 3
    tick_s: float = 1.0
    speed: float = 1.0
    """How many times faster than time batteries fill."""
    trust: ssl.SSLContext | None = None
    pauses: Pauses = USUAL_PAUSES


@dataclass(frozen=True)
class SessionEvent:
    """What a central system must hear of a session, in order, sooner or later."""

    kind: str
    session: EmulatedSession
    time_s: float
    register_wh: float
    power_w: float
    state_of_charge: float
    reason: str = ""
    sequence: int = 0
    offline: bool = False


class PointSide(Protocol):
    """The charge point's side of a connection, in either version; what does not arrive raises."""

    async def listen(self) -> None:
        """Answer the central system until the connection ends."""

    async def boot(self) -> bool:
        """Say that it has started; tell whether it may take part."""

    async def heartbeat(self) -> None:
        """Say that it is there."""

    async def authorise(self, token: str) -> bool:
        """Ask whether a token may charge."""

    async def report_status(self, connector: EmulatedConnector) -> None:
        """Tell a connector's state."""

    async def deliver(self, event: SessionEvent) -> bool:
        """Tell of a session; returns False when the central system says that its token may not charge."""


class EmulatedChargePoint:
    """A charge point that behaves as OCPP says; `run` it, then `plug` vehicles in and `unplug` them."""

    def __init__(
        self,
        settings: EmulatedSettings,
        clock: Clock,
        side: Callable[["EmulatedChargePoint", ClientConnection], PointSide],
    ) -> None:
        """Prepare a charge point; `side` speaks its version of OCPP."""
        self.settings, self.clock, self._side = settings, clock, side
        least_w = 6.0 * settings.phase_v * settings.phases
        self.connectors = {
            number: EmulatedConnector(number, settings.power_max_w, least_w)
            for number in range(1, settings.connectors + 1)
        }
        self.profiles = ProfileStack()
        self.configuration = {"MeterValueSampleInterval": "60", "HeartbeatInterval": "300"}
        self.counts: Counter[str] = Counter()
        self.is_cut = False
        self.failures = 0
        """Attempts in a row that brought no connection."""
        self._link: PointSide | None = None
        self._socket: ClientConnection | None = None
        self._waiting: deque[SessionEvent] = deque()
        self._news = asyncio.Event()
        self._booted = False
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- its life -----------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether the central system has accepted it."""
        return self._link is not None

    @property
    def waiting(self) -> int:
        """How many events of sessions the central system has not heard of."""
        return len(self._waiting)

    async def run(self) -> None:
        """Connect, again and again, and charge, until cancelled."""
        ticking = asyncio.create_task(self._tick())
        try:
            while True:
                if not self.is_cut and await self._connected():
                    self.failures = 0
                self.failures += 1
                await self._pause(self.settings.pauses.after(self.failures))
        finally:
            ticking.cancel()
            for task in self._tasks:
                task.cancel()

    async def cut(self) -> None:
        """Lose the connection, and find no way until `restore`."""
        self.is_cut = True
        if self._socket is not None:
            self._socket.transport.abort()
            await self._socket.wait_closed()

    def restore(self) -> None:
        """Let connections be possible again."""
        self.is_cut = False

    def restart(self) -> None:
        """Say with the next connection that it has started anew."""
        self._booted = False

    # -- people -------------------------------------------------------------------------------

    def plug(self, vehicle: EmulatedVehicle, token: str = "", connector: int = 1) -> None:
        """Plug a vehicle in and show a token; without one a start from afar is waited for."""
        at = self.connectors[connector]
        at.vehicle = vehicle
        self._tell_status(at)
        if token:
            self._spawn(self._show(at, token))

    def unplug(self, connector: int = 1) -> None:
        """Unplug whatever is there; its session ends."""
        at = self.connectors[connector]
        self.end(at, "EVDisconnected")
        at.vehicle = None
        self._tell_status(at)

    # -- sessions -----------------------------------------------------------------------------

    def begin(self, at: EmulatedConnector, token: str) -> bool:
        """Begin a session at a connector; tell whether that can be."""
        now_s = self.clock.now_s()
        if at.vehicle is None or at.session is not None or at.keeps_out(token, now_s):
            return False
        at.reserved = None
        session = EmulatedSession(
            at.number, token, now_s, round(at.register_wh), offline=not self.is_connected
        )
        if self.settings.version != "1.6":
            session.transaction_id = str(uuid.uuid4())
        at.session, at.metered_s = session, now_s
        self._say("start", at, session)
        self._tell_status(at)
        return True

    def end(self, at: EmulatedConnector, reason: str) -> None:
        """End the session at a connector, if there is one."""
        session, at.session = at.session, None
        if session is not None:
            at.power_w = 0.0
            self._say("stop", at, session, reason)
            self.profiles.end_session(at.number)
            self._tell_status(at)

    def measure(self, at: EmulatedConnector) -> None:
        """Tell what the meter says now."""
        if at.session is not None:
            at.metered_s = self.clock.now_s()
            self._say("meter", at, at.session)

    def session_of(self, transaction_id: str) -> EmulatedConnector | None:
        """Return the connector of a transaction that runs."""
        for at in self.connectors.values():
            if at.session is not None and at.session.transaction_id == transaction_id:
                return at
        return None

    def spawn_end(self, at: EmulatedConnector, reason: str) -> None:
        """End a session a moment later, after the answer to who asked for it."""

        async def end() -> None:
            self.end(at, reason)

        self._spawn(end())

    def spawn_measure(self, connector: int) -> None:
        """Tell what the meters say, a moment later."""

        async def measure() -> None:
            for at in self.connectors.values():
                if connector in (0, at.number):
                    self.measure(at)

        self._spawn(measure())

    def spawn_begin(self, at: EmulatedConnector, token: str) -> None:
        """Begin a session a moment later."""

        async def begin() -> None:
            self.begin(at, token)

        self._spawn(begin())

    # -- inside -------------------------------------------------------------------------------

    def _say(self, kind: str, at: EmulatedConnector, session: EmulatedSession, reason: str = "") -> None:
        state = at.vehicle.state_of_charge if at.vehicle else 0.0
        event = SessionEvent(
            kind,
            session,
            self.clock.now_s(),
            at.register_wh,
            at.power_w,
            state,
            reason,
            session.next_sequence(),
            not self.is_connected,
        )
        self._waiting.append(event)
        self._news.set()

    async def _show(self, at: EmulatedConnector, token: str) -> None:
        link = self._link
        if link is not None:
            try:
                if not await link.authorise(token):
                    self.counts["tokens refused"] += 1
                    return
            except _GONE:
                log.info("authorised offline", charge_point=self.settings.identity)
        self.begin(at, token)

    async def _connected(self) -> bool:
        """Connect and stay so until the connection ends; tell whether there was one."""
        settings = self.settings
        basic = base64.b64encode(f"{settings.identity}:{settings.password}".encode()).decode()
        try:
            async with connect(
                f"{settings.url}/{settings.identity}",
                subprotocols=[f"ocpp{settings.version}"],  # type: ignore[list-item]
                additional_headers={"Authorization": f"Basic {basic}"},
                ssl=settings.trust,
                open_timeout=10,
                close_timeout=1,
                proxy=None,
            ) as socket:
                self._socket = socket
                self.counts["connections"] += 1
                await self._live(socket)
                return True
        except InvalidHandshake as error:
            self.counts["turned away"] += 1
            log.warning("turned away", charge_point=settings.identity, why=str(error))
        except _GONE as error:
            log.info("no connection", charge_point=settings.identity, why=str(error))
        finally:
            self._link = self._socket = None
        return False

    async def _live(self, socket: ClientConnection) -> None:
        side = self._side(self, socket)
        listening = asyncio.create_task(side.listen())
        speaking = asyncio.create_task(self._speak(side))
        try:
            await asyncio.wait((listening, speaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._link = None
            for task in (listening, speaking):
                task.cancel()
            await asyncio.gather(listening, speaking, return_exceptions=True)

    async def _speak(self, side: PointSide) -> None:
        """Boot where that is due, then tell of sessions, the oldest first, and of being there."""
        while not self._booted:
            self._booted = await side.boot()
            if not self._booted:
                self.counts["boots rejected"] += 1
                await self._pause(self.settings.pauses.longest_s)
        self._link = side
        for at in self.connectors.values():
            await side.report_status(at)
        while True:
            self._news.clear()
            while self._waiting:
                await self._deliver_first(side)
            try:
                await asyncio.wait_for(self._news.wait(), float(self.configuration["HeartbeatInterval"]))
            except TimeoutError:
                await side.heartbeat()

    async def _deliver_first(self, side: PointSide) -> None:
        event = self._waiting[0]
        accepted = await side.deliver(event)
        self._waiting.popleft()
        at = self.connectors[event.session.connector]
        if not accepted and at.session is event.session:
            self.counts["tokens refused"] += 1
            self.end(at, "DeAuthorized")

    async def _tick(self) -> None:
        last_s = self.clock.now_s()
        while True:
            await self._pause(self.settings.tick_s)
            now_s = self.clock.now_s()
            for at in self.connectors.values():
                started_s = at.session.began_s if at.session else now_s
                limit_w = self.profiles.limit_w(at.number, now_s, started_s)
                before = at.status
                at.pass_time((now_s - last_s) * self.settings.speed, limit_w)
                if at.session and now_s - at.metered_s >= self._meter_every_s:
                    self.measure(at)
                if at.status != before:
                    self._tell_status(at)
            last_s = now_s

    @property
    def _meter_every_s(self) -> float:
        return max(0.1, float(self.configuration["MeterValueSampleInterval"]))

    def _tell_status(self, at: EmulatedConnector) -> None:
        link = self._link
        if link is not None:
            self._spawn(self._tried_status(link, at))

    async def _tried_status(self, link: PointSide, at: EmulatedConnector) -> None:
        try:
            await link.report_status(at)
        except (*_GONE, Refused):
            self.counts["statuses lost"] += 1

    async def _pause(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.now_s() + seconds)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
