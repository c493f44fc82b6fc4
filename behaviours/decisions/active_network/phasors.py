"""A radial feeder's phasors, and how they change with what is drawn: the linear model of the optimal flow.

The voltages at all loads are E − Z·I, where Z holds what the paths of two loads have in common; currents are
conj(S / V). Differentiating both gives the sensitivities exactly, without a flow for each direction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network.means import OperatingPoint
from behaviours.decisions.grid.four_wire import impedances, paths, thevenin, transformer_impedance
from behaviours.decisions.grid.network import Network
from ontology.errors import Failed

__all__ = ["FeederPhasors", "FeederState"]

Array = NDArray[np.float64]
Phasors = NDArray[np.complex128]

TOLERANCE_V = 1e-7
MAX_ITERATIONS = 200
ROTATION = np.exp(2j * np.pi / 3)
POSITIVE = np.array([1, ROTATION, ROTATION**2]) / 3
NEGATIVE = np.array([1, ROTATION**2, ROTATION]) / 3


@dataclass(frozen=True)
class FeederState:
    """A solved feeder: what is drawn, and the phasors that this gives.

    Ports are the phases of all sites, then those of all D-STATCOMs.
    """

    drawn_va: Phasors
    """(ports,)"""
    port_v: Phasors
    """(ports,)"""
    port_a: Phasors
    """(ports,)"""
    node_v: Phasors
    """(nodes − 1, 3): from the busbar on"""
    line_a: Phasors
    """(lines, 3)"""

    @property
    def unbalance(self) -> Array:
        """Negative over positive sequence voltage at each node (nodes − 1,)."""
        ratio: Array = np.abs(self.node_v @ NEGATIVE) / np.abs(self.node_v @ POSITIVE)
        return ratio


class FeederPhasors:
    """Solves a feeder for one instant and differentiates the solution."""

    def __init__(self, network: Network) -> None:
        self.network = network
        places = np.append(network.site_node, network.compensator_nodes).astype(np.int64)
        path = paths(network).astype(float)
        phase, neutral = impedances(network)
        self._mine = path[:, places]
        self._source, self._internal = thevenin(network)
        self._node_phase = path[:, 1:].T @ (phase[:, None] * self._mine)
        self._node_neutral = path[:, 1:].T @ (neutral[:, None] * self._mine)
        same = np.eye(3)
        at = self._node_phase[places - 1], self._node_neutral[places - 1]
        self._impedance: Phasors = (
            np.kron(at[0], same)
            + np.kron(at[1], np.ones((3, 3)))
            + np.kron(np.ones((len(places), len(places))), self._internal)
        )
        self._open_v = np.tile(self._source, len(places))
        self.ports = 3 * len(places)

    def drawn_va(self, point: OperatingPoint) -> Phasors:
        """Return what is drawn at each port (ports,)."""
        sites = point.power_w + 1j * point.reactive_var
        return np.concatenate([sites.reshape(-1), point.compensation_va.reshape(-1)])

    def solve(self, drawn_va: Phasors) -> FeederState:
        """Solve the feeder for what is drawn at each port.

        Raises: Failed when no voltages carry that load.
        """
        voltage = self._open_v
        for _ in range(MAX_ITERATIONS):
            current = np.conj(drawn_va / voltage)
            following = self._open_v - self._impedance @ current
            change = float(np.abs(following - voltage).max(initial=0.0))
            voltage = following
            if change < TOLERANCE_V:
                node_v = self._source + self._node_change(current[:, None])[:, :, 0]
                lines = np.einsum("lp,pk->lk", self._mine, current.reshape(-1, 3))
                return FeederState(drawn_va, voltage, current, node_v, lines)
            if not change < 1e6:
                break
        raise Failed(f"power flow of {self.network.segment_id}: no voltages carry this load")

    def port_slopes(self, state: FeederState, direction_va: Phasors) -> Phasors:
        """Return the change of the current at each port for each of m directions of what is drawn.

        Args:
            state: where to differentiate.
            direction_va: (ports, m).

        Returns: (ports, m) A.

        Source: derivative of I = conj(S / (E − Z·I)), as a real system of twice the size.
        """
        direct = np.conj(direction_va / state.port_v[:, None])
        feedback = (np.conj(state.drawn_va / state.port_v**2))[:, None] * np.conj(self._impedance)
        # u − F conj(u) = direct, in real and imaginary parts
        unit = np.eye(self.ports)
        system = np.block([[unit - feedback.real, -feedback.imag], [-feedback.imag, unit + feedback.real]])
        parts = np.linalg.solve(system, np.concatenate([direct.real, direct.imag]))
        slopes: Phasors = parts[: self.ports] + 1j * parts[self.ports :]
        return slopes

    def node_slopes(self, slopes_a: Phasors, nodes: NDArray[np.int64]) -> Phasors:
        """Return the change of the voltages of some nodes, (nodes, 3, m), by that of the ports' currents."""
        return self._node_change(slopes_a, nodes)

    def line_slopes(self, slopes_a: Phasors, lines: NDArray[np.int64]) -> Phasors:
        """Return the change of the currents of some lines, (lines, 3, m)."""
        by_place = slopes_a.reshape(-1, 3, slopes_a.shape[1])
        found: Phasors = np.einsum("lp,pkm->lkm", self._mine[lines], by_place, optimize=True)
        return found

    def terminal_va(self, state: FeederState) -> Phasors:
        """Return the transformer's power at low and at high voltage, (2, 3) VA, towards the feeder."""
        voltage, current = self._terminals(state.node_v[0], self._total(state.port_a[:, None])[:, 0])
        result: Phasors = voltage * np.conj(current)
        return result

    def terminal_slopes(self, state: FeederState, slopes_a: Phasors) -> Phasors:
        """Return the change of both for the directions of which the ports' currents change so, (2, 3, m)."""
        voltage, current = self._terminals(state.node_v[0], self._total(state.port_a[:, None])[:, 0])
        total = self._total(slopes_a)
        more_v, more_a = self._terminals(-self._internal @ total, total)
        change: Phasors = more_v * np.conj(current)[..., None] + voltage[..., None] * np.conj(more_a)
        return change

    def _total(self, current_a: Phasors) -> Phasors:
        """Return the sum over all ports, by phase (3, m)."""
        total: Phasors = current_a.reshape(-1, 3, current_a.shape[1]).sum(axis=0)
        return total

    def _terminals(self, busbar_v: Phasors, drawn_a: Phasors) -> tuple[Phasors, Phasors]:
        """Return voltages and currents of the transformer at low and high voltage, each (2, 3, ...).

        High voltage is referred to low by the turns ratio. Delta-star: no zero sequence gets through, and the
        negative sequence is turned the other way than the positive.
        """
        series, shunt = transformer_impedance(self.network)
        turned = np.exp(1j * np.pi / 6 * self.network.transformer.clock)
        high_v, high_a = np.zeros_like(busbar_v), np.zeros_like(drawn_a)
        for row, back, shift in (
            (POSITIVE, np.conj(POSITIVE) * 3, turned),
            (NEGATIVE, np.conj(NEGATIVE) * 3, np.conj(turned)),
        ):
            low_v, low_a = np.tensordot(row, busbar_v, 1), np.tensordot(row, drawn_a, 1)
            through = low_a + shunt * low_v
            above_v = low_v + series * through
            high_v = high_v + np.multiply.outer(back, above_v * shift)
            high_a = high_a + np.multiply.outer(back, (through + shunt * above_v) * shift)
        return np.stack([busbar_v, high_v]), np.stack([drawn_a, high_a])

    def _node_change(self, current_a: Phasors, nodes: NDArray[np.int64] | slice = slice(None)) -> Phasors:
        """Return what currents at the ports (ports, m) change at nodes' voltages, (nodes, 3, m)."""
        by_place = current_a.reshape(-1, 3, current_a.shape[1])
        own = np.einsum("np,pkm->nkm", self._node_phase[nodes], by_place, optimize=True)
        shared = np.einsum("np,pm->nm", self._node_neutral[nodes], by_place.sum(axis=1), optimize=True)
        behind = np.einsum("jk,km->jm", self._internal, by_place.sum(axis=0))
        change: Phasors = -(own + shared[:, None] + behind[None])
        return change
