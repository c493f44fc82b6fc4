"""A charging session from plugging in to unplugging: what each event makes of it (SPEC 4.5.2)."""

import msgspec

from ontology.charging import (
    EvConnectionEvent,
    EvDisconnectionEvent,
    EvSession,
    EvSessionState,
    EvSocUpdate,
    EvUserInput,
)

__all__ = ["ChargingSession", "SessionEvent", "advanced", "begun", "completed_session"]

DRAWING_W = 50
"""Below that a vehicle that is connected draws nothing."""

SessionEvent = EvUserInput | EvSocUpdate | EvDisconnectionEvent


class ChargingSession(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a session: its events so far, where it stands, whether it ever gave back."""

    connection: EvConnectionEvent
    state: EvSessionState = EvSessionState.PLUGGED
    wish: EvUserInput | None = None
    first: EvSocUpdate | None = None
    progress: EvSocUpdate | None = None
    end: EvDisconnectionEvent | None = None
    gave_back: bool = False

    @property
    def session_id(self) -> str:
        """Which session it is."""
        return self.connection.session_id

    @property
    def is_active(self) -> bool:
        """Whether the vehicle is still there."""
        return self.state is not EvSessionState.COMPLETED

    @property
    def delivered_wh(self) -> int:
        """Energy delivered so far, in Wh."""
        if self.end is not None:
            return self.end.energy_delivered_wh
        return self.progress.energy_delivered_wh if self.progress else 0


def begun(connection: EvConnectionEvent) -> ChargingSession:
    """Return the session that plugging in begins."""
    return ChargingSession(connection=connection)


def advanced(session: ChargingSession, event: SessionEvent) -> ChargingSession:
    """Return a session after an event: PLUGGED → ACTIVE ⇄ SUSPENDED → COMPLETED.

    A vehicle that has drawn (or given) power and does so no longer is SUSPENDED. What is about another
    session, comes after the end, or is older than what is known changes nothing, so events may be
    repeated and overtake each other.
    """
    if event.session_id != session.session_id or not session.is_active:
        return session
    if isinstance(event, EvUserInput):
        newer = session.wish is None or event.time_s >= session.wish.time_s
        return msgspec.structs.replace(session, wish=event) if newer else session
    if isinstance(event, EvDisconnectionEvent):
        return msgspec.structs.replace(session, end=event, state=EvSessionState.COMPLETED)
    if session.progress is not None and event.time_s < session.progress.time_s:
        return session
    state = _state_after(session.state, event)
    return msgspec.structs.replace(
        session,
        first=session.first or event,
        progress=event,
        state=state,
        gave_back=session.gave_back or event.power_w <= -DRAWING_W,
    )


def _state_after(state: EvSessionState, progress: EvSocUpdate) -> EvSessionState:
    if abs(progress.power_w) >= DRAWING_W:
        return EvSessionState.ACTIVE
    if state is EvSessionState.PLUGGED and progress.energy_delivered_wh == 0:
        return EvSessionState.PLUGGED
    return EvSessionState.SUSPENDED


def completed_session(
    session: ChargingSession, requested_wh: int, capacity_wh: int, efficiency: float = 1.0
) -> EvSession:
    """Return the record of a session that has ended.

    How full the vehicle came follows from how full it was last and from what it got.

    Args:
        session: the session, ended.
        requested_wh: what its driver asked for, or was thought to need.
        capacity_wh: capacity of the vehicle's battery.
        efficiency: the share of the energy delivered that is stored.
    """
    end_s = session.end.time_s if session.end else session.connection.time_s
    gained = session.delivered_wh * efficiency / max(1, capacity_wh)
    last = session.progress.state_of_charge if session.progress else 1.0
    return EvSession(
        session_id=session.session_id,
        asset_id=session.connection.asset_id,
        arrival_s=session.connection.time_s,
        departure_s=max(end_s, session.connection.time_s),
        initial_state_of_charge=round(min(1.0, max(0.0, last - gained)), 4),
        requested_energy_wh=requested_wh,
        capacity_wh=capacity_wh,
        delivered_energy_wh=session.delivered_wh,
        state=session.state,
        vehicle=session.connection.vehicle,
    )
