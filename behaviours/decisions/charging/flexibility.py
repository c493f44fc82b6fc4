"""How far a charging site could deviate from its plan without anybody missing a request (SPEC 4.5.6).

An offer of a step holds for a window of steps from it on. Downwards, sessions pause (and, where V2G allows
it, give back) as far as what they miss fits into later steps beside all that is planned there: within their
own power, before their departure and within the site's limit. Upwards, they take what is planned for later.
A session that cannot keep its request anyway takes no part.
"""

from collections.abc import Iterator, Mapping, Sequence
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
    """A session that takes part: its plan in W, how many steps it is there to their end, and what it may do.

    `later_w` is the sum of what is planned from each step on, `room_w` what it could draw besides.
    """

    demand: ChargingDemand
    plan_w: FloatArray
    until: int
    later_w: FloatArray
    room_w: FloatArray
    gives_back: bool


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
    last_there = max((each.until for each in sessions), default=0)
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
    later_w = np.maximum(planned_w, 0.0)[::-1].cumsum()[::-1]
    return _Session(
        demand,
        planned_w,
        int((share >= 1.0).sum()),
        np.concatenate([later_w, [0.0]]),
        np.maximum(demand.power_max_w - planned_w, 0.0),
        demand.discharge_max_w > 0 and bool((planned_w >= 0).all()),
    )


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
        until, end = each.until - last, min(last, each.until)
        if until <= 0 or not (each.gives_back or each.plan_w[step:end].any()):
            continue
        room = np.minimum(each.room_w[last : each.until], free[:until])
        regained = float(room.sum())
        for cut_w, price in _cuts(each, step, last, step_s, round_trip):
            lost = float(cut_w.sum()) * price
            if lost <= 0:
                continue
            share = min(1.0, regained / lost)
            saved += share * cut_w
            taken = _filled(room, share * lost)
            room, regained = room - taken, regained - share * lost
            free[:until] -= taken
    return float(saved.min())


def _cuts(
    session: _Session, step: int, last: int, step_s: int, round_trip: float
) -> Iterator[tuple[FloatArray, float]]:
    """Return by how much a session could draw less in a window (W), and the Wh that each Wh costs it.

    First it pauses, then it gives back. What the vehicle holds above its driver's minimum must suffice for
    that even if it had nothing more by then.
    """
    yield np.maximum(session.plan_w[step:last], 0.0), 1.0
    if session.gives_back:
        hours = (last - step) * step_s / SECONDS_AN_HOUR
        most_w = min(session.demand.discharge_max_w, session.demand.spare_wh * round_trip / hours)
        yield np.full(last - step, most_w), 1.0 / round_trip


def _filled(room: FloatArray, energy: float) -> FloatArray:
    """Return how an amount fills the first rooms."""
    before = room.cumsum() - room
    filled: FloatArray = np.clip(energy - before, 0.0, room)
    return filled


def _more(sessions: Sequence[_Session], step: int, last: int) -> float:
    """Return by how much the site could draw more in a window, taken from what is planned for later."""
    total = 0.0
    for each in sessions:
        later_w = float(each.later_w[last]) / (last - step)
        if each.until >= last and later_w > 0:
            total += min(float(each.room_w[step:last].min()), later_w)
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
