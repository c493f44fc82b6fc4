"""Seeded charging sessions in the formats of ACN-Data and acnportal, for benchmarks and tests.

Drivers with habits (hour of arrival, length of stay, energy), some who never register, parking places that
are taken until their driver leaves, and wishes that are as far from the truth as people's are: a workplace
like those of ACN-Data (Lee, Li, Low, "ACN-Data", e-Energy 2019), none of its data.
"""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

__all__ = ["POWER_W", "ZONE", "acn_document", "acnportal_queue"]

ZONE = "America/Los_Angeles"
POWER_W = 6_656
"""32 A at 208 V, as at Caltech's charging points."""
SITE_ID = "0002"
CLUSTER_ID = "0039"
STATED_BY = 0.85
"""Share of registered drivers' sessions in which they say what they want."""


class Driver(NamedTuple):
    """Habits: local hours, kWh and shares of days."""

    user_id: str | None
    arrival_h: float
    arrival_spread_h: float
    stay_h: float
    stay_spread: float
    energy_kwh: float
    weekday_share: float
    weekend_share: float


def acn_document(
    seed: int = 1,
    *,
    days: int = 30,
    drivers: int = 90,
    spaces: int = 54,
    first: datetime = datetime(2019, 4, 1),
) -> dict[str, Any]:
    """Return sessions as the public API returns them.

    Args:
        seed: another seed, other people.
        days: how many, from the first.
        drivers: who may come.
        spaces: charging points; who finds none drives on.
        first: the first local day.
    """
    rng = np.random.default_rng([seed, 0xAC4])
    people = [_driver(rng, number) for number in range(drivers)]
    items: list[dict[str, Any]] = []
    free_at = [first.replace(tzinfo=ZoneInfo(ZONE))] * spaces
    for day in range(days):
        date = first + timedelta(days=day)
        for arrival, departure, driver, kwh in sorted(_visits(rng, people, date), key=lambda each: each[0]):
            space = next((i for i, free in enumerate(free_at) if free <= arrival), None)
            if space is not None:
                free_at[space] = departure
                items.append(_item(rng, len(items), space, arrival, departure, driver, kwh))
    meta = {"page": 1, "max_results": len(items), "total": len(items)}
    return {"_items": items, "_meta": meta}


def _driver(rng: np.random.Generator, number: int) -> Driver:
    early = rng.random() < 0.75
    registered = rng.random() < 0.8
    return Driver(
        user_id=f"{number + 1:06d}" if registered else None,
        arrival_h=float(rng.normal(8.4, 0.9) if early else rng.normal(13.0, 2.5)),
        arrival_spread_h=float(rng.uniform(0.2, 0.9)),
        stay_h=float(np.clip(rng.normal(7.5, 2.0) if early else rng.normal(3.5, 1.5), 0.7, 11.0)),
        stay_spread=float(rng.uniform(0.06, 0.3)),
        energy_kwh=float(np.clip(rng.lognormal(2.2, 0.5), 2.0, 40.0)),
        weekday_share=float(rng.uniform(0.2, 0.9)),
        weekend_share=float(rng.uniform(0.0, 0.15)),
    )


def _visits(
    rng: np.random.Generator, people: list[Driver], date: datetime
) -> list[tuple[datetime, datetime, Driver, float]]:
    found = []
    midnight = date.replace(tzinfo=ZoneInfo(ZONE))
    for driver in people:
        share = driver.weekend_share if date.weekday() >= 5 else driver.weekday_share
        if rng.random() > share:
            continue
        hour = float(np.clip(rng.normal(driver.arrival_h, driver.arrival_spread_h), 4.0, 21.0))
        stay_h = float(np.clip(driver.stay_h * rng.lognormal(0.0, driver.stay_spread), 0.4, 23.5 - hour))
        most_kwh = POWER_W / 1000 * stay_h * 0.95
        kwh = min(driver.energy_kwh * float(rng.lognormal(0.0, 0.3)), most_kwh)
        arrival = midnight + timedelta(seconds=round(hour * 3600))
        found.append((arrival, arrival + timedelta(seconds=round(stay_h * 3600)), driver, kwh))
    return found


def _item(
    rng: np.random.Generator,
    number: int,
    space: int,
    arrival: datetime,
    departure: datetime,
    driver: Driver,
    kwh: float,
) -> dict[str, Any]:
    done = min(departure, arrival + timedelta(seconds=round(kwh * 3600 / (POWER_W / 1000 * 0.95))))
    station = f"2-39-{78 + space // 10}-{20 + space % 10}"
    inputs = None
    if driver.user_id is not None and rng.random() < STATED_BY:
        inputs = [_wish(rng, arrival, departure, driver, kwh)]
    return {
        "_id": f"{number:024x}",
        "clusterID": CLUSTER_ID,
        "connectionTime": _http_date(arrival),
        "disconnectTime": _http_date(departure),
        "doneChargingTime": _http_date(done) if rng.random() > 0.03 else None,
        "kWhDelivered": round(kwh, 3),
        "sessionID": f"{station}_{arrival.astimezone(UTC).isoformat()}",
        "siteID": SITE_ID,
        "spaceID": f"CA-{300 + space}",
        "stationID": station,
        "timezone": ZONE,
        "userID": driver.user_id,
        "userInputs": inputs,
    }


def _wish(
    rng: np.random.Generator, arrival: datetime, departure: datetime, driver: Driver, kwh: float
) -> dict[str, Any]:
    """Return what a driver says: a habit, rounded to five minutes, and rather too much energy."""
    meant_h = (departure - arrival).total_seconds() / 3600 * float(rng.lognormal(0.0, 0.12))
    minutes = max(15, round(meant_h * 12) * 5)
    per_mile = int(rng.choice([250, 300, 350, 400]))
    miles = max(5, round(kwh * 1000 / per_mile * float(rng.lognormal(0.1, 0.2)) / 5) * 5)
    return {
        "WhPerMile": per_mile,
        "kWhRequested": round(miles * per_mile / 1000, 3),
        "milesRequested": miles,
        "minutesAvailable": minutes,
        "modifiedAt": _http_date(arrival + timedelta(seconds=int(rng.integers(20, 180)))),
        "paymentRequired": True,
        "requestedDeparture": _http_date(arrival + timedelta(minutes=minutes)),
        "userID": int(driver.user_id or 0),
    }


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def acnportal_queue(document: dict[str, Any], *, period_min: int = 5) -> dict[str, Any]:
    """Return the same sessions as acnportal stores a queue of events: objects by their number.

    Args:
        document: what `acn_document` returned.
        period_min: length of a period, in which acnportal counts time from the first arrival's midnight.
    """
    items = document["_items"]
    moment = {"connectionTime": [], "disconnectTime": []}  # type: dict[str, list[datetime]]
    for name, values in moment.items():
        values += [datetime.strptime(item[name], "%a, %d %b %Y %H:%M:%S GMT") for item in items]
    start = min(moment["connectionTime"]).replace(hour=0, minute=0, second=0)
    context: dict[str, Any] = {}
    queue: list[list[Any]] = []
    for number, item in enumerate(items):
        arrival, departure = (
            int((moment[n][number] - start).total_seconds() // (60 * period_min)) for n in moment
        )
        battery, ev, event = (str(140_000_000_000 + 10 * number + part) for part in range(3))
        context[battery] = {
            "class": "acnportal.acnsim.models.battery.Battery",
            "attributes": {
                "_max_power": POWER_W / 1000,
                "_current_charging_power": 0,
                "_current_charge": 0,
                "_capacity": item["kWhDelivered"],
                "_init_charge": 0,
            },
        }
        context[ev] = {
            "class": "acnportal.acnsim.models.ev.EV",
            "attributes": {
                "_arrival": arrival,
                "_departure": departure,
                "_session_id": item["sessionID"],
                "_station_id": item["spaceID"],
                "_requested_energy": item["kWhDelivered"],
                "_estimated_departure": departure,
                "_energy_delivered": 0,
                "_current_charging_rate": 0,
                "_battery": battery,
            },
        }
        context[event] = {
            "class": "acnportal.acnsim.events.event.PluginEvent",
            "attributes": {"timestamp": arrival, "event_type": "Plugin", "precedence": 10, "ev": ev},
        }
        queue.append([arrival, event])
    context["139999999999"] = {
        "class": "acnportal.acnsim.events.event_queue.EventQueue",
        "attributes": {"_queue": queue, "_timestep": 0},
    }
    versions = {"numpy": "1.16.4", "pandas": "1.1.0"}
    return {
        "id": "139999999999",
        "context_dict": context,
        "version": "0.3.2",
        "dependency_versions": versions,
    }
