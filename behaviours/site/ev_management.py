"""The EV manager: follows the charging session and says how it could be shifted (D8.1 3.5)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.envelopes import vehicle_envelope
from behaviours.site.contacts import SiteContacts
from ontology.base import INTERVAL_S
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.letter import Letter

__all__ = ["ChargingOffering", "EvSettings", "SessionMonitoring"]


class EvSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The charger, and the capacity in Wh of the vehicle that usually charges there."""

    contacts: SiteContacts
    asset_id: str
    capacity_wh: int
    power_max_w: int
    charge_efficiency: float = 1.0
    discharge_efficiency: float = 1.0


class SessionMonitoring(Behaviour):
    """Follows one session from plugging in to unplugging; kept over a restart."""

    settings: EvSettings

    def setup(self) -> None:
        """Recall the session that was running before a restart."""
        self.connection = self.kept("connection", EvConnectionEvent)
        self.wish = self.kept("wish", EvUserInput)
        self.progress = self.kept("progress", EvSocUpdate)

    @on(EvConnectionEvent)
    def begin(self, event: EvConnectionEvent, letter: Letter) -> None:
        """A vehicle was plugged in."""
        self.connection, self.wish, self.progress = event, None, None
        self.keep("connection", event)
        self.keep("wish", None)
        self.keep("progress", None)

    @on(EvUserInput)
    def note_wish(self, wish: EvUserInput, letter: Letter) -> None:
        """The driver said what the session is for."""
        self.wish = wish
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
        self.connection = self.wish = self.progress = None
        for name in ("connection", "wish", "progress"):
            self.keep(name, None)


class ChargingOffering(Behaviour):
    """Offers the prosumer, at the start of each interval, how the session could be charged."""

    settings: EvSettings

    @every(minutes=15, offset_s=10)
    def offer(self) -> None:
        """Send the envelope of the running session, if there is one."""
        session = self.sibling(SessionMonitoring)
        if session.connection is None or session.wish is None or session.progress is None:
            return
        settings = self.settings
        envelope = vehicle_envelope(
            settings.asset_id,
            session.wish,
            session.progress,
            min(settings.power_max_w, session.connection.power_max_w),
            self.now_s() // INTERVAL_S * INTERVAL_S,
            capacity_wh=settings.capacity_wh,
            efficiencies=(settings.charge_efficiency, settings.discharge_efficiency),
        )
        self.tell(settings.contacts.prosumer, envelope)
