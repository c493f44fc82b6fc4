"""A population: sites drawn from shares and a seed, as varied as a street is."""

from typing import TYPE_CHECKING

from launch.rules import site_ids
from launch.schema import Battery, Ev, HeatPump, HotWater, Population, Pv, Scenario, Shares, Site

if TYPE_CHECKING:
    import numpy as np

__all__ = ["all_sites"]


def all_sites(scenario: Scenario) -> tuple[Site, ...]:
    """Return all sites of a scenario: the listed ones, then its population drawn from the seed.

    Each share is met exactly (rounded to whole sites), whatever the seed; who owns what, and how big
    it is, is drawn. Batteries go to owners of PV first.
    """
    if scenario.population is None:
        return scenario.sites
    drawn = site_ids(scenario)[len(scenario.sites) :]
    return scenario.sites + _drawn(drawn, scenario.population, scenario.seed)


def _drawn(ids: list[str], population: Population, seed: int) -> tuple[Site, ...]:
    from environments.simulation.world.generators import generator

    owners = _owners(len(ids), population.shares, generator(seed, "population", "owners"))
    return tuple(
        _site(
            name,
            [device for device in owners if index in owners[device]],
            generator(seed, "population", name),
        )
        for index, name in enumerate(ids)
    )


def _owners(count: int, shares: Shares, draw: "np.random.Generator") -> dict[str, set[int]]:
    """Deal each device to its share of the sites."""
    owners: dict[str, set[int]] = {}
    for device in ("pv", "ev", "heat_pump", "hot_water"):
        owners[device] = set(draw.permutation(count)[: round(getattr(shares, device) * count)].tolist())
    order = sorted(draw.permutation(count).tolist(), key=lambda index: index not in owners["pv"])
    owners["battery"] = set(order[: round(shares.battery * count)])
    return owners


def _site(name: str, devices: list[str], draw: "np.random.Generator") -> Site:
    """Draw a household; the order of the draws is fixed, so that one device does not change another."""
    annual_kwh = round(float(min(max(draw.lognormal(8.05, 0.40), 1_200), 9_000)), -1)
    pv = Pv(
        kwp=round(float(draw.triangular(3, 7, 14)), 1),
        tilt_deg=float(round(draw.uniform(15, 45))),
        azimuth_deg=float(round(draw.normal(180, 40)) % 360),
    )
    capacity_kwh = round(float(draw.triangular(4, 8, 14)), 1)
    battery = Battery(capacity_kwh=capacity_kwh, power_kw=round(capacity_kwh / 2, 1))
    departure = round(float(draw.normal(7.5, 0.8)), 2)
    ev = Ev(
        capacity_kwh=float(draw.choice([40, 52, 58, 64, 77])),
        charger_kw=float(draw.choice([3.7, 7.4, 11], p=[0.15, 0.25, 0.6])),
        departure_hour=min(max(departure, 5.0), 11.0),
        arrival_hour=min(max(round(float(draw.normal(17.5, 1.2)), 2), 13.0), 22.0),
        trip_kwh=round(float(draw.triangular(2, 6, 15)), 1),
    )
    loss = round(float(draw.triangular(80, 140, 260)))
    heat_pump = HeatPump(
        power_kw=round(max(1.5, loss * 0.017), 1),
        heat_loss_w_per_k=float(loss),
        capacity_kwh_per_k=round(loss * float(draw.uniform(0.06, 0.11)), 1),
        set_degc=round(float(draw.normal(21, 0.6)), 1),
    )
    persons = int(draw.choice([1, 2, 3, 4, 5], p=[0.25, 0.35, 0.18, 0.16, 0.06]))
    hot_water = HotWater(volume_l=float(150 if persons < 3 else 300), daily_l=float(40 * persons))
    owned = {"pv": pv, "battery": battery, "ev": ev, "heat_pump": heat_pump, "hot_water": hot_water}
    return Site(id=name, annual_kwh=annual_kwh, **{device: owned[device] for device in devices})  # type: ignore[arg-type]
