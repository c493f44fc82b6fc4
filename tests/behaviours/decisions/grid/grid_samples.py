"""Feeders with loads, and what meters on them would say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from behaviours.decisions.grid import (
    Expectation,
    ExpectedLoads,
    FlowResult,
    Network,
    NodeReadings,
    PowerFlow,
    expected_loads,
    over_phases,
    radial_feeder,
)
from behaviours.decisions.grid.pseudo_measurements import CONNECTION_W

STREET = radial_feeder("street", [f"h{i:03d}" for i in range(30)])
VOLTAGE_ERROR, POWER_ERROR = 0.003, 0.01


@dataclass(frozen=True)
class Evening:
    """A feeder under load as it is, and what its sites are expected to draw."""

    network: Network
    power_w: np.ndarray
    reactive_var: np.ndarray
    flow: FlowResult
    expected: ExpectedLoads

    def reading(self, node: int, rng: np.random.Generator | None = None) -> NodeReadings:
        """Return what a meter at a node says, exactly or with the errors of its class."""
        behind = self.network.site_node == node
        busbar = node == 1
        values = (
            np.abs(self.flow.phasors_v(node)),
            self.flow.busbar_w if busbar else self.power_w[:, behind].sum(axis=1),
            self.flow.busbar_var if busbar else self.reactive_var[:, behind].sum(axis=1),
        )
        errors = (VOLTAGE_ERROR, POWER_ERROR, POWER_ERROR)
        noise = [
            np.zeros_like(v) if rng is None else e * rng.standard_normal(v.shape)
            for v, e in zip(values, errors, strict=True)
        ]
        voltage_v, power_w, reactive_var = (v * (1 + n) for v, n in zip(values, noise, strict=True))
        return NodeReadings(node, voltage_v, power_w, reactive_var, VOLTAGE_ERROR, POWER_ERROR)

    def readings(
        self, nodes: Sequence[int], rng: np.random.Generator | None = None
    ) -> tuple[NodeReadings, ...]:
        """Return what meters at some nodes say."""
        return tuple(self.reading(node, rng) for node in nodes)

    def voltage_error(self, found: FlowResult) -> np.ndarray:
        """Return the relative errors of all low-voltage nodes' magnitudes, (T, nodes - 1, 3)."""
        error: np.ndarray = np.abs(found.voltage_pu / self.flow.voltage_pu - 1)[:, 1:]
        return error


def evening(
    network: Network = STREET,
    *,
    instants: int = 24,
    seed: int = 1,
    source_drift: float = 0.0,
    scale: float = 1.0,
) -> Evening:
    """Let sites draw at random, in bursts of a mean of 1 kW; all that is expected of them is that mean.

    Args:
        network: as the DSO knows it.
        instants: how many.
        seed: of the loads.
        source_drift: by how much the medium voltage differs from what the DSO believes, in p.u.
        scale: of the mean.
    """
    rng = np.random.default_rng(seed)
    mean_w = 1_000.0 * scale
    net_w = mean_w * rng.gamma(1.0, 1.0, (instants, len(network.sites)))
    power_w = over_phases(net_w, network.site_phase)
    reactive_var = 0.2 * power_w * rng.uniform(0.5, 1.5, power_w.shape)
    real = replace(network, source_pu=network.source_pu + source_drift)
    (flow,) = PowerFlow([real]).solve(power_w, reactive_var)
    mean = np.full_like(net_w, mean_w)
    guess = Expectation(mean, mean, np.full_like(net_w, CONNECTION_W))
    return Evening(network, power_w, reactive_var, flow, expected_loads(guess, network.site_phase, 0.2))
