"""The EV manager: follows the charging session and says how it could be shifted (D8.1 3.5)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.charging.sessions import (
    ChargingSession,
    SessionEvent,
    advanced,
    begun,
    completed_session,
)
from behaviours.decisions.charging.usage import PastSession, UsageHistory
from behaviours.decisions.envelopes import vehicle_envelope
from behaviours.decisions.kpi import Metric
from behaviours.site.contacts import SiteContacts
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.turns import PLANNING_INTERVALS, is_turn
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.charging import (
    EvConnectionEvent,
    EvDisconnectionEvent,
    EvSocUpdate,
    EvUserInput,
)
from ontology.flexibility import FlexEnvelope
from ontology.letter import Letter

__all__ = ["ChargingOffering", "EvSettings", "SessionMonitoring"]

_PAST = "past"
_ENDED = "ended"
_ENDED_KEPT = 20
_PAST_KEPT = 60


class EvSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The charger, and the capacity in Wh of the vehicle that usually charges there."""

    site: str
    contacts: SiteContacts
    asset_id: str
    capacity_wh: int
    power_max_w: int
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0
    planning_intervals: int = PLANNING_INTERVALS
    zone: str = "UTC"
    reports: tuple[Metric, ...] = ()


class SessionMonitoring(Behaviour):
    """Follows one session from plugging in to unplugging, and learns from each; kept over a restart."""

    settings: EvSettings

    def setup(self) -> None:
        """Recall the session that was running before a restart, and those before it."""
        connection = self.kept("connection", EvConnectionEvent)
        self.session = begun(connection) if connection else None
        for event in (self.kept("wish", EvUserInput), self.kept("progress", EvSocUpdate)):
            if event is not None and self.session is not None:
                self.session = advanced(self.session, event)
        kept = self.agent.kept_bytes(_PAST)
        self._past = msgspec.json.decode(kept, type=list[PastSession]) if kept else []
        self._history = UsageHistory(self.settings.zone, self._past)
        ended = self.agent.kept_bytes(_ENDED)
        self._ended = msgspec.json.decode(ended, type=list[str]) if ended else []
        self.changed = True

    def wish(self) -> EvUserInput | None:
        """Return what the session is for: the driver's word or, where there is none, what is foreseen.

        A driver who stays beyond the time named is expected to leave as usual after as long a stay.
        """
        session = self.session
        if session is None or (session.wish is not None and session.wish.departure_s > self.now_s()):
            return session.wish if session else None
        connection = session.connection
        expected = self._history.forecast(connection.vehicle, connection.time_s, self.now_s())
        asked_wh = session.wish.requested_energy_wh if session.wish else round(expected.energy_high_wh)
        return EvUserInput(
            session_id=session.session_id,
            time_s=connection.time_s,
            requested_energy_wh=min(asked_wh, self._room_wh(session)) if session.wish is None else asked_wh,
            departure_s=max(expected.departure_low_s, connection.time_s),
            minimum_state_of_charge=session.wish.minimum_state_of_charge if session.wish else 0.0,
            v2g_allowed=session.wish.v2g_allowed if session.wish else False,
        )

    def _room_wh(self, session: ChargingSession) -> int:
        """Return what the vehicle could have taken since it came, as far as it is known how full it came."""
        settings = self.settings
        if session.first is None:
            return settings.capacity_wh
        room = (1.0 - session.first.state_of_charge) * settings.capacity_wh / settings.charge_efficiency
        return round(room) + session.first.energy_delivered_wh

    @on(EvConnectionEvent)
    def begin(self, event: EvConnectionEvent, letter: Letter) -> None:
        """A vehicle was plugged in; told again, after a restart of who reads the charger, it is no news."""
        running = self.session.session_id if self.session else ""
        if event.session_id == running or event.session_id in self._ended:
            return
        self.session, self.changed = begun(event), True
        self.keep("connection", event)
        self.keep("wish", None)
        self.keep("progress", None)

    @on(EvUserInput)
    def note_wish(self, wish: EvUserInput, letter: Letter) -> None:
        """The driver said what the session is for."""
        if self._advance(wish):
            self.changed = True
            self.keep("wish", wish)

    @on(EvSocUpdate)
    def note_progress(self, progress: EvSocUpdate, letter: Letter) -> None:
        """The session went on."""
        first = self.session is not None and self.session.first is None
        if self._advance(progress):
            self.changed = self.changed or first
            self.keep("progress", progress)

    @on(EvDisconnectionEvent)
    def end(self, event: EvDisconnectionEvent, letter: Letter) -> None:
        """The vehicle was unplugged; count whether it got what its driver asked for, and learn."""
        if not self._advance(event) or self.session is None:
            return
        self._close(self.session, event)
        self.session, self.changed = None, True
        for name in ("connection", "wish", "progress"):
            self.keep(name, None)

    def _advance(self, event: SessionEvent) -> bool:
        """Take an event of the running session; tell whether it was news."""
        before = self.session
        self.session = advanced(before, event) if before is not None else None
        return self.session is not before

    def _close(self, session: ChargingSession, event: EvDisconnectionEvent) -> None:
        settings, wish = self.settings, session.wish
        if wish is not None:
            satisfied = event.energy_delivered_wh >= 0.99 * wish.requested_energy_wh
            self.agent.counts["sessions satisfied" if satisfied else "sessions short"] += 1
            if Metric.SESSIONS in settings.reports:
                record = completed_session(
                    session, wish.requested_energy_wh, settings.capacity_wh, settings.charge_efficiency
                )
                self.sibling(FactReporting).report(record)
        connection = session.connection
        past = PastSession(
            connection.vehicle, connection.time_s, event.time_s, float(event.energy_delivered_wh)
        )
        self._history.add(past)
        self._past = [*self._past, past][-_PAST_KEPT:]
        self.keep(_PAST, msgspec.json.encode(self._past))
        self._ended = [*self._ended, session.session_id][-_ENDED_KEPT:]
        self.keep(_ENDED, msgspec.json.encode(self._ended))


class ChargingOffering(Behaviour):
    """Offers the prosumer, at each of its turns and when the session changes, how it could be charged."""

    settings: EvSettings

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelope of the running session; of an empty charger, that nothing can be done."""
        session = self.sibling(SessionMonitoring)
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        if not session.changed and not is_turn(self.settings.site, start_s, self.settings.planning_intervals):
            return
        envelope = self._envelope(session, start_s)
        if envelope is not None:
            session.changed = False
            self.tell(self.settings.contacts.prosumer, envelope)

    def _envelope(self, session: SessionMonitoring, start_s: int) -> FlexEnvelope | None:
        settings, running, wish = self.settings, session.session, session.wish()
        if running is None:
            return idle_envelope(settings.asset_id, start_s) if session.changed else None
        if wish is None or running.progress is None:
            return None
        return vehicle_envelope(
            settings.asset_id,
            wish,
            running.progress,
            min(settings.power_max_w, running.connection.power_max_w),
            start_s,
            capacity_wh=settings.capacity_wh,
            efficiencies=(settings.charge_efficiency, settings.discharge_efficiency),
            first=running.first,
        )


def idle_envelope(asset_id: str, start_s: int) -> FlexEnvelope:
    """Return the envelope of a device that can do nothing for a day."""
    nothing = [0] * INTERVALS_A_DAY
    return FlexEnvelope(
        subject=asset_id,
        start_s=start_s,
        power_min_w=nothing,
        power_max_w=nothing,
        energy_min_wh=nothing,
        energy_max_wh=nothing,
    )
