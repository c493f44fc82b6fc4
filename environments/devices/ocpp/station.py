"""A charge point as the central system knows it: connection, transactions, what its connectors are told."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from behaviours.ports import AgentStore, Clock
from environments.devices.ocpp.controls import ConnectorControls, standing_profiles
from environments.devices.ocpp.link import ChargePointLink, Socket
from environments.devices.ocpp.meter_values import MeterSample
from environments.devices.ocpp.profiles import Profile, Purpose
from environments.devices.ocpp.settings import ChargePointSettings
from environments.devices.ocpp.transactions import TransactionRecord
from environments.wire.frames import iso, seconds_of
from environments.wire.pauses import Pauses
from ontology.control import Priority
from ontology.errors import InvalidInput, ParityError, Refused, Unavailable

__all__ = ["ChargePointHealth", "Station"]

log = structlog.get_logger()

_BOOT_S = 2.0
"""How long one that has connected may take to say that it has started."""
_AGAIN = Pauses(first_s=1.0, factor=1.5, longest_s=5.0)


class ChargePointHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a charge point is: who it says it is, whether it is connected, when it was heard last (epoch s)."""

    identity: str
    connected: bool
    version: str
    vendor: str
    model: str
    firmware: str
    heard_s: int
    statuses: Mapping[int, str]
    """What each connector says it is, `Faulted: …` with the error."""
    counts: Mapping[str, int]
    untold: Sequence[int]
    """Connectors that have not heard yet what they are to do."""


class Station:
    """One charge point: what is said to it waits for a connection, and what it says is written down first."""

    def __init__(
        self,
        settings: ChargePointSettings,
        store: AgentStore,
        clock: Clock,
        tokens: Mapping[str, str],
        *,
        free: bool,
        heartbeat_s: int,
    ) -> None:
        """Know a charge point; tokens are in capitals, and with `free` everybody may charge."""
        self.settings, self.heartbeat_s = settings, heartbeat_s
        self._clock, self._tokens, self._free = clock, tokens, free
        self.record = TransactionRecord(settings, store, clock)
        self.record.count_by(self.count)
        self.controls = {
            number: ConnectorControls(number, settings) for number in range(1, len(settings.names) + 1)
        }
        self.counts: Counter[str] = Counter()
        self._link: ChargePointLink | None = None
        self._socket: Socket | None = None
        self._about = ("", "", "")
        self._statuses: dict[int, str] = {}
        self._heard_s = 0
        self._settled: ChargePointLink | None = None
        self._untold: set[int] = set()
        self._asking: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- its connection -----------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    async def serve(self, link: ChargePointLink, socket: Socket) -> None:
        """Serve a connection until it ends; the one before, if there is one, is closed."""
        before, self._socket, self._link = self._socket, socket, link
        if before is not None:
            self.count("connections replaced")
            self._spawn(_closed(before, "another connection of this charge point"))
        self.count("connections")
        self._spawn(self._settle_unbooted(link))
        try:
            await link.listen()
        finally:
            if self._link is link:
                self._link = self._socket = None

    async def close(self) -> None:
        """Close the connection and stop what runs for it."""
        if self._socket is not None:
            await _closed(self._socket, "the central system stops")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def link(self) -> ChargePointLink:
        """Return the connection.

        Raises: Unavailable when there is none.
        """
        if self._link is None:
            raise Unavailable(f"{self.settings.identity} is not connected")
        return self._link

    def health(self) -> ChargePointHealth:
        """Tell how it is."""
        vendor, model, firmware = self._about
        return ChargePointHealth(
            identity=self.settings.identity,
            connected=self.is_connected,
            version=self._link.version if self._link else "",
            vendor=vendor,
            model=model,
            firmware=firmware,
            heard_s=self._heard_s,
            statuses=dict(self._statuses),
            counts=dict(self.counts),
            untold=sorted(self._untold),
        )

    # -- what it says -------------------------------------------------------------------------

    def now(self) -> str:
        """Return the time for the charge point."""
        return iso(self._clock.now_s())

    def count(self, what: str) -> None:
        """Count something."""
        self.counts[what] += 1

    def is_admitted(self) -> bool:
        """Tell whether it may take part; whoever says anything was heard."""
        self._heard_s = int(self._clock.now_s())
        return self.settings.admitted

    def boot(self, vendor: str, model: str, firmware: str) -> bool:
        """Note who it is; what it is to keep to has to be told again."""
        self._about = (vendor, model, firmware)
        self.count("boots")
        self._settled = None
        return self.is_admitted()

    def is_known(self, token: str) -> bool:
        """Tell whether a token may charge."""
        known = self._free or token.upper() in self._tokens
        if not known:
            self.count("tokens refused")
        return known

    def report_status(self, connector: int, status: str, error: str) -> None:
        """Note what state a connector says it is in."""
        self._statuses[connector] = f"{status}: {error}" if error else status

    def begin(
        self,
        connector: int,
        timestamp: str,
        *,
        token: str,
        origin: str,
        transaction_id: str,
        meter_wh: float | None,
    ) -> str:
        """Begin a transaction, once, and tell the connector what holds."""
        before = self.record.running(connector)
        given = self.record.begin(
            connector,
            self.record.time_of(timestamp),
            origin=origin,
            vehicle=self._tokens.get(token.upper(), ""),
            transaction_id=transaction_id,
            meter_wh=meter_wh,
        )
        running = self.record.running(connector)
        if running is not None and running is not before:
            self.controls[connector].plan = None
        return given

    def knows(self, transaction_id: str) -> bool:
        """Tell whether a transaction was heard of."""
        running = self.record.transaction(transaction_id)
        return running is not None or self.record.has_ended(transaction_id)

    def measure(self, transaction_id: str, connector: int, samples: Sequence[MeterSample]) -> None:
        """Take meter values of a transaction or, where none is named, of the one that runs at a connector."""
        running = (
            self.record.transaction(transaction_id) if transaction_id else self.record.running(connector)
        )
        if running is not None:
            self.record.measure(running, samples)
        elif transaction_id and samples and not self.record.has_ended(transaction_id):
            self.count("transactions unknown")

    def end(self, transaction_id: str, timestamp: str, *, meter_wh: float | None, reason: str) -> None:
        """End a transaction; one that is over, or was never heard of, changes nothing."""
        running = self.record.transaction(transaction_id)
        if running is None:
            known = self.record.has_ended(transaction_id)
            self.count("stops repeated" if known else "transactions unknown")
            return
        self.record.end(running, self.record.time_of(timestamp), meter_wh=meter_wh, reason=reason)
        self.controls[running.connector].plan = None

    def wish(self, connector: int, energy_wh: int, departure: str) -> None:
        """Note what the vehicle says that it needs."""
        running = self.record.running(connector)
        try:
            departure_s = seconds_of(departure)
        except InvalidInput:
            self.count("timestamps not readable")
            return
        if running is not None:
            self.record.wish(running, energy_wh, departure_s)

    # -- what it is told ----------------------------------------------------------------------

    async def tell(self, connector: int) -> None:
        """Bring what is held for a connector to the charge point, the limit first.

        What does not arrive is told again, while it holds, until it does. A limit that the station does not
        take for itself is told to the connector. One that did not answer is not waited for again, so that
        others are told in time: what holds by then is told with the next attempt.

        Raises: Unavailable when it is not connected or does not answer, Refused when it will not.
        """
        if connector in self._untold:
            raise Unavailable(f"{self.settings.identity} does not answer; it is told as soon as it does")
        await self._tell_now(connector)

    async def _tell_now(self, connector: int) -> None:
        now_s, running = int(self._clock.now_s()), self.record.running(connector)
        controls = self.controls[connector]
        profiles = controls.profiles(now_s, in_session=running is not None)
        refused: Refused | None = None
        for profile in profiles:
            where = 0 if profile.purpose is Purpose.STATION else connector
            of_session = running is not None and profile.purpose is Purpose.SESSION
            transaction_id = running.transaction_id if running and of_session else ""
            try:
                await self.link().set_profile(where, profile, transaction_id)
            except Refused as error:
                self.count("profiles refused")
                if profile.purpose is Purpose.STATION:
                    controls.by_connector = True
                    await self._tell_now(connector)
                    return
                refused = error
            except Unavailable:
                self._tell_later(connector)
                raise
        self._untold.discard(connector)
        if refused is not None:
            raise refused

    async def take_back(self, connector: int, priority: Priority) -> None:
        """Take back what a connector was told with a priority, or a lower one.

        Raises: Unavailable, Refused.
        """
        for profile_id in self.controls[connector].release(priority, int(self._clock.now_s())):
            await self.link().clear_profile(profile_id)

    def ask_meter(self, connector: int) -> None:
        """Ask for meter values, without waiting for them; one question at a time."""
        if self._link is not None and connector not in self._asking:
            self._asking.add(connector)
            self._spawn(self._meter_asked(self._link, connector))

    async def _meter_asked(self, link: ChargePointLink, connector: int) -> None:
        try:
            await link.ask_meter(connector)
        except ParityError:
            self.count("meter values not given")
        finally:
            self._asking.discard(connector)

    async def settle(self) -> None:
        """After a boot, or a connection without one: configure, tell what always holds and what holds now."""
        link = self._link
        if link is None or link is self._settled or not self.settings.admitted:
            return
        self._settled = link
        try:
            await link.configure(self.settings.meter_every_s)
            for connector, profile in standing_profiles(self.settings, int(self._clock.now_s())):
                await self._stand(link, connector, profile)
            for connector in self.controls:
                await self._tell_now(connector)
        except ParityError as error:
            self.count("settling failed")
            log.info("charge point not settled", charge_point=self.settings.identity, why=str(error))

    async def _settle_unbooted(self, link: ChargePointLink) -> None:
        """Settle one that has connected again without starting anew, a moment later."""
        await self._clock.sleep_until(self._clock.now_s() + _BOOT_S)
        if self._link is link:
            await self.settle()

    async def _stand(self, link: ChargePointLink, connector: int, profile: Profile) -> None:
        """Tell a standing profile; a charge point that refuses it is counted, and steered all the same."""
        try:
            await link.set_profile(connector, profile, "")
        except Refused as error:
            self.count("standing profiles refused")
            log.warning("standing profile refused", charge_point=self.settings.identity, why=str(error))

    def _tell_later(self, connector: int) -> None:
        if connector not in self._untold:
            self._untold.add(connector)
            self._spawn(self._tell_until_told(connector))

    async def _tell_until_told(self, connector: int) -> None:
        """Tell a connector again after growing pauses, as long as there is a connection."""
        failures = 0
        while connector in self._untold and self._link is not None:
            failures += 1
            await self._clock.sleep_until(self._clock.now_s() + _AGAIN.after(failures))
            try:
                await self._tell_now(connector)
            except ParityError as error:
                log.info("charge point not told", charge_point=self.settings.identity, why=str(error))
        self._untold.discard(connector)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _closed(socket: Socket, why: str) -> None:
    try:
        await asyncio.wait_for(socket.close(1000, why), 2.0)
    except (OSError, TimeoutError):
        return
