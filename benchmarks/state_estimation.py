"""State estimation of known networks: errors of all voltages by what is metered, and the time of an instant.

Sites draw in bursts; the DSO expects a mean of each that is right on the whole, or half of it. The medium
voltage is ±3 % of what the DSO believes. Meters have errors of 0.3 % of voltages and 1 % of powers.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from behaviours.decisions.grid import (
    Expectation,
    Network,
    NodeReadings,
    PowerFlow,
    StateEstimation,
    expected_loads,
    over_phases,
    radial_feeder,
)
from behaviours.decisions.grid.node_readings import BUSBAR
from behaviours.decisions.grid.pseudo_measurements import CONNECTION_W
from environments.networks import FEEDERS, feeder_named

__all__ = ["errors", "rows"]

INSTANTS = 48
SEED = 1
SOURCE_DRIFT = 0.03
VOLTAGE_ERROR, POWER_ERROR = 0.003, 0.01
SHARE_METERED = 0.2
STREET = radial_feeder("street-60", [f"h{i:03d}" for i in range(60)])
USUAL_LOADING = 0.2
"""Of the transformer, on average."""
BURSTS = 4.0
"""Shape of the gamma distribution of loads: a deviation of half the mean."""


def rows() -> list[Mapping[str, Any]]:
    """Return a row for each network and each set of meters."""
    networks = [STREET, *(feeder_named(name) for name in FEEDERS)]
    return [
        _row(name, network, expected, metered)
        for name, network in zip(["street-60", *FEEDERS], networks, strict=True)
        for expected in (1.0, 0.5)
        for metered in ("nothing", "transformer", "transformer, 20 % of sites")
    ]


def errors(network: Network, expected: float, metered: str) -> tuple[np.ndarray, float]:
    """Return the relative errors of all low-voltage nodes' magnitudes, and CPU seconds an instant."""
    rng = np.random.default_rng(SEED)
    half = INSTANTS // 2
    parts, seconds = [], 0.0
    for drift in (-SOURCE_DRIFT, SOURCE_DRIFT):
        mean_w = USUAL_LOADING * network.transformer.rated_va / len(network.sites)
        net_w = mean_w * rng.gamma(BURSTS, 1 / BURSTS, (half, len(network.sites)))
        power_w = over_phases(net_w, network.site_phase)
        reactive_var = 0.2 * power_w * rng.uniform(0.5, 1.5, power_w.shape)
        real = replace(network, source_pu=network.source_pu + drift)
        (flow,) = PowerFlow([real]).solve(power_w, reactive_var)
        guess_w = np.full_like(net_w, expected * mean_w)
        guess = Expectation(guess_w, 0.7 * guess_w, np.full_like(net_w, max(CONNECTION_W, 10 * mean_w)))
        meters = []
        for node in _nodes(network, metered, rng):
            drawn_va = (power_w + 1j * reactive_var)[:, network.site_node == node].sum(axis=1)
            if node == BUSBAR:
                drawn_va = flow.busbar_w + 1j * flow.busbar_var
            noise = rng.standard_normal((3, half, 3))
            meters.append(
                NodeReadings(
                    node,
                    np.abs(flow.phasors_v(node)) * (1 + VOLTAGE_ERROR * noise[0]),
                    drawn_va.real * (1 + POWER_ERROR * noise[1]),
                    drawn_va.imag * (1 + POWER_ERROR * noise[2]),
                    VOLTAGE_ERROR,
                    POWER_ERROR,
                )
            )
        estimation, loads = StateEstimation(network), expected_loads(guess, network.site_phase, 0.2)
        begin = time.process_time()
        found = estimation.estimate(loads, meters).flow
        seconds += (time.process_time() - begin) / INSTANTS
        parts.append(np.abs(found.voltage_pu / flow.voltage_pu - 1)[:, 1:])
    return np.concatenate(parts), seconds


def _nodes(network: Network, metered: str, rng: np.random.Generator) -> list[int]:
    if metered == "nothing":
        return []
    sites = np.setdiff1d(network.site_node, [BUSBAR])
    count = round(SHARE_METERED * len(sites)) if "sites" in metered else 0
    return [BUSBAR, *rng.choice(sites, count, replace=False).tolist()]


def _row(name: str, network: Network, expected: float, metered: str) -> Mapping[str, Any]:
    error, seconds = errors(network, expected, metered)
    return {
        "network": name,
        "expected": "the mean" if expected == 1 else "half of it",
        "metered": metered,
        "median, %": 100 * float(np.median(error)),
        "95 %, %": 100 * float(np.quantile(error, 0.95)),
        "worst, %": 100 * float(error.max()),
        "ms": 1000 * seconds,
    }
