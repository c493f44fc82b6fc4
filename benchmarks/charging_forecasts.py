"""Forecasts of a charging site: departures, energies and load, beside what is simplest."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from behaviours.decisions.charging.load import LoadHistory, uncontrolled_w
from behaviours.decisions.charging.terms import ChargingDemand
from behaviours.decisions.charging.usage import PastSession, UsageHistory
from behaviours.decisions.series import FloatArray, coverage, nmae, skill
from benchmarks.acn_sessions import POWER_W, ZONE, acn_document
from environments.charging.session_files import RecordedSession, sessions_of

__all__ = ["rows"]

DAYS, LEARNING_DAYS = 84, 28
QUARTER_S, DAY_S = 900, 86_400
STEPS = DAY_S // QUARTER_S
EVERY = 8
"""A forecast of the load is made every so many quarters of an hour."""


class Past(NamedTuple):
    """What has ended so far, in the order of its end."""

    usage: UsageHistory
    load: LoadHistory
    over: list[RecordedSession]


def rows() -> list[dict[str, Any]]:
    """Foresee eight weeks after four; two sets of drivers."""
    return [
        found
        for seed in (1, 2)
        for sessions in [sessions_of(acn_document(seed, days=DAYS))]
        for found in (*usage_rows(seed, sessions), load_row(seed, sessions))
    ]


def replayed(sessions: list[RecordedSession], moments_s: list[int]) -> Iterator[tuple[int, Past]]:
    """Return moments with what is known at each."""
    past = Past(UsageHistory(ZONE), LoadHistory(ZONE, POWER_W), [])
    waiting = sorted(sessions, key=lambda each: -each.departure_s)
    for moment_s in moments_s:
        while waiting and waiting[-1].departure_s <= moment_s:
            each = waiting.pop()
            known = PastSession(each.driver, each.arrival_s, each.departure_s, each.delivered_wh)
            past.usage.add(known)
            past.load.add(known)
            past.over.append(each)
        yield moment_s, past


def usage_rows(seed: int, sessions: list[RecordedSession]) -> Iterator[dict[str, Any]]:
    """Return departures and energies foreseen at plug-in beside the site's medians."""
    late = [each for each in sessions if each.arrival_s > sessions[0].arrival_s + LEARNING_DAYS * DAY_S]
    stays: list[tuple[float, ...]] = []
    energies: list[tuple[float, ...]] = []
    for session, (_, past) in zip(late, replayed(sessions, [each.arrival_s for each in late]), strict=True):
        found = past.usage.forecast(session.driver, session.arrival_s)
        bounds = (found.departure_s, found.departure_low_s, found.departure_high_s)
        usual_h = float(np.median([each.departure_s - each.arrival_s for each in past.over])) / 3600
        hours = ((each - session.arrival_s) / 3600 for each in (session.departure_s, *bounds))
        stays.append((*hours, usual_h))
        kwh = (session.delivered_wh, found.energy_wh, found.energy_low_wh, found.energy_high_wh)
        usual_kwh = float(np.median([each.delivered_wh for each in past.over])) / 1000
        energies.append((*(each / 1000 for each in kwh), usual_kwh))
    yield compared("departure, h", seed, np.array(stays).T, "site median")
    yield compared("energy, kWh", seed, np.array(energies).T, "site median")


def compared(what: str, seed: int, columns: FloatArray, reference: str) -> dict[str, Any]:
    """Return the errors of a forecast; the columns are truth, median, bounds and reference."""
    truth, middle, low, high, usual = columns
    return {
        "forecast": what,
        "seed": seed,
        "MAE": nmae(truth, middle, scale=1.0),
        "beside": reference,
        "its MAE": nmae(truth, usual, scale=1.0),
        "better, %": f"{100 * skill(truth, middle, usual):.0f}",
        "within P10–P90, %": f"{100 * coverage(truth, low, high):.0f}",
    }


def load_row(seed: int, sessions: list[RecordedSession]) -> dict[str, Any]:
    """Return the uncontrolled load of the next 24 hours foreseen beside that of a week before, in kW."""
    midnight_s = sessions[0].arrival_s // DAY_S * DAY_S + 7 * 3600
    load_w = drawn_w(sessions, midnight_s)
    moments = range(LEARNING_DAYS * STEPS, len(load_w) - STEPS, EVERY)
    parts = []
    for moment_s, past in replayed(sessions, [midnight_s + QUARTER_S * each for each in moments]):
        quarter = (moment_s - midnight_s) // QUARTER_S
        today_s = midnight_s + quarter // STEPS * DAY_S
        begun = sum(today_s <= each.arrival_s <= moment_s for each in sessions)
        newcomers = past.load.newcomers(moment_s, STEPS, begun_today=begun)
        running = uncontrolled_w(here(sessions, past, moment_s), moment_s, STEPS)
        window, week = slice(quarter, quarter + STEPS), 7 * STEPS
        before = load_w[quarter - week : quarter - week + STEPS]
        ahead = (newcomers.power_w, newcomers.low_w, newcomers.high_w)
        parts.append(np.array([load_w[window], *(running + each for each in ahead), before]))
    return compared("load, kW", seed, np.concatenate(parts, axis=1) / 1000, "a week before")


def here(sessions: list[RecordedSession], past: Past, now_s: int) -> list[ChargingDemand]:
    """Return the sessions that run and still draw, with what they are thought to need."""
    found = []
    for each in sessions:
        got_wh = (now_s - each.arrival_s) * POWER_W / 3600
        if each.arrival_s <= now_s < each.departure_s and got_wh < each.delivered_wh:
            expected = past.usage.forecast(each.driver, each.arrival_s, now_s)
            missing_wh = max(0.0, expected.energy_wh - got_wh)
            found.append(ChargingDemand(each.session_id, missing_wh, expected.departure_s, POWER_W))
    return found


def drawn_w(sessions: list[RecordedSession], start_s: int) -> FloatArray:
    """Return what all sessions draw, charging as soon as they come, by quarter of an hour."""
    begins_s = start_s + QUARTER_S * np.arange(DAYS * STEPS)
    load = np.zeros(len(begins_s))
    for each in sessions:
        end_s = each.arrival_s + each.delivered_wh * 3600 / POWER_W
        load += np.clip(
            np.minimum(end_s, begins_s + QUARTER_S) - np.maximum(each.arrival_s, begins_s), 0, None
        )
    return load * (POWER_W / QUARTER_S)
