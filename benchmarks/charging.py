"""A month of charging sessions on one transformer: energy served, beside rules and perfect foresight."""

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from behaviours.charging.settings import Tariff
from behaviours.decisions.charging.priority import Rule
from behaviours.decisions.charging.terms import Objective
from benchmarks.acn_sessions import acn_document
from environments.charging.session_files import RecordedSession, sessions_of
from launch.charging_outcomes import Outcome
from launch.charging_replay import foreseen, replay_by_rule, replay_through_agents
from launch.charging_stays import ReplaySettings

__all__ = ["rows"]

DAYS, FEWER_DAYS = 30, 14
SEED = 1
CAPACITIES_KW = (20, 30, 40, 60, 15, 10)
TWO_LEVELS = Tariff(charge_per_kwh=(0.15,) * 8 + (0.35,) * 6 + (0.15,) * 10)
"""Dear from 8 to 14, when most come."""
WITH_PEAK = msgspec.structs.replace(TWO_LEVELS, peak_per_kw=12.0)
V2G = msgspec.structs.replace(TWO_LEVELS, discharge_per_kwh=(0.10,) * 8 + (0.30,) * 6 + (0.10,) * 10)


def cases() -> Iterator[tuple[str, int, ReplaySettings]]:
    """Return what is replayed and for how many days: capacities, then ways to charge and to pay."""
    for kw in CAPACITIES_KW:
        yield f"{kw} kW", DAYS, ReplaySettings(power_max_w=kw * 1000)
    yield "100 kW, two prices", FEWER_DAYS, ReplaySettings(power_max_w=100_000, tariff=TWO_LEVELS)
    yield "100 kW, giving back", FEWER_DAYS, ReplaySettings(power_max_w=100_000, tariff=V2G, v2g=True)
    yield "200 kW, least peak", FEWER_DAYS, ReplaySettings(power_max_w=200_000, objective=Objective.PEAK)
    yield "200 kW, peak price", FEWER_DAYS, ReplaySettings(power_max_w=200_000, tariff=WITH_PEAK)
    yield "40 kW, two prices", FEWER_DAYS, ReplaySettings(power_max_w=40_000, tariff=TWO_LEVELS)
    yield "40 kW, single phases", FEWER_DAYS, ReplaySettings(power_max_w=40_000, single_phase=True)
    yield "30 kW, as drivers say", FEWER_DAYS, ReplaySettings(power_max_w=30_000, stated=True)
    yield "60 kW, as drivers say", FEWER_DAYS, ReplaySettings(power_max_w=60_000, stated=True)


def rows() -> list[dict[str, Any]]:
    """Replay each case through the agents, by two rules, uncontrolled and with foresight."""
    found = []
    for name, days, settings in cases():
        found.append(row(name, days, sessions_of(acn_document(SEED, days=days)), settings))
        print(found[-1], file=sys.stderr, flush=True)
    return found


def row(name: str, days: int, sessions: list[RecordedSession], settings: ReplaySettings) -> dict[str, Any]:
    """Return one case: shares of the requested energy in percent, then peaks, costs and times of plans."""
    agents = replay_through_agents(sessions, settings)
    best = foreseen(sessions, settings)
    free, laxity, deadline = (
        replay_by_rule(sessions, settings, rule)
        for rule in (Rule.UNCONTROLLED, Rule.LEAST_LAXITY, Rule.EARLIEST_DEADLINE)
    )
    times_ms = sorted(1000 * seconds for seconds in agents.solve_s)
    return {
        "case": name,
        "days": days,
        "agents %": f"{agents.share:.2f}",
        "LLF %": f"{laxity.share:.2f}",
        "EDF %": f"{deadline.share:.2f}",
        "foresight %": f"{best.share:.2f}",
        "below, pp": f"{best.share - agents.share:.2f}",
        "met": f"{agents.met} of {agents.sessions}",
        "peak, uncontrolled, kW": f"{agents.peak_w / 1000:.0f}, {free.peak_w / 1000:.0f}",
        "cost, uncontrolled": f"{cost(agents):.0f}, {cost(free):.0f}",
        "ms a plan, 99 %, most": ", ".join(
            f"{times_ms[int(share * (len(times_ms) - 1))]:.0f}" for share in (0.5, 0.99, 1.0)
        ),
    }


def cost(outcome: Outcome) -> float:
    """Return what energy and peak cost together."""
    return outcome.energy_cost + outcome.peak_cost
