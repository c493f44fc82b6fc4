"""Populations: sites drawn from shares of equipment and a seed."""

from collections.abc import Mapping

import numpy as np

from environments.simulation.world.generators import generator
from environments.simulation.world.settings import (
    BatterySettings,
    EvSettings,
    HeatPumpSettings,
    HotWaterSettings,
    PvSettings,
    SiteSettings,
)
from ontology.errors import InvalidInput, problem

__all__ = ["DEFAULT_SHARES", "SIZES", "population"]

DEFAULT_SHARES: Mapping[str, float] = {
    "pv": 0.5,
    "battery": 0.3,
    "ev": 0.3,
    "heat_pump": 0.3,
    "hot_water": 0.3,
}
SIZES = (1, 10_000)

EV_CAPACITIES_WH = (40_000, 52_000, 58_000, 64_000, 77_000)
WIDTH = 3


def population(
    shares: Mapping[str, float] | None, n: int, seed: int, zone: str = "Europe/Berlin"
) -> list[SiteSettings]:
    """Draw sites of detached houses.

    A site depends on the seed and its number only: more sites do not change the first ones, and a larger
    share only adds equipment.

    Args:
        shares: of sites with `pv`, `battery`, `ev`, `heat_pump` and `hot_water` (or `dhw`), 0 to 1;
            a missing one is 0, None means `DEFAULT_SHARES`.
        n: how many, up to 10,000.
        seed: of the draws.
        zone: of the sites' clocks.

    Raises: InvalidInput for unknown shares, shares outside 0 to 1, or too many sites.
    """
    wanted = dict(DEFAULT_SHARES if shares is None else shares)
    if "dhw" in wanted:
        wanted["hot_water"] = wanted.pop("dhw")
    problems = [
        problem(f"shares.{name}", value, f"one of {', '.join(DEFAULT_SHARES)}")
        for name, value in wanted.items()
        if name not in DEFAULT_SHARES
    ]
    problems += [
        problem(f"shares.{name}", value, "0 to 1") for name, value in wanted.items() if not 0 <= value <= 1
    ]
    if not SIZES[0] <= n <= SIZES[1]:
        problems.append(problem("n", n, f"{SIZES[0]} to {SIZES[1]} sites"))
    if problems:
        raise InvalidInput(problems)
    width = max(WIDTH, len(str(n)))
    return [_site(f"h{number:0{width}d}", number, wanted, seed, zone) for number in range(1, n + 1)]


def _site(name: str, number: int, shares: Mapping[str, float], seed: int, zone: str) -> SiteSettings:
    draw = generator(seed, "population", number)
    luck = dict(zip(DEFAULT_SHARES, draw.random(len(DEFAULT_SHARES)), strict=True))
    has = {each: luck[each] < shares.get(each, 0.0) for each in DEFAULT_SHARES}
    annual_kwh = float(np.clip(np.exp(draw.normal(np.log(3_500), 0.28)), 1_800, 6_500))
    pv, ev = _pv(draw), _ev(draw)
    battery, heat_pump = _battery(draw, pv.kwp), _heat_pump(draw)
    hot_water = _hot_water(draw, has["heat_pump"])
    return SiteSettings(
        id=name,
        annual_kwh=round(annual_kwh),
        zone=zone,
        pv=pv if has["pv"] else None,
        battery=battery if has["battery"] else None,
        ev=ev if has["ev"] else None,
        heat_pump=heat_pump if has["heat_pump"] else None,
        hot_water=hot_water if has["hot_water"] else None,
    )


def _pv(draw: np.random.Generator) -> PvSettings:
    """Draw 4 to 10 kWp on a roof that mostly faces south."""
    kwp = float(np.clip(draw.normal(7.2, 1.7), 4.0, 10.0))
    tilt = int(draw.choice([25, 30, 35, 40, 45]))
    azimuth = int(draw.choice([90, 135, 150, 165, 180, 195, 210, 225, 270]))
    return PvSettings(kwp=round(kwp * 5) / 5, tilt_deg=tilt, azimuth_deg=azimuth)


def _battery(draw: np.random.Generator, kwp: float) -> BatterySettings:
    """Draw about one kWh a kWp, 5 to 12 kWh, charged in about two hours."""
    kwh = float(np.clip(kwp * draw.uniform(0.9, 1.4), 5.0, 12.0))
    capacity_wh = round(kwh * 2) * 500
    return BatterySettings(capacity_wh=capacity_wh, power_w=round(capacity_wh * 0.5 / 100) * 100)


def _ev(draw: np.random.Generator) -> EvSettings:
    """Draw a car of 40 to 77 kWh on a wallbox of 11 kW, driven about 30 to 60 km on a day of use."""
    capacity_wh = int(draw.choice(EV_CAPACITIES_WH))
    trip_wh = float(np.clip(np.exp(draw.normal(np.log(7_000), 0.4)), 2_500, capacity_wh * 0.4))
    return EvSettings(
        capacity_wh=capacity_wh,
        v2g=bool(draw.random() < 0.1),
        departure_hour=round(float(np.clip(draw.normal(7.6, 0.8), 5.0, 10.0)), 2),
        arrival_hour=round(float(np.clip(draw.normal(17.3, 1.4), 12.0, 21.5)), 2),
        trip_wh=round(trip_wh / 100) * 100,
    )


def _heat_pump(draw: np.random.Generator) -> HeatPumpSettings:
    """Draw a house of 110 to 190 W/K and a heat pump that holds it at the coldest."""
    loss_w_per_k = float(np.clip(draw.normal(150, 22), 110, 190))
    hours = float(np.clip(draw.normal(75, 15), 45, 120))
    power_w = round(loss_w_per_k * 33 / 2.3 / 100 + 1) * 100
    return HeatPumpSettings(
        power_w=int(np.clip(power_w, 2_000, 4_000)),
        resistance_k_per_w=round(1 / loss_w_per_k, 6),
        capacity_j_per_k=round(hours * 3600 * loss_w_per_k, -5),
        set_degc=round(float(np.clip(draw.normal(21.0, 0.6), 19.5, 22.5)) * 2) / 2,
        solar_aperture_m2=round(float(draw.uniform(1.8, 3.4)), 1),
        internal_gain_w=round(float(draw.uniform(250, 480)), -1),
    )


def _hot_water(draw: np.random.Generator, heat_pump: bool) -> HotWaterSettings:
    """Draw a tank for 2 to 5 people; its heater is a heat pump where the house has one."""
    people = int(draw.choice([1, 2, 3, 4, 5], p=[0.12, 0.35, 0.20, 0.24, 0.09]))
    return HotWaterSettings(
        power_w=800 if heat_pump else 2_000,
        cop=2.5 if heat_pump else 1.0,
        volume_l=float(150 if people < 3 else 200 if people < 5 else 300),
        draw_l=float(38 * people),
    )
