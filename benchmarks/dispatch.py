"""How closely plants deliver what was ordered while a tenth of their members fail (SPEC 4.9).

A street of batteries, cars and heat pumps delivers an order. As delivery begins, the gateways of a
tenth of the plant's members die: nobody meters or steers their devices any more, and they count as nothing.
What the others delivered is what their devices really did, against the plans that they had promised to leave.
"""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from behaviours.vpp.dispatching import DerDispatch
from behaviours.vpp.initiation import VppInitiation, VppRecord
from behaviours.vpp.membership import Promise, VppMembership
from behaviours.vpp.portfolio import starts_of
from environments.simulation.world.energy import DEVICES
from launch.model import CommunityModel
from launch.scenario import parse_scenario

__all__ = ["STREETS", "Outcome", "delivery", "rows", "within"]

SCENARIO = """
start: 2024-01-10T16:00
zone: Europe/Berlin
intervals: 18
step_s: 60
record: false
population: {sites: 30, shares: {pv: 0.3, battery: 0.7, ev: 0.3, heat_pump: 0.3, hot_water: 0.3}}
products:
  - {id: evening, hour: 17.5, hours: 2, power_kw: -8, price: 0.40, lead_hours: 0.5}
"""
BATTERIES = [
    {
        "id": f"s{i:02d}",
        "annual_kwh": 2_500 + 100 * i,
        "battery": {"capacity_kwh": 8 + i % 5, "initial_state_of_charge": 0.9},
    }
    for i in range(30)
]
STREETS: Mapping[str, Mapping[str, Any]] = {
    "30 batteries": {"population": None, "sites": BATTERIES},
    "30 homes of all kinds": {},
}
SEEDS = (1, 2, 3, 4, 5)
OF_DEVICE = {"bess": "battery", "heat_pump": "heat_pump", "ev": "ev", "dhw": "dhw"}


class Outcome(NamedTuple):
    """What was ordered and delivered, in W by interval, who took part, and how many of them failed."""

    ordered_w: list[int]
    delivered_w: list[float]
    members: int
    failed: int
    corrections: int


def delivery(seed: int, failing: float = 0.1, *, corrected: bool = True, **settings: Any) -> Outcome:
    """Run the street and return what its plant delivered.

    Args:
        seed: another seed is another street.
        failing: share of the members that fail.
        corrected: whether the aggregator corrects by the minute.
        settings: keys of the scenario to change.
    """
    run = CommunityModel(parse_scenario(SCENARIO, {"seed": seed, **settings}))
    while not (record := plant(run)) or run.now_s < record.product.start_s:
        run.step()
        if not run.running:
            return Outcome([], [], 0, 0, 0)
    promises = promises_of(run, record)
    victims = sorted(promises)[:: round(1 / failing)] if failing else []
    for who in victims:
        site = who.removesuffix("-prosumer@localhost")
        run.at(record.product.start_s + 30, run.kill, f"{site}-gateway@localhost")
    delivered = []
    with nullcontext() if corrected else patch.object(DerDispatch, "_running", lambda *_: iter(())):
        for start_s in starts_of(record.product):
            run.step()
            metered = {who: p for who, p in promises_of(run, record).items() if who not in victims}
            delivered.append(deviation_w(run, metered.values(), start_s))
    return Outcome(
        record.product.target_w,
        delivered,
        len(promises),
        len(victims),
        run.community.counts().get("dispatch corrections", 0),
    )


def plant(run: CommunityModel) -> VppRecord | None:
    """Return the plant of the order, once it has been formed."""
    aggregator = run.community.agents.get("aggregator@localhost")
    plants = aggregator.behaviour(VppInitiation).plants if aggregator else {}
    return next(iter(plants.values()), None)


def promises_of(run: CommunityModel, record: VppRecord) -> dict[str, Promise]:
    """Return what each member has promised."""
    agents = run.community.agents
    return {who: agents[who].behaviour(VppMembership).promises[record.vpp_id] for who in record.commitments}


def deviation_w(run: CommunityModel, promises: Iterable[Promise], start_s: int) -> float:
    """Return by how many W the devices of a plant really deviated in the interval that has ended."""
    energy = run.world.last_interval
    total = 0.0
    for promise in promises:
        for asset in promise.assets:
            site, _, device = asset.rpartition("-")
            row, column = DEVICES.index(OF_DEVICE[device]), run.world.site_index(site)
            total += 4 * float(energy.device_wh[row, column]) - promise.baseline_w[asset].get(start_s, 0)
    return total


def within(outcomes: Iterable[Outcome], share: float = 0.10) -> float:
    """Return the share of intervals in which what was delivered is within a share of what was ordered."""
    hits = [
        abs(done - ordered) <= share * abs(ordered)
        for each in outcomes
        for ordered, done in zip(each.ordered_w, each.delivered_w, strict=True)
    ]
    return float(np.mean(hits))


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each street, with and without correction; its seeds together."""
    found = []
    for street, settings in STREETS.items():
        for corrected in (False, True):
            outcomes = [delivery(seed, corrected=corrected, **settings) for seed in SEEDS]
            done = [
                each / ordered
                for outcome in outcomes
                for ordered, each in zip(outcome.ordered_w, outcome.delivered_w, strict=True)
            ]
            found.append(
                {
                    "street": street,
                    "corrected": "by the minute" if corrected else "no",
                    "plants": len(outcomes),
                    "members": sum(each.members for each in outcomes),
                    "failed": sum(each.failed for each in outcomes),
                    "intervals": len(done),
                    "within 10 % of the order, %": 100 * within(outcomes),
                    "delivered, % least": 100 * min(done),
                    "mean": 100 * float(np.mean(done)),
                    "letters a plant": sum(each.corrections for each in outcomes) / len(outcomes),
                }
            )
    return found
