"""The EV manager: follows the charging session and says how it could be shifted (D8.1 3.5)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.envelopes import vehicle_envelope
from behaviours.decisions.kpi import Metric
from behaviours.site.contacts import SiteContacts
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.turns import PLANNING_INTERVALS, is_turn
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.charging import (
    EvConnectionEvent,
    EvDisconnectionEvent,
    EvSession,
    EvSessionState,
    EvSocUpdate,
    EvUserInput,
)
from ontology.flexibility import FlexEnvelope
from ontology.letter import Letter

__all__ = ["ChargingOffering", "EvSettings", "SessionMonitoring"]


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
    reports: tuple[Metric, ...] = ()


class SessionMonitoring(Behaviour):
    """Follows one session from plugging in to unplugging; kept over a restart."""

    settings: EvSettings

    def setup(self) -> None:
        """Recall the session that was running before a restart."""
        self.connection = self.kept("connection", EvConnectionEvent)
        self.wish = self.kept("wish", EvUserInput)
        self.progress = self.kept("progress", EvSocUpdate)
        self.changed = True

    @on(EvConnectionEvent)
    def begin(self, event: EvConnectionEvent, letter: Letter) -> None:
        """A vehicle was plugged in."""
        self.connection, self.wish, self.progress, self.changed = event, None, None, True
        self.keep("connection", event)
        self.keep("wish", None)
        self.keep("progress", None)

    @on(EvUserInput)
    def note_wish(self, wish: EvUserInput, letter: Letter) -> None:
        """The driver said what the session is for."""
        self.wish, self.changed = wish, True
        self.keep("wish", wish)

    @on(EvSocUpdate)
    def note_progress(self, progress: EvSocUpdate, letter: Letter) -> None:
        """The session went on."""
        self.progress = progress
        self.keep("progress", progress)

    @on(EvDisconnectionEvent)
    def end(self, event: EvDisconnectionEvent, letter: Letter) -> None:
        """The vehicle was unplugged; count whether it got what its driver asked for."""
        if self.wish is not None:
            satisfied = event.energy_delivered_wh >= 0.99 * self.wish.requested_energy_wh
            self.agent.counts["sessions satisfied" if satisfied else "sessions short"] += 1
            if Metric.SESSIONS in self.settings.reports and self.connection is not None:
                self.sibling(FactReporting).report(self._ended(event, self.connection, self.wish))
        self.connection = self.wish = self.progress = None
        self.changed = True
        for name in ("connection", "wish", "progress"):
            self.keep(name, None)

    def _ended(
        self, event: EvDisconnectionEvent, connection: EvConnectionEvent, wish: EvUserInput
    ) -> EvSession:
        """Return the session that has ended; how full the vehicle came follows from what it got."""
        settings = self.settings
        gained = event.energy_delivered_wh * settings.charge_efficiency / settings.capacity_wh
        last = self.progress.state_of_charge if self.progress else 1.0
        return EvSession(
            session_id=event.session_id,
            asset_id=settings.asset_id,
            arrival_s=connection.time_s,
            departure_s=event.time_s,
            initial_state_of_charge=round(min(1.0, max(0.0, last - gained)), 4),
            requested_energy_wh=wish.requested_energy_wh,
            capacity_wh=settings.capacity_wh,
            delivered_energy_wh=event.energy_delivered_wh,
            state=EvSessionState.COMPLETED,
        )


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
        settings = self.settings
        if session.connection is None:
            return idle_envelope(settings.asset_id, start_s) if session.changed else None
        if session.wish is None or session.progress is None:
            return None
        return vehicle_envelope(
            settings.asset_id,
            session.wish,
            session.progress,
            min(settings.power_max_w, session.connection.power_max_w),
            start_s,
            capacity_wh=settings.capacity_wh,
            efficiencies=(settings.charge_efficiency, settings.discharge_efficiency),
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
