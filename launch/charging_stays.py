"""What is replayed of a data set: who stays where and until when, what is needed, and what is said."""

from collections.abc import Sequence

import msgspec

from behaviours.charging.settings import Tariff
from behaviours.decisions.charging.terms import Objective
from environments.charging.session_files import RecordedSession
from environments.simulation.charging_site import Stay
from ontology.charging import EvUserInput

__all__ = ["ReplaySettings", "stays_of"]

TARGET = 0.9
"""How full vehicles are once they have what they need, where batteries matter (V2G)."""


class ReplaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a data set is replayed: limits in W, step in s, what drivers say, what plans are for.

    `stated` lets drivers say what they said (or nothing) instead of what turned out to be true;
    `single_phase` connects the points to one phase each, in turn, and limits each phase to a third.
    """

    power_max_w: int
    point_power_w: int = 6_656
    step_s: int = 300
    stated: bool = False
    v2g: bool = False
    single_phase: bool = False
    objective: Objective = Objective.COST
    tariff: Tariff = Tariff()
    capacity_wh: int = 60_000
    minimum_state_of_charge: float = 0.3
    efficiency: float = 0.95
    """One way, where V2G lets batteries matter; metered energies count at the point anyway."""


def stays_of(sessions: Sequence[RecordedSession], settings: ReplaySettings) -> tuple[list[Stay], list[str]]:
    """Return what is replayed, and the names of the points.

    A session needs what it took, and no more than its driver asked for. Where a data set has two vehicles
    at a point at once, the second has a point of its own.
    """
    free_s: dict[str, int] = {}
    numbers: dict[str, int] = {}
    stays = []
    for session in sorted(sessions, key=lambda each: each.arrival_s):
        name, copy = session.point, 1
        while free_s.get(name, 0) > session.arrival_s:
            copy += 1
            name = f"{session.point}/{copy}"
        free_s[name] = session.departure_s
        point = numbers.setdefault(name, len(numbers))
        stays.append(_stay(session, point, settings))
    return stays, list(numbers)


def _stay(session: RecordedSession, point: int, settings: ReplaySettings) -> Stay:
    wish = session.wishes[-1] if session.wishes else None
    need_wh = session.delivered_wh
    if settings.stated and wish is not None:
        need_wh = min(need_wh, wish.energy_wh)
    said: tuple[int, int] | None = (need_wh, session.departure_s)
    if settings.stated:
        said = (wish.energy_wh, max(wish.departure_s, session.arrival_s)) if wish is not None else None
    stored_wh = need_wh * (settings.efficiency if settings.v2g else 1.0)
    return Stay(
        session_id=session.session_id,
        point=point,
        vehicle=session.driver,
        arrival_s=session.arrival_s,
        departure_s=session.departure_s,
        need_wh=float(need_wh),
        wish=EvUserInput(
            session_id=session.session_id,
            time_s=session.arrival_s,
            requested_energy_wh=said[0],
            departure_s=said[1],
            minimum_state_of_charge=settings.minimum_state_of_charge,
            v2g_allowed=settings.v2g,
        )
        if said is not None
        else None,
        capacity_wh=float(max(settings.capacity_wh, stored_wh / TARGET)),
        initial_state_of_charge=max(0.0, TARGET - stored_wh / max(settings.capacity_wh, stored_wh / TARGET)),
    )
