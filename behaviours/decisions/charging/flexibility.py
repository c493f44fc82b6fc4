"""How far a charging site could deviate from its plan without anybody missing a request (SPEC 4.5.6).

An offer of a step holds for a window of steps from it on. Downwards, sessions pause (and, where V2G allows
it, give back) as far as what they miss fits into later steps beside all that is planned there: within their
own power, before their departure and within the site's limit. Upwards, they take what is planned for later.
A session that cannot keep its request anyway takes no part.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from behaviours.decisions.charging.terms import ChargingDemand
from behaviours.decisions.series import FloatArray

__all__ = ["SiteFlexibility", "pinned_limits", "site_flexibility"]

SECONDS_AN_HOUR = 3600.0
SLACK_WH = 1.0
MARGIN = 0.98
"""The share of what is possible that is offered: set-points are whole watts, vehicles are not exact."""


class SiteFlexibility(NamedTuple):
    """By step, how many W more or less the site could draw than planned, and for how many seconds."""

    up_w: FloatArray
    down_w: FloatArray
    duration_max_s: FloatArray


class _Session(NamedTuple):
    """A session that takes part: its plan in W, and the steps (1 or 0) that it is there to their end."""

    demand: ChargingDemand
    plan_w: FloatArray
    there: FloatArray


def site_flexibility(
    demands: Sequence[ChargingDemand],
    plan_w: Mapping[str, FloatArray],
    start_s: int,
    step_s: int,
    limit_w: FloatArray,
    *,
    window: int = 4,
    round_trip: float = 1.0,
) -> SiteFlexibility:
    """Return what each step could be asked for; one offer may be called at a time.

    Args:
        demands: the sessions plugged in.
        plan_w: planned power of each session by equal step; all of one length.
        start_s: start of the first step in epoch seconds.
        step_s: length of a step in seconds.
        limit_w: what the site may draw for charging, by step.
        window: for how many steps an offer holds at most; one that moves more energy holds for one.
        round_trip: the share of a Wh charged that can be given back.
    """
    steps = len(limit_w)
    sessions = [
        each
        for demand in demands
        if _keeps_request(each := _session(demand, plan_w, start_s, step_s, steps), step_s, round_trip)
    ]
    sessions.sort(key=lambda each: each.demand.departure_s)
    total = np.zeros(steps)
    for power_w in plan_w.values():
        total = total + power_w
    headroom = np.maximum(limit_w - total, 0.0)
    up, down, duration = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    last_there = max((int(each.there.sum()) for each in sessions), default=0)
    for step in range(last_there):
        offers = []
        for last in {min(step + 1, steps), min(step + window, steps)}:
            less = MARGIN * _less(sessions, step, last, headroom, step_s, round_trip)
            more = MARGIN * min(_more(sessions, step, last), float(headroom[step:last].min()))
            offers.append(((last - step) * max(less, more), last - step, less, more))
        worth, length, down[step], up[step] = max(offers)
        duration[step] = length * step_s if worth >= 1.0 else 0
    return SiteFlexibility(up, down, duration)


def _session(
    demand: ChargingDemand, plan_w: Mapping[str, FloatArray], start_s: int, step_s: int, steps: int
) -> _Session:
    """Return a session with its plan as mean power, and the steps that it is there from beginning to end."""
    starts_s = start_s + np.arange(steps) * step_s
    share = np.clip((demand.departure_s - starts_s) / step_s, 0.0, 1.0)
    planned_w = plan_w.get(demand.session_id, np.zeros(steps)) * share
    return _Session(demand, planned_w, (share >= 1.0).astype(np.float64))


def _keeps_request(session: _Session, step_s: int, round_trip: float) -> bool:
    charged = np.where(session.plan_w < 0, session.plan_w / round_trip, session.plan_w)
    planned_wh = float(charged.sum()) * step_s / SECONDS_AN_HOUR
    return planned_wh >= session.demand.remaining_wh - SLACK_WH


def _less(
    sessions: Sequence[_Session],
    step: int,
    last: int,
    headroom: FloatArray,
    step_s: int,
    round_trip: float,
) -> float:
    """Return by how much the site could draw less in a window, all that is missed being made up for later."""
    free = headroom[last:].copy()
    saved = np.zeros(last - step)
    for each in sessions:
        if not each.there[step:last].any():
            continue
        window_w = np.maximum(each.plan_w[step:last], 0.0) * each.there[step:last]
        room = (
            np.minimum(np.maximum(each.demand.power_max_w - each.plan_w[last:], 0.0), free)
            * each.there[last:]
        )
        regained = float(room.sum())
        for cut_w, price in (
            (window_w, 1.0),
            (_given_back(each, step, last, step_s, round_trip), 1.0 / round_trip),
        ):
            lost = float(cut_w.sum()) * price
            if lost <= 0:
                continue
            share = min(1.0, regained / lost)
            saved += share * cut_w
            taken = _filled(room, share * lost)
            room, regained, free = room - taken, regained - share * lost, free - taken
    return float(saved.min())


def _given_back(session: _Session, step: int, last: int, step_s: int, round_trip: float) -> FloatArray:
    """Return what a session could feed in besides over a window, in W by step.

    What the vehicle holds above its driver's minimum must suffice even if it had nothing more by then.
    """
    demand = session.demand
    idle = (session.plan_w[step:last] >= 0).astype(np.float64) * session.there[step:last]
    hours = (last - step) * step_s / SECONDS_AN_HOUR
    most_w = min(demand.discharge_max_w, demand.spare_wh * round_trip / hours)
    planned_discharge = bool((session.plan_w < 0).any())
    return idle * (0.0 if planned_discharge else most_w)


def _filled(room: FloatArray, energy: float) -> FloatArray:
    """Return how an amount fills the first rooms."""
    before = room.cumsum() - room
    filled: FloatArray = np.clip(energy - before, 0.0, room)
    return filled


def _more(sessions: Sequence[_Session], step: int, last: int) -> float:
    """Return by how much the site could draw more in a window, taken from what is planned for later."""
    total = 0.0
    for each in sessions:
        if each.there[step:last].all():
            room_w = float((each.demand.power_max_w - each.plan_w[step:last]).min())
            later_w = float(np.maximum(each.plan_w[last:], 0.0).sum()) / (last - step)
            total += max(0.0, min(room_w, later_w))
    return total


def pinned_limits(
    limit_w: FloatArray, planned_w: FloatArray, step: int, steps: int, delta_w: float
) -> tuple[FloatArray, FloatArray]:
    """Return the least and the most that the site may draw when an offer is called.

    Args:
        limit_w: what the site may draw, by step.
        planned_w: what is planned, by step.
        step: the first step of the activation.
        steps: how many.
        delta_w: by how much the site shall deviate, negative for less.
    """
    least, most = np.full(len(limit_w), -np.inf), limit_w.copy()
    window = slice(step, step + steps)
    if delta_w < 0:
        most[window] = np.minimum(most[window], planned_w[window] + delta_w)
    else:
        least[window] = planned_w[window] + delta_w
    return least, most
