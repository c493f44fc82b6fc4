"""A site's fast plan against the optimum, and what plans of 1,000 sites over a day cost.

The problems are those that the agents of a seeded community met: each site's forecast, prices, limits and
devices at four hours of a winter's, a spring's and a summer's day. The gap is the share of the site's
uncontrolled bill by which the fast plan costs more than the exact one (uncontrolled: vehicles charge at once,
heaters hold their temperature, batteries idle). The bill is what is bought: with what a sunny day earns taken
off it would be near zero for some. Wear of the battery and what it still holds are counted in both plans.
"""

import time
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from behaviours.decisions.exact_plan import exact_site_plan
from behaviours.decisions.plan_cost import overload_wh, plan_cost_ticks, uncontrolled_plan
from behaviours.decisions.pricing import FlowCharge
from behaviours.decisions.site_plan import SitePlan, bill_ticks, plan_site, terms_of
from launch.model import CommunityModel

__all__ = ["rows"]

DAYS = ("2024-01-17", "2024-04-10", "2024-07-16")
HOURS = (0, 7, 12, 18)
SITES = 200
OWNERS = {"pv": 0.7, "battery": 0.6, "ev": 0.6, "heat_pump": 0.6, "hot_water": 0.6}
MANY_SITES, MEASURED_INTERVALS, INTERVALS = 1_000, 8, 96


class Problem(NamedTuple):
    """What a site planned with."""

    args: tuple[Any, ...]
    limits: dict[str, Any]


def problems_of(date: str) -> list[Problem]:
    """Return the problems that sites met in some hours of a day, each site one an hour."""
    shares = {f"population__shares__{kind}": share for kind, share in OWNERS.items()}
    model = CommunityModel(start=date, population__sites=SITES, intervals=96, record=False, seed=5, **shares)
    met: list[Problem] = []
    interval = 0

    def noting(*args: Any, flow: FlowCharge | None = None, **limits: Any) -> SitePlan:
        if args[3] and (interval - 1) // 4 in HOURS:
            met.append(Problem(args, {name: limits[name] for name in ("import_max_w", "export_max_w")}))
        return plan_site(*args, flow=flow, **limits)

    with mock.patch("behaviours.site.planning.planner_of", return_value=noting):
        for interval in range(1 + 4 * (1 + max(HOURS))):  # noqa: B007  read by `noting`
            model.step()
    return met


def gap_of(problem: Problem) -> tuple[float, float, float]:
    """Return a gap as a share of the bill, the overload in Wh, and how much faster the fast plan was."""
    base_w, buy, sell, devices = problem.args
    terms = terms_of(len(base_w), buy, sell, **problem.limits, curtailable=True)
    began = time.process_time()
    fast = plan_site(*problem.args, **problem.limits)
    between = time.process_time()
    exact = exact_site_plan(*problem.args, **problem.limits)
    ended = time.process_time()
    usual_w = np.maximum(uncontrolled_plan(base_w, devices).net_w, 0)
    more = plan_cost_ticks(fast, devices, terms) - plan_cost_ticks(exact, devices, terms)
    beyond = overload_wh(fast, terms) - overload_wh(exact, terms)
    bill = bill_ticks(usual_w, terms.buy, terms.sell)
    return more / bill, beyond, (ended - between) / max(1e-6, between - began)


def gap_row(date: str) -> dict[str, Any]:
    """Return how far the fast plans of a day are from the optimum."""
    gaps, beyond, speeds = map(np.array, zip(*map(gap_of, problems_of(date)), strict=True))
    return {
        "what": f"gap, {date}",
        "plans": len(gaps),
        "mean %": 100 * float(gaps.mean()),
        "p95 %": 100 * float(np.quantile(gaps, 0.95)),
        "worst %": 100 * float(gaps.max()),
        "within 1 %": float((gaps <= 0.01).mean()),
        "overload Wh": float(beyond.sum()),
        "exact / fast CPU": float(np.median(speeds)),
        "CPU s a day": None,
    }


def speed_row(intervals_a_plan: int) -> dict[str, Any]:
    """Return the CPU time of all plans of many sites, scaled from some intervals to a day."""
    everything = {f"population__shares__{kind}": 1.0 for kind in OWNERS}
    model = CommunityModel(
        population__sites=MANY_SITES,
        planning__intervals=intervals_a_plan,
        intervals=MEASURED_INTERVALS + 2,
        record=False,
        **everything,
    )
    model.step()
    spent = []

    def timed(*args: Any, **limits: Any) -> SitePlan:
        began = time.process_time()
        plan = plan_site(*args, **limits)
        spent.append(time.process_time() - began)
        return plan

    with mock.patch("behaviours.site.planning.planner_of", return_value=timed):
        for _ in range(MEASURED_INTERVALS):
            model.step()
    what = "every interval" if intervals_a_plan == 1 else "hourly and on news"
    return {
        "what": f"{MANY_SITES} sites, {what}",
        "plans": len(spent),
        **dict.fromkeys(("mean %", "p95 %", "worst %", "within 1 %", "overload Wh", "exact / fast CPU")),
        "CPU s a day": sum(spent) * INTERVALS / MEASURED_INTERVALS,
    }


def rows() -> list[dict[str, Any]]:
    """Return the gaps of three days, and what plans cost."""
    return [*map(gap_row, DAYS), speed_row(1), speed_row(4)]
