"""How well the DSO spreads known totals of sites over phases, against the phases that they really use.

A street of forty houses with PV, batteries, cars and heat pumps lives for some days in winter and in summer.
The DSO knows the total of every site exactly; it guesses the phases with and without a register of
three-phase equipment, or puts everything on a site's own phase, or on all three.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from behaviours.decisions.grid import Network, PowerFlow, over_phases
from behaviours.decisions.grid.power_flow import own_phase
from environments.simulation.world import World
from launch.scenario import scenario_of
from launch.world_settings import world_settings

__all__ = ["Days", "days_of", "guesses", "rows"]

DAYS = 3
STARTS = {"January": "2024-01-08", "June": "2024-06-10"}
SCENARIO: Mapping[str, Any] = {
    "zone": "Europe/Berlin",
    "grid": {"sites_per_feeder": 40},
    "population": {"sites": 40, "shares": {"pv": 0.5, "ev": 0.5, "heat_pump": 0.4, "battery": 0.25}},
}
REACTIVE_SHARE = 0.2


class Days(NamedTuple):
    """Some days of a feeder: W of its sites in total (T, sites), and really by phase (T, sites, 3)."""

    network: Network
    net_w: np.ndarray
    power_w: np.ndarray


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each season and guess."""
    found = []
    for season, start in STARTS.items():
        days = days_of(start, DAYS)
        found += [_row(season, name, days, guess) for name, guess in guesses(days).items()]
    return found


def days_of(start: str, days: int, seed: int = 3) -> Days:
    """Let the street live for some days, nobody steering anything."""
    world = World(world_settings(scenario_of({**SCENARIO, "start": start, "seed": seed})))
    net_w, power_w = [], []
    for _ in range(days * 96):
        world.step_interval()
        net_w.append(world.power_w.sum(axis=0))
        power_w.append(world.drawn_va().real)
    (network,) = world.grid.networks
    return Days(network, np.array(net_w), np.array(power_w))


def guesses(days: Days) -> dict[str, np.ndarray]:
    """Return what is guessed of the phases (T, sites, 3) in W, by how."""
    network, net_w = days.network, days.net_w
    return {
        "with the register": over_phases(net_w, network.site_phase, network.three_phase_range_w),
        "without": over_phases(net_w, network.site_phase),
        "all on the own phase": net_w[..., None] * own_phase(network.site_phase),
        "all on three": np.repeat(net_w[..., None] / 3, 3, axis=2),
    }


def _row(season: str, name: str, days: Days, guess: np.ndarray) -> Mapping[str, Any]:
    error = guess - days.power_w
    solver = PowerFlow([days.network])
    (true,), (found,) = (
        solver.solve(each, REACTIVE_SHARE * np.maximum(each, 0)) for each in (days.power_w, guess)
    )
    voltage = np.abs(found.voltage_pu - true.voltage_pu)[:, 1:]
    return {
        "season": season,
        "phases": name,
        "site, W rms": _rms(error),
        "feeder, W rms": _rms(error.sum(axis=1)),
        "voltage, % mean": 100 * float(voltage.mean()),
        "voltage, % worst": 100 * float(voltage.max()),
        "unbalance, % mean": 100 * float(np.abs(found.unbalance_max - true.unbalance_max).mean()),
    }


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
