"""What plans save a street, and how well its devices keep to them.

Thirty households with all kinds of devices, three days in each of three seasons, on a feeder that is never
congested. The same days run with plans and without: then vehicles charge at once, heaters hold their
temperature and batteries idle. What batteries hold more or less at the end counts at the mean price of a kWh.
Devices are held against the power that the plan gave them for the interval.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from agents.prosumer import Prosumer
from behaviours.site.planning import SitePlanning
from launch.model import CommunityModel
from launch.tables import Columns

__all__ = ["rows"]

DAYS = ("2024-01-17", "2024-04-10", "2024-07-16")
STREET: dict[str, Any] = {
    "population__sites": 30,
    "population__shares": {"pv": 0.6, "battery": 0.5, "ev": 0.6, "heat_pump": 0.6, "hot_water": 0.6},
    "grid__transformer_kva": 630,
    "days": 3,
    "seed": 3,
    "record": False,
}
PLANNED = ("bess", "ev", "heat_pump", "dhw")
TOKENS_PER_CURRENCY = 10_000


class Outcome(NamedTuple):
    """What became of some days."""

    bill_eur: float
    bought_kwh: float
    held_kwh: float
    """By how much more the batteries hold at the end than at the beginning."""
    missed: dict[str, float]
    """By kind of device: energy off the plan, as a share of the energy planned."""


def outcome_of(date: str, *, control: bool) -> Outcome:
    """Run some days of the street from a date."""
    model = CommunityModel(start=date, control=control, **STREET)
    planned_w: dict[tuple[int, str, str], int] = {}
    while model.intervals_done < model.intervals:
        start_s = model.now_s
        model.step()
        planned_w |= plans_of(model, start_s)
    tables, names = model.run().tables(), model.community.cast.accounts
    settled = zip(tables.settlement["account"], tables.settlement["tokens"], strict=True)
    tokens = -sum(int(t) for account, t in settled if names[account] not in ("aggregator", "grid"))
    return Outcome(
        bill_eur=tokens / TOKENS_PER_CURRENCY,
        bought_kwh=float(tables.sites["consumed_wh"].sum()) / 1000,
        held_kwh=held_kwh(model, tables.sites),
        missed=missed_by_kind(planned_w, tables.sites),
    )


def plans_of(model: CommunityModel, start_s: int) -> dict[tuple[int, str, str], int]:
    """Return what the devices were told to do in an interval, by time, site and kind of device."""
    planning = (a.behaviour(SitePlanning) for a in model.community.agents.values() if isinstance(a, Prosumer))
    planned_w = (item for each in planning for item in each.planned_w(start_s).items())
    return {(start_s, *asset_id.rsplit("-", 1)): power_w for asset_id, power_w in planned_w}


def missed_by_kind(planned_w: Mapping[tuple[int, str, str], int], sites: Columns) -> dict[str, float]:
    """Return the energy by which devices of a kind were off their plan, as a share of what was planned."""
    rows = zip(sites["start_s"].tolist(), sites["site"].tolist(), strict=True)
    row_of = {key: row for row, key in enumerate(rows)}
    missed = {}
    for kind in PLANNED:
        did_w = sites[f"{kind}_w"]
        pairs = [
            (w, did_w[row_of[start_s, site]]) for (start_s, site, k), w in planned_w.items() if k == kind
        ]
        planned, done = np.array(pairs).reshape(-1, 2).T
        if np.abs(planned).sum():
            missed[kind] = float(np.abs(planned - done).sum() / np.abs(planned).sum())
    return missed


def held_kwh(model: CommunityModel, sites: Columns) -> float:
    """Return what batteries hold more at the end than after the first interval, in kWh."""
    held = 0.0
    for each in model.world.settings.sites:
        rows = sites["bess_soc"][sites["site"] == each.id]
        if each.battery is not None and len(rows):
            held += float(rows[-1] - rows[0]) * each.battery.capacity_wh / 1000
    return held


def row(date: str) -> dict[str, Any]:
    """Return what plans saved in the days from a date."""
    planned, uncontrolled = outcome_of(date, control=True), outcome_of(date, control=False)
    price_eur = uncontrolled.bill_eur / uncontrolled.bought_kwh
    bill_eur = planned.bill_eur - (planned.held_kwh - uncontrolled.held_kwh) * price_eur
    saved = 1 - bill_eur / uncontrolled.bill_eur
    return {
        "three days from": date,
        "bill without, EUR": uncontrolled.bill_eur,
        "bill with plans": bill_eur,
        "saved %": 100 * saved,
        **{f"{kind} off %": 100 * planned.missed.get(kind, 0.0) for kind in PLANNED},
    }


def rows() -> list[dict[str, Any]]:
    """Return a row a season."""
    return [row(date) for date in DAYS]
