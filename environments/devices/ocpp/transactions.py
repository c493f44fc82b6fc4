"""The charging transactions of a charge point: each event once, whatever is sent twice or comes late."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from behaviours.ports import AgentStore, Clock
from environments.devices.ocpp.meter_values import EnergyRegister, MeterSample
from environments.devices.ocpp.settings import ChargePointSettings
from environments.wire.frames import seconds_of
from ontology.base import Concept
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.errors import InvalidInput

__all__ = ["Transaction", "TransactionRecord"]

_CLOSED_KEPT = 500
_YEAR_2020 = 1_577_836_800
_AHEAD_S = 300
_OLDEST_S = 90 * 86_400
_RECORD = "transactions"

Reported = EvConnectionEvent | EvUserInput | EvSocUpdate | EvDisconnectionEvent


class Transaction(msgspec.Struct, kw_only=True):
    """A transaction that runs: where, since when, for whom, and how far it has got."""

    session_id: str
    transaction_id: str
    origin: str
    """What made it one, so that a message sent again is known: an event's id, or what a start says."""
    connector: int
    began_s: int
    vehicle: str
    register: EnergyRegister = EnergyRegister()
    power_w: int = 0
    state_of_charge: float | None = None
    measured_s: int = 0


class _Kept(msgspec.Struct, kw_only=True):
    """What survives a restart."""

    running: dict[int, Transaction] = {}
    closed: list[tuple[str, str]] = []
    """Origin and id of those that have ended, the oldest first."""
    last_id: int = 0
    reports: list[tuple[int, Reported]] = []
    """What agents have not been told, by connector."""


class TransactionRecord:
    """Keeps a charge point's transactions and what agents are to hear of them; written before it is answered.

    What was handed to an agent is let go when it asks again: a crash in between tells it twice, not never.
    """

    def __init__(self, settings: ChargePointSettings, store: AgentStore, clock: Clock) -> None:
        """Recall what was kept for a charge point."""
        self._settings, self._store, self._clock = settings, store, clock
        self._owner = f"ocpp/{settings.identity}"
        raw = store.load(self._owner).get(_RECORD)
        self._kept = msgspec.json.decode(raw, type=_Kept) if raw else _Kept()
        self._handed: dict[int, int] = {}
        self._count: Callable[[str], None] = lambda _: None

    def count_by(self, count: Callable[[str], None]) -> None:
        """Tell a callable from now on what is odd."""
        self._count = count

    def running(self, connector: int) -> Transaction | None:
        """Return the transaction that runs at a connector."""
        return self._kept.running.get(connector)

    def transaction(self, transaction_id: str) -> Transaction | None:
        """Return a running transaction by its id."""
        return next((t for t in self._kept.running.values() if t.transaction_id == transaction_id), None)

    def time_of(self, timestamp: str) -> int:
        """Return when the charge point says something was; the present where its clock cannot be right."""
        now_s = int(self._clock.now_s())
        try:
            time_s = seconds_of(timestamp)
        except InvalidInput:
            try:
                time_s = seconds_of(f"{timestamp}Z")
            except InvalidInput:
                self._count("timestamps not readable")
                return now_s
        if now_s - _OLDEST_S <= time_s <= now_s + _AHEAD_S:
            return time_s
        self._count("timestamps not plausible")
        return now_s

    # -- what the charge point says ------------------------------------------------------------

    def begin(
        self,
        connector: int,
        time_s: int,
        *,
        origin: str,
        vehicle: str = "",
        transaction_id: str = "",
        meter_wh: float | None = None,
    ) -> str:
        """Begin a transaction and return its id; one that is known already is not begun again.

        Args:
            connector: where, from 1.
            time_s: when.
            origin: by what a start that is sent again is recognised.
            vehicle: whose it is, empty when nobody known.
            transaction_id: given by the charge point, or empty: then it is given here.
            meter_wh: the register at the start.
        """
        known = self._known(origin)
        if known:
            self._count("starts repeated")
            return known
        before = self._kept.running.get(connector)
        if before is not None:
            self._count("transactions superseded")
            self._close(before, max(time_s, before.measured_s), "superseded")
        given = transaction_id or self._next_id()
        session_id = f"{self._settings.identity}-{given}"
        running = Transaction(
            session_id=session_id,
            transaction_id=given,
            origin=origin,
            connector=connector,
            began_s=time_s,
            vehicle=vehicle or session_id,
        )
        if meter_wh is not None:
            running.register = EnergyRegister(last_wh=meter_wh, time_s=time_s)
        self._kept.running[connector] = running
        self._report(
            connector,
            EvConnectionEvent(
                asset_id=self._settings.names[connector - 1],
                session_id=session_id,
                time_s=time_s,
                vehicle=running.vehicle,
                power_max_w=self._settings.power_max_w,
            ),
        )
        self._write()
        return given

    def measure(self, running: Transaction, samples: Sequence[MeterSample]) -> None:
        """Take what was measured in a transaction; what is older than what is known is not news."""
        for time_s, each in sorted(((self.time_of(each.timestamp), each) for each in samples), key=_when):
            if time_s < running.measured_s:
                self._count("meter values late")
                continue
            if each.energy_wh is not None:
                self._advance(running, each.energy_wh, time_s)
            if each.power_w is not None:
                running.power_w = round(each.power_w)
            if each.state_of_charge is not None:
                running.state_of_charge = each.state_of_charge
            running.measured_s = time_s
        self._write()

    def end(
        self, running: Transaction, time_s: int, *, meter_wh: float | None = None, reason: str = ""
    ) -> None:
        """End a transaction, by the register's last word where there is one."""
        if meter_wh is not None:
            self._advance(running, meter_wh, max(time_s, running.register.time_s))
        self._close(running, time_s, reason)
        self._write()

    def has_ended(self, transaction_id: str) -> bool:
        """Tell whether a transaction is known to be over."""
        return any(known == transaction_id for _, known in self._kept.closed)

    def wish(self, running: Transaction, energy_wh: int, departure_s: int) -> None:
        """Note what the vehicle says that its driver wants (ISO 15118 by OCPP)."""
        now_s = int(self._clock.now_s())
        wish = EvUserInput(
            session_id=running.session_id,
            time_s=now_s,
            requested_energy_wh=max(0, energy_wh),
            departure_s=max(now_s, departure_s),
        )
        self._report(running.connector, wish)
        self._write()

    # -- what agents hear ----------------------------------------------------------------------

    def take_reports(self, connector: int) -> list[Concept]:
        """Return what happened at a connector since it was last asked, and let go of what was told then."""
        handed = self._handed.get(connector, 0)
        mine = [report for where, report in self._kept.reports if where == connector]
        if handed:
            rest = [(where, report) for where, report in self._kept.reports if where != connector]
            self._kept.reports = rest + [(connector, report) for report in mine[handed:]]
            self._write()
        self._handed[connector] = len(mine) - handed
        return list[Concept](mine[handed:])

    def progress(self, connector: int) -> EvSocUpdate | None:
        """Return how far the session at a connector has got, as it was measured last."""
        running = self._kept.running.get(connector)
        if running is None or not running.measured_s:
            return None
        return EvSocUpdate(
            session_id=running.session_id,
            time_s=running.measured_s,
            state_of_charge=self._state_of_charge(running),
            energy_delivered_wh=round(running.register.delivered_wh),
            power_w=running.power_w,
        )

    # -- inside --------------------------------------------------------------------------------

    def _advance(self, running: Transaction, energy_wh: float, time_s: int) -> None:
        before = running.register
        running.register = before.advanced(energy_wh, time_s, self._settings.power_max_w)
        if before.last_wh is None or time_s < before.time_s or running.register == before:
            return
        if running.register.last_wh == energy_wh < before.last_wh:
            self._count("registers begun anew")
        elif energy_wh > before.last_wh and running.register.delivered_wh == before.delivered_wh:
            self._count("readings not plausible")

    def _state_of_charge(self, running: Transaction) -> float:
        if running.state_of_charge is not None:
            return running.state_of_charge
        settings = self._settings
        state = settings.arrival_state_of_charge + running.register.delivered_wh / settings.vehicle_wh
        return min(1.0, state)

    def _close(self, running: Transaction, time_s: int, reason: str) -> None:
        self._kept.running.pop(running.connector, None)
        closed = [*self._kept.closed, (running.origin, running.transaction_id)]
        self._kept.closed = closed[-_CLOSED_KEPT:]
        last = msgspec.structs.replace(running, power_w=0)
        progress = EvSocUpdate(
            session_id=last.session_id,
            time_s=max(time_s, last.measured_s),
            state_of_charge=self._state_of_charge(last),
            energy_delivered_wh=round(last.register.delivered_wh),
            power_w=0,
        )
        self._report(running.connector, progress)
        self._report(
            running.connector,
            EvDisconnectionEvent(
                session_id=running.session_id,
                time_s=max(time_s, running.began_s),
                energy_delivered_wh=round(running.register.delivered_wh),
                reason=reason,
            ),
        )

    def _known(self, origin: str) -> str:
        for running in self._kept.running.values():
            if running.origin == origin:
                return running.transaction_id
        return next((known for seen, known in self._kept.closed if seen == origin), "")

    def _next_id(self) -> str:
        """Return a number that was never given, also not before everything kept was lost."""
        self._kept.last_id = max(self._kept.last_id + 1, int(self._clock.now_s()) - _YEAR_2020)
        return str(self._kept.last_id)

    def _report(self, connector: int, report: Reported) -> None:
        self._kept.reports.append((connector, report))

    def _write(self) -> None:
        self._store.commit(self._owner, {_RECORD: msgspec.json.encode(self._kept)})


def _when(timed: tuple[int, Any]) -> int:
    return timed[0]
