"""The traffic light against the truth: a month of a stressed street, as the DSO estimates it.

The truth is the power flow of every device. The DSO knows the transformer's meter and the meter readings of
the interval, both with errors and some missing, and forecasts of sites without a reading: the mean of the
same quarter of an hour of the days before. States are raw, before the hold; left out are intervals in which
the truth is within ±1.5 % of a limit of loading or ±0.2 % of one of voltage.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from behaviours.decisions.grid import (
    Expectation,
    FlowResult,
    Network,
    NodeReadings,
    PowerFlow,
    StateEstimation,
)
from behaviours.decisions.grid.node_readings import BUSBAR
from behaviours.decisions.grid.outlook import strains_of
from behaviours.decisions.grid.pseudo_measurements import (
    expected_loads,
    from_forecast,
    from_meter,
    from_profile,
)
from behaviours.decisions.grid.traffic_light import STANDARD, Strain, severity
from environments.simulation.world import World
from launch.scenario import load_scenario
from launch.world_settings import world_settings
from ontology.grid import GridState

__all__ = ["Knowledge", "Month", "confusion", "month_of", "rows"]

SCENARIO = Path(__file__).parents[1] / "launch/scenarios/stressed.yaml"
QUARTERS = 96
DAYS_BACK = 7
REACTIVE_SHARE = 0.2
SEED = 1
STREETS: Mapping[str, Mapping[str, Any]] = {
    "small transformer": {},
    "long cables": {"grid.transformer_kva": 250, "grid.joint_spacing_m": 250},
}
"""What is changed of the scenario: the one street is loaded to its limits, the other's voltage is low."""
NEAR_LOADING, NEAR_VOLTAGE = 0.015, 0.002


@dataclass(frozen=True)
class Month:
    """Some weeks of a feeder as they were: flows, and what its sites drew in total (T, sites) in W."""

    network: Network
    flow: FlowResult
    net_w: np.ndarray
    drawn_va: np.ndarray
    """(T, sites, 3)"""

    @property
    def intervals(self) -> int:
        """How many quarters of an hour."""
        return len(self.net_w)


@dataclass(frozen=True)
class Knowledge:
    """What the DSO is told: which meters there are, and how much of what they say is missing."""

    transformer: bool = True
    smart_meters: float = 0.0
    """Sites that tell voltages and powers phase by phase, as a share of all."""
    meters_missing: float = 0.02
    readings_missing: float = 0.2
    voltage_error: float = 0.003
    power_error: float = 0.01


KNOWN = {
    "transformer, 80 % of readings": Knowledge(),
    "and 20 % of sites by phase": Knowledge(smart_meters=0.2),
    "and all sites by phase": Knowledge(smart_meters=1.0),
    "transformer, half of readings": Knowledge(readings_missing=0.5),
    "transformer, no reading": Knowledge(readings_missing=1.0),
    "all readings, no transformer": Knowledge(False, readings_missing=0.0),
    "80 % of readings, no transformer": Knowledge(False),
    "no reading, no transformer": Knowledge(False, readings_missing=1.0),
}


def month_of(days: int, street: str = "small transformer", seed: int = SEED) -> Month:
    """Let a street of heat pumps and cars live for some days in January, nobody steering anything."""
    settings = {"start": "2024-01-08", "seed": seed, **STREETS[street]}
    world = World(world_settings(load_scenario(SCENARIO, settings)))
    drawn_va, net_w = [], []
    for _ in range(days * QUARTERS):
        world.step_interval()
        drawn_va.append(world.drawn_va())
        net_w.append(world.power_w.sum(axis=0))
    (network,), drawn = world.grid.networks, np.array(drawn_va)
    (flow,) = PowerFlow([network]).solve(drawn.real, drawn.imag)
    return Month(network, flow, np.array(net_w), drawn)


def estimated(month: Month, knowledge: Knowledge, seed: int = SEED) -> list[Strain]:
    """Return how hard the DSO takes the feeder to be used in each interval."""
    rng = np.random.default_rng(seed)
    guess = _forecast(month.net_w)
    read = from_meter(month.net_w * (1 + knowledge.power_error * rng.standard_normal(month.net_w.shape)))
    missing = rng.random(month.net_w.shape) < knowledge.readings_missing
    known = read.where(~missing, guess)
    network = month.network
    loads = expected_loads(
        known, network.site_phase, REACTIVE_SHARE, three_phase_w=network.three_phase_range_w
    )
    count = round(knowledge.smart_meters * len(month.network.sites))
    metered = rng.choice(month.network.site_node, count, replace=False).tolist()
    nodes = [BUSBAR] * knowledge.transformer + sorted(metered)
    meters = [_meter(month, node, knowledge, rng) for node in nodes]
    return strains_of(StateEstimation(month.network).estimate(loads, meters).flow)


def confusion(month: Month, knowledge: Knowledge, seed: int = SEED) -> np.ndarray:
    """Return how often which true state (row) was taken for which (column); GREEN, YELLOW, RED."""
    matrix = np.zeros((3, 3), dtype=int)
    states = list(GridState)
    for truth, found in zip(strains_of(month.flow), estimated(month, knowledge, seed), strict=True):
        if not is_close(truth):
            matrix[states.index(severity(truth)), states.index(severity(found))] += 1
    return matrix


def is_close(strain: Strain) -> bool:
    """Tell whether a strain is too near to a limit of loading or voltage for noise to leave it decided."""
    loadings = (STANDARD.loading_yellow, STANDARD.loading_red)
    lows = (STANDARD.low_yellow_pu, STANDARD.low_red_pu)
    highs = (STANDARD.high_yellow_pu, STANDARD.high_red_pu)
    return (
        any(abs(strain.loading / limit - 1) < NEAR_LOADING for limit in loadings)
        or any(abs(strain.voltage_min_pu / limit - 1) < NEAR_VOLTAGE for limit in lows)
        or any(abs(strain.voltage_max_pu / limit - 1) < NEAR_VOLTAGE for limit in highs)
    )


def recall_of(matrix: np.ndarray, state: GridState) -> float:
    """Return how many intervals of a state were seen as such."""
    row = list(GridState).index(state)
    return float(matrix[row, row] / max(1, matrix[row].sum()))


def precision_of(matrix: np.ndarray, state: GridState) -> float:
    """Return how many intervals that were seen as of a state were."""
    column = list(GridState).index(state)
    return float(matrix[column, column] / max(1, matrix[:, column].sum()))


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each street and each way to know it, of a month of thirty days."""
    months = {street: month_of(30, street) for street in STREETS}
    return [
        _row(street, name, confusion(month, knowledge))
        for street, month in months.items()
        for name, knowledge in KNOWN.items()
    ]


def _row(street: str, name: str, matrix: np.ndarray) -> Mapping[str, Any]:
    return {
        "street": street,
        "the DSO knows": name,
        "intervals": int(matrix.sum()),
        "RED": int(matrix[2].sum()),
        "seen": int(matrix[2, 2]),
        "RED missed": int(matrix[2, :2].sum()),
        "false RED": int(matrix[:2, 2].sum()),
        "RED recall": recall_of(matrix, GridState.RED),
        "RED precision": precision_of(matrix, GridState.RED),
        "YELLOW recall": recall_of(matrix, GridState.YELLOW),
        "YELLOW precision": precision_of(matrix, GridState.YELLOW),
    }


def _forecast(net_w: np.ndarray) -> Expectation:
    """Return what the same quarters of the days before let expect; a standard profile on the first day."""
    sites = net_w.shape[1]
    days = net_w.reshape(-1, QUARTERS, sites)
    first = [from_profile(quarter / 4, sites) for quarter in range(QUARTERS)]
    parts = [Expectation(*(np.array([getattr(each, name) for each in first]) for name in vars(first[0])))]
    for day in range(1, len(days)):
        before = days[max(0, day - DAYS_BACK) : day]
        mean, spread = before.mean(axis=0), before.std(axis=0)
        parts.append(from_forecast(mean, mean - 1.28 * spread, mean + 1.28 * spread))
    return Expectation(*(np.concatenate([getattr(each, name) for each in parts]) for name in vars(parts[0])))


def _meter(month: Month, node: int, knowledge: Knowledge, rng: np.random.Generator) -> NodeReadings:
    """Return what a meter says, with errors, and not a number where it said nothing."""
    noise = rng.standard_normal((3, month.intervals, 3))
    silent = rng.random(month.intervals) < knowledge.meters_missing
    drawn_va = month.drawn_va[:, month.network.site_node == node].sum(axis=1)
    if node == BUSBAR:
        drawn_va = month.flow.busbar_w + 1j * month.flow.busbar_var
    voltage_v = np.abs(month.flow.phasors_v(node)) * (1 + knowledge.voltage_error * noise[0])
    power_w = drawn_va.real * (1 + knowledge.power_error * noise[1])
    reactive_var = drawn_va.imag * (1 + knowledge.power_error * noise[2])
    for values in (voltage_v, power_w, reactive_var):
        values[silent] = np.nan
    return NodeReadings(
        node, voltage_v, power_w, reactive_var, knowledge.voltage_error, knowledge.power_error
    )
