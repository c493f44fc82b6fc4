"""State estimation of a feeder: what is measured at some nodes and expected of the rest, brought together.

Weighted least squares, phase by phase and for many instants at once (power-grid-model, iterative linear).
What a site is expected to draw is a pseudo-measurement with a wide deviation; nodes without sites draw
nothing for certain. Readings that contradict the others (`bad_data`) are named and done without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    MeasuredTerminalType,
    PowerGridModel,
    initialize_array,
)

from behaviours.decisions.grid.bad_data import Discarded, Innovations, Row, implausible, rows_of, without
from behaviours.decisions.grid.four_wire import ROTATION, FourWire
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.node_readings import BUSBAR, LEAST_W, NodeReadings
from behaviours.decisions.grid.power_flow import FlowResult, Output, PowerFlow, describe, flow_result
from behaviours.decisions.grid.pseudo_measurements import REACTIVE_SURPRISE, ExpectedLoads
from ontology.errors import Failed, InvalidInput, problem

__all__ = ["Estimate", "StateEstimation"]

Array = NDArray[np.float64]

SOURCE_DEVIATION = 0.02
"""Of the medium voltage, which is not measured, as a share of what it is set to."""
UNKNOWN_W, UNKNOWN_PU = 1e7, 10.0
"""The deviation of what was not measured at an instant: it counts for nothing."""
TOLERANCES = (1e-5, 1e-4, 1e-3)
"""In p.u., 2 mV first; up to 230 mV, still within a meter's error, for instants that do not settle else."""
MAX_ITERATIONS = 200
SENSOR = 10_000_000
"""Identifiers of sensors: of voltages from here, of powers from twice this on."""

_OUTPUT: dict[ComponentType, list[str]] = {
    ComponentType.node: ["u_pu", "u_angle"],
    ComponentType.line: ["loading", "i_from"],
    ComponentType.transformer: ["loading", "p_to", "q_to", "i_to"],
    ComponentType.source: ["p", "q"],
    ComponentType.asym_load: ["p"],
}


@dataclass(frozen=True)
class Estimate:
    """The most likely state of a feeder at T instants, and what was done without to find it."""

    flow: FlowResult
    discarded: tuple[Discarded, ...]
    misfit: Array
    """(T,): how far off expectations were, as squares over what is usual: about 1, more in a rush"""


class StateEstimation:
    """Estimates the state of a feeder; models are kept by which nodes are metered."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._models: dict[tuple[int, ...], PowerGridModel] = {}
        self._flow = PowerFlow([network])
        self._wires = FourWire(network)
        self._rated_v = network.low_voltage_v / 3**0.5

    def estimate(self, expected: ExpectedLoads, readings: Sequence[NodeReadings]) -> Estimate:
        """Return the state that fits measurements and expectations best.

        Raises: InvalidInput when shapes do not match or a node is metered twice or medium voltage, Failed
            when no state is found.
        """
        self._check(expected, readings)
        meters = sorted(readings, key=lambda each: each.node)
        discarded = implausible(meters, self._rated_v, self.network.transformer.rated_va)
        meters = without(meters, discarded)
        for _ in range(2 * len(meters)):
            worst = self._innovations(expected, meters, surprised=True).suspects()
            if not worst:
                break
            discarded += worst
            meters = without(meters, worst)
        misfit = self._innovations(expected, meters, surprised=False).misfit
        prior = expected.with_meters(self.network, meters).widened(misfit)
        discarded.sort(key=lambda each: (each.instant, each.node, each.quantity))
        return Estimate(self._solved(prior, meters), tuple(discarded), misfit)

    def _check(self, expected: ExpectedLoads, readings: Sequence[NodeReadings]) -> None:
        shape = (len(expected.power_w), len(self.network.sites), 3)
        fields = ("power_w", "reactive_var", "deviation_w", "deviation_var", "surprise_w")
        problems = [
            problem(name, found, f"(T, {shape[1]}, 3)")
            for name in fields
            if (found := getattr(expected, name).shape) != shape
        ]
        nodes = [each.node for each in readings]
        known = range(BUSBAR, len(self.network.nodes))
        problems += [
            problem("node", node, f"{known.start} to {known.stop - 1}, once")
            for node in nodes
            if node not in known or nodes.count(node) > 1
        ]
        problems += [
            problem(f"voltage_v of node {each.node}", each.voltage_v.shape, f"({shape[0]}, 3)")
            for each in readings
            if each.voltage_v.shape != (shape[0], 3)
        ]
        if problems:
            raise InvalidInput(problems)

    # -- the engine --------------------------------------------------------------------------------

    def _solved(self, prior: ExpectedLoads, meters: Sequence[NodeReadings]) -> FlowResult:
        nodes = tuple(each.node for each in meters)
        if nodes not in self._models:
            self._models[nodes] = PowerGridModel(_with_sensors(self.network, nodes))
        update = {
            ComponentType.asym_voltage_sensor: self._voltages(len(prior.power_w), meters),
            ComponentType.asym_power_sensor: self._powers(prior, meters),
        }
        output = self._calculated(self._models[nodes], update)
        demand_w = output[ComponentType.asym_load]["p"].sum(axis=(1, 2))
        return flow_result(self.network, output, demand_w)

    def _calculated(self, model: PowerGridModel, update: dict[ComponentType, NDArray[Any]]) -> Output:
        """Return the engine's output; instants that do not settle are tried again with less precision."""
        output: Output = {}
        left = np.arange(len(update[ComponentType.asym_power_sensor]))
        for tolerance in TOLERANCES:
            some = {kind: values[left] for kind, values in update.items()}
            found: Output = model.calculate_state_estimation(
                symmetric=False,
                error_tolerance=tolerance,
                max_iterations=MAX_ITERATIONS,
                calculation_method=CalculationMethod.iterative_linear,
                update_data=some,
                output_component_types=_OUTPUT,
                continue_on_batch_error=True,
            )
            for kind, quantities in found.items():
                for name, values in quantities.items():
                    output.setdefault(kind, {}).setdefault(name, values)[left] = values
            error = model.batch_error
            if error is None:
                return output
            left = left[error.failed_scenarios]
        raise Failed(
            f"state estimation of {self.network.segment_id}: {len(left)} instants, {error.error_messages[0]}"
        )

    def _voltages(self, instants: int, meters: Sequence[NodeReadings]) -> NDArray[Any]:
        update: NDArray[Any] = initialize_array(
            DatasetType.update, ComponentType.asym_voltage_sensor, (instants, 1 + len(meters))
        )
        update["id"] = np.arange(1 + len(meters)) + SENSOR
        source_v = self.network.source_pu * self.network.medium_voltage_v / 3**0.5
        update["u_measured"][:, 0] = source_v
        update["u_sigma"][:, 0] = SOURCE_DEVIATION * source_v
        for column, meter in enumerate(meters, 1):
            known = meter.has_voltage
            deviation_v = meter.voltage_deviation_v(self._rated_v)
            update["u_measured"][:, column] = np.where(known[:, None], meter.voltage_v, self._rated_v)
            update["u_sigma"][:, column] = np.where(known, deviation_v, UNKNOWN_PU * self._rated_v)
        return update

    def _powers(self, prior: ExpectedLoads, meters: Sequence[NodeReadings]) -> NDArray[Any]:
        instants, sites = prior.power_w.shape[:2]
        units = len(self.network.compensator_nodes)
        count = sites + units + (1 if _busbar(meters) else 0)
        update: NDArray[Any] = initialize_array(
            DatasetType.update, ComponentType.asym_power_sensor, (instants, count)
        )
        update["id"] = np.arange(count) + 2 * SENSOR
        update["p_measured"][:, :sites], update["q_measured"][:, :sites] = prior.power_w, prior.reactive_var
        update["p_sigma"][:, :sites], update["q_sigma"][:, :sites] = prior.deviation_w, prior.deviation_var
        drawn_va = 0j if prior.compensation_va is None else prior.compensation_va
        update["p_measured"][:, sites : sites + units] = np.real(drawn_va)
        update["q_measured"][:, sites : sites + units] = np.imag(drawn_va)
        update["p_sigma"][:, sites : sites + units] = update["q_sigma"][:, sites : sites + units] = LEAST_W
        meter = _busbar(meters)
        if meter is not None:
            known = meter.has_power[:, None]
            deviation_w, deviation_var = meter.power_deviations()
            update["p_measured"][:, -1] = -np.where(known, meter.power_w, 0.0)
            update["q_measured"][:, -1] = -np.where(known, meter.reactive_var, 0.0)
            update["p_sigma"][:, -1] = np.where(known, deviation_w, UNKNOWN_W)
            update["q_sigma"][:, -1] = np.where(known, deviation_var, UNKNOWN_W)
        return update

    # -- bad data ------------------------------------------------------------------------------------

    def _innovations(
        self, expected: ExpectedLoads, meters: Sequence[NodeReadings], *, surprised: bool
    ) -> Innovations:
        """Return by how much readings differ from what loads and source let expect, and how much they may.

        With surprises loads may do whatever is possible, without only what is usual.
        """
        prior = expected.with_meters(self.network, meters)
        drawn_va = prior.compensation_va
        if drawn_va is None:
            (flow,) = self._flow.solve(prior.power_w, prior.reactive_var)
        else:
            (flow,) = self._flow.solve(prior.power_w, prior.reactive_var, drawn_va.real, drawn_va.imag)
        rows = rows_of(meters, flow)
        through, instants = self._sensitivity(rows), len(prior.power_w)
        surprise_w = prior.surprise_w * surprised
        active = np.hypot(prior.deviation_w, surprise_w)
        reactive = np.hypot(prior.deviation_var, REACTIVE_SURPRISE * surprise_w)
        spread = np.concatenate([active, reactive], axis=1).reshape(instants, -1)
        spread = np.concatenate([spread, np.full((instants, 1), SOURCE_DEVIATION)], axis=1)
        covariance = np.einsum("rx,tx,sx->trs", through, spread**2, through, optimize=True)
        return Innovations(rows, covariance)

    def _sensitivity(self, rows: Sequence[Row]) -> Array:
        """Return how readings follow active, then reactive powers of sites, and the source; at no load.

        Returns: (rows, 6 × sites + 1), in V or W per W, var and p.u.
        """
        sites = len(self.network.sites)
        nodes = np.unique(np.array([row.node for row in rows], dtype=np.int64))
        drop = self._wires.transfer_impedance(nodes)[:, :, :sites]
        turn = ROTATION ** np.array([0, 2, 1])
        per_va = -drop * (turn[None, None, None, :] / turn[None, :, None, None]) / self._rated_v
        through = np.zeros((len(rows), 2, sites, 3))
        source = np.zeros((len(rows), 1))
        for i, row in enumerate(rows):
            if row.quantity == "voltage":
                at = per_va[np.searchsorted(nodes, row.node), row.phase]
                through[i, 0], through[i, 1] = at.real, at.imag
                source[i] = self._rated_v
            else:
                through[i, int(row.is_reactive), :, row.phase] = 1.0
        return np.concatenate([through.reshape(len(rows), 6 * sites), source], axis=1)


def _with_sensors(network: Network, nodes: tuple[int, ...]) -> dict[ComponentType, NDArray[Any]]:
    """Return a feeder with sensors at medium voltage, at metered nodes, at loads and at the transformer."""
    model = describe(network)
    loads = model[ComponentType.asym_load]["id"]
    voltage = initialize_array(DatasetType.input, ComponentType.asym_voltage_sensor, 1 + len(nodes))
    voltage["id"] = np.arange(len(voltage)) + SENSOR
    voltage["measured_object"] = [0, *nodes]
    voltage["u_measured"], voltage["u_sigma"] = network.low_voltage_v / 3**0.5, 1.0
    is_metered = BUSBAR in nodes
    power = initialize_array(
        DatasetType.input, ComponentType.asym_power_sensor, len(loads) + (1 if is_metered else 0)
    )
    power["id"] = np.arange(len(power)) + 2 * SENSOR
    power["measured_object"][: len(loads)] = loads
    power["measured_terminal_type"] = MeasuredTerminalType.load
    if is_metered:
        power["measured_object"][-1] = model[ComponentType.transformer]["id"][0]
        power["measured_terminal_type"][-1] = MeasuredTerminalType.branch_to
    power["p_measured"] = power["q_measured"] = 0.0
    power["p_sigma"] = power["q_sigma"] = 1.0
    return {
        **model,
        ComponentType.asym_voltage_sensor: voltage,
        ComponentType.asym_power_sensor: power,
    }


def _busbar(meters: Sequence[NodeReadings]) -> NodeReadings | None:
    return next((each for each in meters if each.node == BUSBAR), None)
