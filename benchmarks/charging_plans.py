"""One charging plan: CPU time by number of sessions, purpose and way to charge."""

import time
from typing import Any

import numpy as np

from behaviours.decisions.charging.plan import charging_plan
from behaviours.decisions.charging.terms import ChargingDemand, Objective, SiteTerms, plan_steps

__all__ = ["rows"]

NOW_S = 1_750_000_500
DRAWS = 10
POWER_W = 6_656.0
SITE_W_A_SESSION = 800.0


def rows() -> list[dict[str, Any]]:
    """Plan random sites; the site can give each session a fraction of its point's power."""
    kinds = {
        "least cost": (Objective.COST, 0.0, False),
        "least peak": (Objective.PEAK, 0.0, False),
        "phases": (Objective.COST, 0.0, True),
        "all give back": (Objective.COST, 1.0, False),
    }
    return [measured(name, number, *kind) for number in (50, 100) for name, kind in kinds.items()]


def measured(name: str, number: int, objective: Objective, v2g: float, phases: bool) -> dict[str, Any]:
    """Return how long such plans take."""
    rng, times_ms, steps = np.random.default_rng(number), [], 0
    for _ in range(DRAWS):
        demands = [demand(rng, index, v2g, phases) for index in range(number)]
        terms = site(rng, demands, phases)
        steps = len(terms.hours)
        began_s = time.process_time()
        charging_plan(demands, terms, objective)
        times_ms.append(1000 * (time.process_time() - began_s))
    return {
        "plan": name,
        "sessions": number,
        "steps": steps,
        "CPU ms, median": float(np.median(times_ms)),
        "most": max(times_ms),
    }


def demand(rng: np.random.Generator, index: int, v2g: float, phases: bool) -> ChargingDemand:
    """Draw a session."""
    gives = rng.random() < v2g
    return ChargingDemand(
        f"s{index}",
        float(rng.uniform(0, 25_000)),
        NOW_S + int(rng.integers(600, 36_000)),
        POWER_W,
        discharge_max_w=POWER_W if gives else 0.0,
        spare_wh=float(rng.uniform(0, 20_000)) if gives else 0.0,
        phases="ABC"[index % 3] if phases else "ABC",
    )


def site(rng: np.random.Generator, demands: list[ChargingDemand], phases: bool) -> SiteTerms:
    """Draw a site's prices for some sessions."""
    steps = plan_steps(NOW_S, [each.departure_s for each in demands])
    nothing, limit_w = np.zeros(len(steps) - 1), SITE_W_A_SESSION * len(demands)
    prices = rng.uniform(0.1, 0.4, len(nothing))
    return SiteTerms(
        starts_s=steps,
        power_max_w=nothing + limit_w,
        base_w=nothing,
        expected_w=nothing,
        reserved_w=nothing + limit_w / 5,
        charge_price_per_kwh=prices,
        discharge_price_per_kwh=0.8 * prices,
        power_min_w=-limit_w,
        peak_price_per_kw=10.0,
        phase_max_w=dict.fromkeys("ABC", limit_w / 3) if phases else {},
        round_trip=0.9,
    )
