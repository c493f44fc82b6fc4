"""Following all sessions of a charging site from plugging in to unplugging (SPEC 4.5.2)."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from behaviours.behaviour import Behaviour, on, when
from behaviours.charging.settings import ChargingSiteSettings
from behaviours.decisions.charging.load import LoadHistory
from behaviours.decisions.charging.sessions import (
    ChargingSession,
    SessionEvent,
    advanced,
    begun,
    completed_session,
)
from behaviours.decisions.charging.usage import PastSession, UsageForecast, UsageHistory
from behaviours.site.fact_reporting import FactReporting
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSession, EvSocUpdate, EvUserInput
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["UsageMonitoring"]

HISTORY_S = 56 * 86_400
CONNECTION, WISH, GIVEN = "connection ", "wish ", "given "
_ENDED = "ended"
_ENDED_KEPT = 500


class UsageMonitoring(Behaviour):
    """Knows who is there and how far they are, and remembers who was there before.

    Connections and wishes are kept over a restart; progress comes with the next reading, and the history
    from the repository.
    """

    settings: ChargingSiteSettings

    def setup(self) -> None:
        """Recall the sessions that ran before a restart."""
        settings = self.settings
        self.active: dict[str, ChargingSession] = {}
        self.usage = UsageHistory(settings.zone)
        self.load = LoadHistory(settings.zone, max(point.power_max_w for point in settings.points))
        self._zone = ZoneInfo(settings.zone)
        self._begun: tuple[int, int] = (0, 0)
        ended = self.agent.kept_bytes(_ENDED)
        self._ended = msgspec.json.decode(ended, type=list[str]) if ended else []
        for name in self.agent.kept_names(CONNECTION):
            connection = self.kept(name, EvConnectionEvent)
            if connection is not None:
                session = begun(connection)
                wish = self.kept(WISH + connection.session_id, EvUserInput)
                given = self.kept(GIVEN + connection.session_id, EvSocUpdate)
                for event in (wish, given):
                    session = advanced(session, event) if event else session
                self.active[session.session_id] = session

    @when("started")
    async def recall(self) -> None:
        """Ask the repository for the sessions of the last eight weeks."""
        now_s = self.now_s()
        query = Query(
            entity=message_type_of(EvSession),
            subjects=[point.name for point in self.settings.points],
            start_s=max(0, now_s - HISTORY_S),
            end_s=now_s,
        )
        try:
            found = await self.ask(
                self.settings.contacts.repository, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["history unavailable"] += 1
            return
        for item in found.items:
            if isinstance(item, EvSession):
                self._remember(item)

    @property
    def begun_today(self) -> int:
        """How many sessions have begun on this local day."""
        day, number = self._begun
        return number if day == self._day(self.now_s()) else 0

    def expected(self, session: ChargingSession) -> UsageForecast:
        """Return when a session will end and what it will take, from sessions like it."""
        connection = session.connection
        driver = connection.vehicle if connection.vehicle != connection.session_id else ""
        return self.usage.forecast(driver, connection.time_s, max(self.now_s(), connection.time_s))

    @on(EvConnectionEvent)
    def begin(self, event: EvConnectionEvent, letter: Letter) -> None:
        """A vehicle was plugged in; told again, after a restart of who reads the point, it is no news."""
        if event.session_id in self.active or event.session_id in self._ended:
            return
        self.active[event.session_id] = begun(event)
        self.keep(CONNECTION + event.session_id, event)
        day, number = self._begun
        today = self._day(event.time_s)
        self._begun = (today, number + 1 if day == today else 1)

    @on(EvUserInput)
    def note_wish(self, wish: EvUserInput, letter: Letter) -> None:
        """A driver said what the session is for; it holds over whatever was foreseen."""
        if wish.session_id in self.active:
            self._advance(wish)
            self.keep(WISH + wish.session_id, wish)

    @on(EvSocUpdate)
    def note_progress(self, progress: EvSocUpdate, letter: Letter) -> None:
        """A session went on; that it gives back is remembered over a restart."""
        before = self.active.get(progress.session_id)
        self._advance(progress)
        if before and self.active[progress.session_id].gave_back and not before.gave_back:
            self.keep(GIVEN + progress.session_id, progress)

    @on(EvDisconnectionEvent)
    def end(self, event: EvDisconnectionEvent, letter: Letter) -> None:
        """A vehicle was unplugged: report the session, and learn from it."""
        session = self.active.get(event.session_id)
        if session is None:
            self.agent.counts["sessions unknown"] += 1
            return
        self._advance(event)
        session = self.active.pop(event.session_id)
        for name in (CONNECTION, WISH, GIVEN):
            self.keep(name + event.session_id, None)
        self._ended = [*self._ended, event.session_id][-_ENDED_KEPT:]
        self.keep(_ENDED, msgspec.json.encode(self._ended))
        wish, delivered_wh = session.wish, event.energy_delivered_wh
        requested_wh = wish.requested_energy_wh if wish else delivered_wh
        if wish is not None:
            satisfied = delivered_wh >= 0.99 * requested_wh
            self.agent.counts["sessions satisfied" if satisfied else "sessions short"] += 1
            if session.gave_back:
                self.agent.counts["sessions that gave back"] += 1
                self.agent.counts["sessions short after giving back"] += not satisfied
        record = completed_session(session, requested_wh, self.settings.capacity_wh, self.settings.efficiency)
        self.sibling(FactReporting).report(record)
        self._remember(record)

    def _advance(self, event: SessionEvent) -> None:
        session = self.active.get(event.session_id)
        if session is not None:
            self.active[event.session_id] = advanced(session, event)

    def _remember(self, record: EvSession) -> None:
        driver = record.vehicle if record.vehicle != record.session_id else ""
        past = PastSession(driver, record.arrival_s, record.departure_s, record.delivered_energy_wh)
        self.usage.add(past)
        self.load.add(past)

    def _day(self, time_s: int) -> int:
        return datetime.fromtimestamp(time_s, self._zone).toordinal()
