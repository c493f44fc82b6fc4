"""A radial feeder with its neutral as a conductor of its own: voltages and currents of all four wires.

The neutral is earthed at the transformer only, so all that the phases do not return to each other flows in
it: the worst case for its voltage. The voltage of a load is then E − Z·I, where Z holds what the paths of two
loads have in common, and a fixed point of currents and voltages solves the flow for all instants at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import Network
from ontology.errors import Failed, InvalidInput, problem

__all__ = ["FourWire", "FourWireResult", "impedances", "paths", "thevenin", "transformer_impedance"]

Array = NDArray[np.float64]
Phasors = NDArray[np.complex128]

ROTATION = np.exp(2j * np.pi / 3)
TOLERANCE_V = 1e-6
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class FourWireResult:
    """A feeder's phasors at T instants; places are its sites and, last, the compensator's node."""

    voltage_v: Phasors
    """(T, places, 3): between phase and neutral, V"""
    neutral_v: Phasors
    """(T, places): of the neutral against the transformer's earth, V"""
    current_a: Phasors
    """(T, places, 3): drawn, A"""
    busbar_v: Phasors
    """(T, 3): between phase and neutral at the busbar, V"""

    @property
    def head_current_a(self) -> Phasors:
        """Currents of the three phases and the neutral at the busbar, outwards (T, 4)."""
        phases = self.current_a.sum(axis=1)
        return np.concatenate([phases, -phases.sum(axis=1, keepdims=True)], axis=1)


class FourWire:
    """Solves a feeder's four wires for many instants at once.

    A line has the positive sequence impedance in each phase and a third of what zero sequence has more than
    that in the neutral: this is what sequence impedances tell of a return through the neutral alone.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._places = np.append(network.site_node, network.compensator_nodes).astype(np.int64)
        self._path = paths(network)
        phase, neutral = impedances(network)
        mine = self._path[:, self._places].astype(float)
        self._phase = mine.T @ (phase[:, None] * mine)
        self._neutral = mine.T @ (neutral[:, None] * mine)
        self._source, self._internal = thevenin(network)

    def solve(
        self,
        power_w: Array,
        reactive_var: Array,
        compensation_w: Array | None = None,
        compensation_var: Array | None = None,
    ) -> FourWireResult:
        """Solve T instants.

        Args:
            power_w: (T, sites, 3) W, consumption positive.
            reactive_var: (T, sites, 3) var, inductive positive.
            compensation_w: (T, D-STATCOMs, 3) W that they draw, if any.
            compensation_var: (T, D-STATCOMs, 3) var.

        Raises: InvalidInput when shapes do not match, Failed when the fixed point is not found (the load is
            more than the feeder can carry).
        """
        expected = (len(power_w), len(self.network.sites), 3)
        if power_w.shape != expected or reactive_var.shape != expected:
            raise InvalidInput(problem("power_w", power_w.shape, f"(T, {expected[1]}, 3)"))
        power = np.zeros((expected[0], len(self._places), 3), dtype=np.complex128)
        sites = expected[1]
        power.real[:, :sites], power.imag[:, :sites] = power_w, reactive_var
        power.real[:, sites:] = 0.0 if compensation_w is None else compensation_w
        power.imag[:, sites:] = 0.0 if compensation_var is None else compensation_var
        current = self._currents(power)
        total = current.sum(axis=1)
        neutral_v = current.sum(axis=2) @ self._neutral
        busbar_v = self._source - total @ self._internal
        phase_v = busbar_v[:, None] - np.einsum("ij,tjp->tip", self._phase, current, optimize=True)
        return FourWireResult(phase_v - neutral_v[..., None], neutral_v, current, busbar_v)

    def nodes(self, result: FourWireResult) -> Phasors:
        """Return the voltages of all wires against the transformer's earth at all low-voltage nodes.

        Returns: (T, nodes − 1, 4) V: three phases and the neutral, from the busbar on.
        """
        mine = self._path[:, self._places].astype(float)
        through = np.einsum("lp,tpk->tlk", mine, result.current_a, optimize=True)
        through = np.concatenate([through, -through.sum(axis=2, keepdims=True)], axis=2)
        phase, neutral = impedances(self.network)
        drop = through * np.stack([phase, phase, phase, neutral], axis=1)
        head = np.concatenate([result.busbar_v, np.zeros((len(result.busbar_v), 1))], axis=1)
        away = np.einsum("ln,tlk->tnk", self._path[:, 1:].astype(float), drop, optimize=True)
        found: Phasors = head[:, None] - away
        return found

    def transfer_impedance(self, nodes: NDArray[np.int64]) -> Phasors:
        """Return by how much a current at a place and phase lowers the voltages between phase and neutral.

        Args:
            nodes: low-voltage nodes of the network.

        Returns: (nodes, 3, places, 3) ohm; places are the sites and, last, the D-STATCOMs.
        """
        there, here = self._path[:, nodes].astype(float), self._path[:, self._places].astype(float)
        phase, neutral = (there.T @ (each[:, None] * here) for each in impedances(self.network))
        own = phase[:, None, :, None] * np.eye(3)[:, None, :]
        found: Phasors = own + neutral[:, None, :, None] + self._internal[:, None, :]
        return found

    def _currents(self, power: Phasors) -> Phasors:
        """Return what is drawn, (T, places, 3) A; only where there is power, which is often one phase."""
        place, phase = np.nonzero((power != 0).any(axis=0))
        drawn = power[:, place, phase]
        both = np.ix_(place, place)
        impedance = (
            self._phase[both] * (phase[:, None] == phase)
            + self._neutral[both]
            + self._internal[np.ix_(phase, phase)]
        )
        current = np.zeros_like(power)
        current[:, place, phase] = self._fixed_point(self._source[phase], impedance, drawn)
        return current

    def _fixed_point(self, source_v: Phasors, impedance: Phasors, power: Phasors) -> Phasors:
        voltage = np.broadcast_to(source_v, power.shape)
        for _ in range(MAX_ITERATIONS):
            current = np.conj(power / voltage)
            following = source_v - current @ impedance
            change = np.abs(following - voltage).max(initial=0.0)
            if change < TOLERANCE_V:
                return current
            if not np.isfinite(change):
                break
            voltage = following
        raise Failed(f"power flow of {self.network.segment_id}: no voltages carry this load")


def paths(network: Network) -> NDArray[np.bool_]:
    """Return which lines lead from the busbar to which node, (lines, nodes); lines lead outwards."""
    path = np.zeros((len(network.line_to), len(network.nodes)), dtype=np.bool_)
    for line, (start, end) in enumerate(zip(network.line_from, network.line_to, strict=True)):
        path[:, end] = path[:, start]
        path[line, end] = True
    return path


def impedances(network: Network) -> tuple[Phasors, Phasors]:
    """Return the impedance in ohm of a phase conductor and of the neutral of each line."""
    positive: Phasors = network.line_resistance + 1j * network.line_reactance
    zero: Phasors = network.line_zero_resistance + 1j * network.line_zero_reactance
    return positive, (zero - positive) / 3


def thevenin(network: Network) -> tuple[Phasors, Phasors]:
    """Return the busbar's open-circuit phase voltages (3) in V and internal impedance (3, 3) in ohm.

    The grid above counts for positive and negative sequence only: the delta winding stops zero sequence. The
    transformer's no-load admittance is half on either side.
    """
    kind = network.transformer
    series, shunt = transformer_impedance(network)
    grid = (network.medium_voltage_v * kind.low_v / kind.high_v) ** 2 / network.short_circuit_va
    angle = np.arctan2(1, network.short_circuit_rx)
    high = 1 + grid * np.exp(1j * angle) * shunt
    behind = grid * np.exp(1j * angle) / high + series
    low = 1 + behind * shunt
    open_v = network.source_pu * network.medium_voltage_v / kind.high_v * kind.low_v / np.sqrt(3) / high / low
    source = open_v * np.exp(-1j * np.pi / 6 * kind.clock) * ROTATION ** np.array([0, 2, 1])
    positive, zero = behind / low, series / (1 + series * shunt)
    internal: Phasors = np.full((3, 3), (zero - positive) / 3) + np.eye(3) * positive
    return source, internal


def transformer_impedance(network: Network) -> tuple[complex, complex]:
    """Return a transformer's series impedance in ohm and half its no-load admittance in S, at low voltage."""
    kind = network.transformer
    base = kind.low_v**2 / kind.rated_va
    copper = kind.load_loss_w / kind.rated_va
    series = base * (copper + 1j * np.sqrt(kind.short_circuit_voltage**2 - copper**2))
    iron = kind.no_load_loss_w / kind.rated_va
    shunt = (iron - 1j * np.sqrt(max(kind.no_load_current**2 - iron**2, 0.0))) / base / 2
    return complex(series), complex(shunt)
