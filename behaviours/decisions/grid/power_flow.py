"""Power flow of low-voltage feeders, phase by phase, for many instants at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    WindingType,
    initialize_array,
)
from power_grid_model.errors import PowerGridError

from behaviours.decisions.grid.network import LINE_VOLTAGE_V, SINGLE_PHASE_MOST_W, THREE_PHASE, Network
from ontology.errors import Failed, InvalidInput, problem

__all__ = ["FlowResult", "PowerFlow", "describe", "flow_result", "over_phases"]

Array = NDArray[np.float64]
Output = dict[ComponentType, dict[str, Array]]
"""What the engine says: of each component and quantity an array of instants, components and phases."""

PHASE_VOLTAGE_V = LINE_VOLTAGE_V / 3**0.5
TOLERANCE = 1e-9
NODE_INSTANTS = 400_000
"""Nodes times instants that are solved at once: their full results take about 100 MB."""
BESIDE_W = 400.0
"""What a household is taken to draw from its own phase while its three-phase equipment runs: its mean."""

_OUTPUT: dict[ComponentType, list[str]] = {
    ComponentType.node: ["u_pu", "u_angle"],
    ComponentType.line: ["loading", "i_from"],
    ComponentType.transformer: ["loading", "p_to", "q_to", "i_to"],
    ComponentType.source: ["p", "q"],
}
_ROTATION = np.exp(2j * np.pi / 3)
_POSITIVE = np.array([1, _ROTATION, _ROTATION**2]) / 3
_NEGATIVE = np.array([1, _ROTATION**2, _ROTATION]) / 3


@dataclass(frozen=True)
class FlowResult:
    """How a feeder is at T instants; nodes and lines in the order of its network.

    Voltages are phase to neutral in p.u. of the rated ones; powers are positive towards the feeder.
    """

    voltage_pu: Array
    """(T, nodes, 3)"""
    voltage_angle: Array
    """(T, nodes, 3), radians"""
    unbalance: Array
    """(T, nodes): negative over positive sequence voltage"""
    line_loading: Array
    """(T, lines): current over rating"""
    transformer_loading: Array
    """(T,): apparent power over rating"""
    busbar_w: Array
    """(T, 3): into the low-voltage busbar"""
    busbar_var: Array
    """(T, 3)"""
    source_w: Array
    """(T,): drawn from medium voltage"""
    losses_w: Array
    """(T,): of cables, transformer and D-STATCOMs"""
    line_current_a: Array
    """(T, lines, 3)"""
    phase_voltage_v: float = PHASE_VOLTAGE_V
    """The low-voltage side's rated voltage between phase and neutral"""

    @property
    def loading(self) -> Array:
        """The highest loading of transformer and lines at each instant (T,)."""
        highest: Array = np.maximum(self.transformer_loading, self.line_loading.max(axis=1, initial=0.0))
        return highest

    @property
    def voltage_min_pu(self) -> Array:
        """The lowest voltage of any low-voltage node and phase at each instant (T,)."""
        lowest: Array = self.voltage_pu[:, 1:].min(axis=(1, 2))
        return lowest

    @property
    def voltage_max_pu(self) -> Array:
        """The highest voltage of any low-voltage node and phase at each instant (T,)."""
        highest: Array = self.voltage_pu[:, 1:].max(axis=(1, 2))
        return highest

    @property
    def unbalance_max(self) -> Array:
        """The highest voltage unbalance of any low-voltage node at each instant (T,)."""
        highest: Array = self.unbalance[:, 1:].max(axis=1)
        return highest

    def phasors_v(self, node: int) -> NDArray[np.complex128]:
        """Return the voltages of a node to neutral, (T, 3), in V."""
        magnitude, angle = self.voltage_pu[:, node], self.voltage_angle[:, node]
        return np.asarray(magnitude * self.phase_voltage_v * np.exp(1j * angle))

    def busbar_current_a(self) -> Array:
        """Return the currents of the three phases and the neutral at the busbar, (T, 4), in A."""
        current = np.conj((self.busbar_w + 1j * self.busbar_var) / self.phasors_v(1))
        magnitude: Array = np.abs(np.column_stack([current, current.sum(axis=1)]))
        return magnitude


class PowerFlow:
    """Solves one or several independent feeders (power-grid-model, iterative current).

    The order of sites is that of the networks, one after the other.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = tuple(networks)
        self._node_at = _offsets(len(each.nodes) for each in networks)
        self._line_at = _offsets(len(each.line_from) for each in networks)
        self._site_at = _offsets(len(each.sites) for each in networks)
        self.sites = self._site_at[-1]
        self.compensators = sum(len(each.compensator_nodes) for each in networks)
        self._model = PowerGridModel(_describe(self.networks, self._node_at))

    def solve(
        self,
        power_w: Array,
        reactive_var: Array,
        compensation_w: Array | None = None,
        compensation_var: Array | None = None,
    ) -> list[FlowResult]:
        """Solve T instants and return one result a feeder.

        Args:
            power_w: (T, sites, 3) W, consumption positive.
            reactive_var: (T, sites, 3) var, inductive positive.
            compensation_w: (T, D-STATCOMs, 3) W that they draw, network after network; none by default.
            compensation_var: (T, D-STATCOMs, 3) var.

        Raises: InvalidInput when shapes do not match, Failed when the flow does not converge (the load
            is more than the feeder can carry).
        """
        instants = len(power_w)
        if power_w.shape != (instants, self.sites, 3) or reactive_var.shape != power_w.shape:
            raise InvalidInput(problem("power_w", power_w.shape, f"(T, {self.sites}, 3)"))
        if instants == 0:
            return [_empty(network) for network in self.networks]
        update = initialize_array(
            DatasetType.update, ComponentType.asym_load, (instants, self.sites + self.compensators)
        )
        update["id"] = np.arange(update.shape[1]) + self._first_load
        update["p_specified"][:, : self.sites] = power_w
        update["q_specified"][:, : self.sites] = reactive_var
        update["p_specified"][:, self.sites :] = 0.0 if compensation_w is None else compensation_w
        update["q_specified"][:, self.sites :] = 0.0 if compensation_var is None else compensation_var
        output = self._calculate(update)
        served = update["p_specified"].sum(axis=2)
        return [self._result(index, output, served) for index in range(len(self.networks))]

    def chunks(self, instants: int) -> Iterator[slice]:
        """Cut many instants into parts of which the full results fit into memory."""
        width = sum(len(each.nodes) for each in self.networks)
        size = max(1, NODE_INSTANTS // width)
        return (slice(first, first + size) for first in range(0, instants, size))

    def solve_in_chunks(self, power_w: Array, reactive_var: Array) -> Iterator[list[FlowResult]]:
        """Solve many instants, so many at a time; the results come in the order of the instants.

        Args and errors are those of `solve`.
        """
        for chosen in self.chunks(len(power_w)):
            yield self.solve(power_w[chosen], reactive_var[chosen])

    @property
    def _first_load(self) -> int:
        return 3 * _KIND

    def _calculate(self, update: NDArray[Any]) -> Output:
        try:
            return self._model.calculate_power_flow(  # type: ignore[no-any-return]
                symmetric=False,
                error_tolerance=TOLERANCE,
                max_iterations=100,
                calculation_method=CalculationMethod.iterative_current,
                update_data={ComponentType.asym_load: update},
                output_component_types=_OUTPUT,
            )
        except PowerGridError as error:
            raise Failed(
                f"power flow of {', '.join(n.segment_id for n in self.networks)}: {error}"
            ) from error

    def _result(self, index: int, output: Output, served: Array) -> FlowResult:
        nodes = slice(self._node_at[index], self._node_at[index + 1])
        lines = slice(self._line_at[index], self._line_at[index + 1])
        sites = slice(self._site_at[index], self._site_at[index + 1])
        branch = output.get(ComponentType.line) or _no_lines(len(served))
        mine = {
            ComponentType.node: {name: each[:, nodes] for name, each in output[ComponentType.node].items()},
            ComponentType.line: {name: each[:, lines] for name, each in branch.items()},
            **{
                kind: {name: each[:, [index]] for name, each in output[kind].items()}
                for kind in (ComponentType.transformer, ComponentType.source)
            },
        }
        return flow_result(self.networks[index], mine, served[:, sites].sum(axis=1))


def flow_result(network: Network, output: Output, demand_w: Array) -> FlowResult:
    """Return a feeder's flow from the engine's output of its components and what its sites drew (T,) in W."""
    voltage, angle = output[ComponentType.node]["u_pu"], output[ComponentType.node]["u_angle"]
    transformer = output[ComponentType.transformer]
    branch = output.get(ComponentType.line) or _no_lines(len(voltage))
    source_w = output[ComponentType.source]["p"][:, 0].sum(axis=1)
    return FlowResult(
        voltage_pu=voltage,
        voltage_angle=angle,
        unbalance=_unbalance(voltage, angle),
        line_loading=branch["loading"],
        transformer_loading=transformer["loading"][:, 0],
        busbar_w=-transformer["p_to"][:, 0],
        busbar_var=-transformer["q_to"][:, 0],
        source_w=source_w,
        losses_w=source_w - demand_w,
        line_current_a=branch["i_from"],
        phase_voltage_v=network.low_voltage_v / 3**0.5,
    )


def over_phases(net_w: Array, site_phase: NDArray[np.int64], three_phase_w: Array | None = None) -> Array:
    """Spread known totals (T, sites) over three phases (T, sites, 3) as they most likely are.

    Of a single-phase site, as much as single-phase equipment may draw is on its own phase. When it draws more
    or feeds in, its three-phase equipment runs, as far as that goes, and beside it a household's mean.

    Args:
        net_w: totals in W.
        site_phase: 0, 1, 2 or 3 for all three, by site.
        three_phase_w: what its three-phase equipment draws at least and at most, (sites, 2); any without it.
    """
    least, most = (-np.inf, np.inf) if three_phase_w is None else three_phase_w.T
    runs = (net_w < 0) | (net_w > SINGLE_PHASE_MOST_W)
    shared = np.where(runs, np.clip(net_w - BESIDE_W, least, most), 0.0)
    shared = np.where(site_phase == THREE_PHASE, net_w, shared)
    spread: Array = (shared / 3)[..., None] + (net_w - shared)[..., None] * own_phase(site_phase)
    return spread


def own_phase(site_phase: NDArray[np.int64]) -> Array:
    """Return (sites, 3) shares of what a site has on its own phase: one, or a third each."""
    shares = np.full((len(site_phase), 3), 1 / 3)
    single = site_phase != THREE_PHASE
    shares[single] = np.eye(3)[site_phase[single]]
    return shares


def _unbalance(voltage: Array, angle: Array) -> Array:
    phasors = voltage * np.exp(1j * angle)
    result: Array = np.abs(phasors @ _NEGATIVE) / np.abs(phasors @ _POSITIVE)
    return result


def _offsets(sizes: Any) -> list[int]:
    return [0, *np.cumsum(list(sizes)).tolist()]


def _no_lines(instants: int) -> dict[str, Array]:
    """Return what the engine, which leaves out what is empty, would say of no lines."""
    return {"loading": np.zeros((instants, 0)), "i_from": np.zeros((instants, 0, 3))}


def _empty(network: Network) -> FlowResult:
    nodes, lines = len(network.nodes), len(network.line_from)
    return FlowResult(
        *(np.zeros((0, nodes, 3)),) * 2,
        np.zeros((0, nodes)),
        np.zeros((0, lines)),
        np.zeros(0),
        *(np.zeros((0, 3)),) * 2,
        *(np.zeros(0),) * 2,
        np.zeros((0, lines, 3)),
    )


_KIND = 1_000_000
"""Identifiers: nodes from 0, lines from 1, transformers and sources from 2, loads from 3 million."""


def describe(network: Network) -> dict[ComponentType, NDArray[Any]]:
    """Return a feeder as the engine wants it; loads have the order of sites, then of D-STATCOMs."""
    return _describe([network], [0, len(network.nodes)])


def _describe(networks: Sequence[Network], node_at: list[int]) -> dict[ComponentType, NDArray[Any]]:
    return {
        ComponentType.node: _nodes(networks),
        ComponentType.line: _lines(networks, node_at),
        ComponentType.transformer: _transformers(networks, node_at),
        ComponentType.source: _sources(networks, node_at),
        ComponentType.asym_load: _loads(networks, node_at),
    }


def _new(component: ComponentType, count: int, first: int) -> NDArray[Any]:
    array: NDArray[Any] = initialize_array(DatasetType.input, component, count)
    array["id"] = np.arange(count) + first
    return array


def _nodes(networks: Sequence[Network]) -> NDArray[Any]:
    array = _new(ComponentType.node, sum(len(each.nodes) for each in networks), 0)
    array["u_rated"] = np.concatenate(
        [[each.medium_voltage_v, *[each.low_voltage_v] * (len(each.nodes) - 1)] for each in networks]
    )
    return array


def _lines(networks: Sequence[Network], node_at: list[int]) -> NDArray[Any]:
    array = _new(ComponentType.line, sum(len(each.line_from) for each in networks), _KIND)
    array["from_node"] = np.concatenate(
        [each.line_from + at for each, at in zip(networks, node_at, strict=False)]
    )
    array["to_node"] = np.concatenate(
        [each.line_to + at for each, at in zip(networks, node_at, strict=False)]
    )
    array["from_status"] = array["to_status"] = 1
    array["r1"] = np.concatenate([each.line_resistance for each in networks])
    array["x1"] = np.concatenate([each.line_reactance for each in networks])
    array["r0"] = np.concatenate([each.line_zero_resistance for each in networks])
    array["x0"] = np.concatenate([each.line_zero_reactance for each in networks])
    for name in ("c1", "tan1", "c0", "tan0"):
        array[name] = 0.0
    array["i_n"] = np.concatenate([each.line_rated_a for each in networks])
    return array


def _transformers(networks: Sequence[Network], node_at: list[int]) -> NDArray[Any]:
    array = _new(ComponentType.transformer, len(networks), 2 * _KIND)
    at = np.array(node_at[:-1])
    array["from_node"], array["to_node"] = at, at + 1
    array["from_status"] = array["to_status"] = 1
    kinds = [each.transformer for each in networks]
    array["u1"] = [kind.high_v for kind in kinds]
    array["u2"] = [kind.low_v for kind in kinds]
    array["sn"] = [kind.rated_va for kind in kinds]
    array["uk"] = [kind.short_circuit_voltage for kind in kinds]
    array["pk"] = [kind.load_loss_w for kind in kinds]
    array["p0"] = [kind.no_load_loss_w for kind in kinds]
    array["i0"] = [kind.no_load_current for kind in kinds]
    array["winding_from"], array["winding_to"] = WindingType.delta, WindingType.wye_n
    array["clock"] = [kind.clock for kind in kinds]
    array["tap_side"] = array["tap_pos"] = array["tap_min"] = array["tap_max"] = array["tap_nom"] = 0
    array["tap_size"] = 0.0
    return array


def _sources(networks: Sequence[Network], node_at: list[int]) -> NDArray[Any]:
    array = _new(ComponentType.source, len(networks), 2 * _KIND + len(networks))
    array["node"] = node_at[:-1]
    array["status"] = 1
    array["u_ref"] = [each.source_pu for each in networks]
    array["sk"] = [each.short_circuit_va for each in networks]
    array["rx_ratio"] = [each.short_circuit_rx for each in networks]
    return array


def _loads(networks: Sequence[Network], node_at: list[int]) -> NDArray[Any]:
    count = sum(len(each.sites) + len(each.compensator_nodes) for each in networks)
    array = _new(ComponentType.asym_load, count, 3 * _KIND)
    placed = list(zip(networks, node_at[:-1], strict=True))
    array["node"] = np.concatenate(
        [each.site_node + at for each, at in placed]
        + [np.array(each.compensator_nodes, dtype=np.int64) + at for each, at in placed]
    )
    array["status"] = 1
    array["type"] = LoadGenType.const_power
    array["p_specified"] = array["q_specified"] = 0.0
    return array
