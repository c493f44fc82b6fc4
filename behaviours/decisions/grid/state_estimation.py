"""State estimation of a feeder: what is measured at some nodes and expected of the rest, brought together.

Weighted least squares, phase by phase and for many instants at once (power-grid-model, iterative linear).
What a site is expected to draw is a pseudo-measurement with a wide deviation; nodes without sites draw
nothing for certain. Readings that contradict all the others are found by the chi-square test of what is left
over, named by their largest normalised residual, and done without (Abur, Gómez Expósito: Power System State
Estimation, chapter 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

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
from power_grid_model.errors import PowerGridError
from scipy.special import gammaincinv

from behaviours.decisions.grid.four_wire import ROTATION, FourWire
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult, Output, PowerFlow, describe, flow_result
from ontology.errors import Failed, InvalidInput, problem

__all__ = ["Discarded", "Estimate", "ExpectedLoads", "NodeReadings", "StateEstimation"]

Array = NDArray[np.float64]
Quantity = Literal["voltage", "power"]

BUSBAR = 1
"""The node of the transformer's meter: its power is what all sites and losses take."""
SOURCE_DEVIATION = 0.02
"""Of the medium voltage, which is not measured, as a share of what it is set to."""
LEAST_W = 20.0
"""No deviation of a power is taken to be smaller."""
LEAST_PU = 2e-4
"""No deviation of a voltage is taken to be smaller."""
UNKNOWN_W, UNKNOWN_PU = 1e7, 10.0
"""The deviation of what was not measured at an instant: it counts for nothing."""
TOLERANCE = 1e-5
"""p.u.: 2 mV"""
MAX_ITERATIONS = 200
CONFIDENCE = 0.999
"""With which readings that fit are not suspected (chi-square test)."""
SUSPICIOUS = 4.0
"""Normalised residual from which a reading is discarded."""
PLAUSIBLE_PU = (0.5, 1.5)
"""Voltages outside are no voltages of a network that carries load."""
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
class ExpectedLoads:
    """What sites are expected to draw at T instants, and how wrong that usually is (standard deviations)."""

    power_w: Array
    """(T, sites, 3)"""
    reactive_var: Array
    """(T, sites, 3)"""
    deviation_w: Array
    """(T, sites, 3)"""
    deviation_var: Array
    """(T, sites, 3)"""
    common: float = 0.0
    """Share by which all may be wrong together, as on a cold evening: without it, a transformer's meter
    that tells of a rush that nobody expected would be taken for broken."""
    compensation_va: NDArray[np.complex128] | None = None
    """What D-STATCOMs say that they draw, (T, units, 3); nothing by default."""


@dataclass(frozen=True)
class NodeReadings:
    """What a meter says at T instants, phase by phase (T, 3); not a number where nothing came.

    At the busbar powers are what flows into the feeder, elsewhere what the sites of the node draw.
    """

    node: int
    voltage_v: Array
    """Between phase and neutral"""
    power_w: Array
    reactive_var: Array
    voltage_error: float = 0.003
    """Standard deviation as a share of the value"""
    power_error: float = 0.01


@dataclass(frozen=True)
class Discarded:
    """A reading that contradicts the others too much to be one."""

    instant: int
    node: int
    quantity: Quantity
    residual: float
    """Difference from the others over its standard deviation; infinite where the value is impossible"""


@dataclass(frozen=True)
class Estimate:
    """The most likely state of a feeder at T instants, and what was done without to find it."""

    flow: FlowResult
    discarded: tuple[Discarded, ...]
    misfit: Array
    """(T,): weighted squares of what is left over, over what is to be expected of them; about 1 is usual"""


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
        meters, discarded = _plausible(meters, self._rated_v)
        innovations = self._innovations(expected, meters)
        for _ in range(2 * len(meters)):
            worst = innovations.suspects()
            if not worst:
                break
            discarded += worst
            meters = [_without(each, worst) for each in meters]
            innovations = self._innovations(expected, meters)
        flow = self._solved(_with_meters(self.network, expected, meters), meters)
        discarded.sort(key=lambda each: (each.instant, each.node, each.quantity))
        return Estimate(flow, tuple(discarded), innovations.misfit)

    def _check(self, expected: ExpectedLoads, readings: Sequence[NodeReadings]) -> None:
        shape = (len(expected.power_w), len(self.network.sites), 3)
        fields = ("power_w", "reactive_var", "deviation_w", "deviation_var")
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
        try:
            output: Output = self._models[nodes].calculate_state_estimation(
                symmetric=False,
                error_tolerance=TOLERANCE,
                max_iterations=MAX_ITERATIONS,
                calculation_method=CalculationMethod.iterative_linear,
                update_data=update,
                output_component_types=_OUTPUT,
            )
        except PowerGridError as error:
            raise Failed(f"state estimation of {self.network.segment_id}: {error}") from error
        demand_w = output[ComponentType.asym_load]["p"].sum(axis=(1, 2))
        return flow_result(self.network, output, demand_w)

    def _voltages(self, instants: int, meters: Sequence[NodeReadings]) -> NDArray[Any]:
        update = initialize_array(
            DatasetType.update, ComponentType.asym_voltage_sensor, (instants, 1 + len(meters))
        )
        update["id"] = np.arange(1 + len(meters)) + SENSOR
        source_v = self.network.source_pu * self.network.medium_voltage_v / 3**0.5
        update["u_measured"][:, 0] = source_v
        update["u_sigma"][:, 0] = SOURCE_DEVIATION * source_v
        for column, meter in enumerate(meters, 1):
            known = np.isfinite(meter.voltage_v).all(axis=1)
            deviation_v = self._voltage_deviation(meter)
            update["u_measured"][:, column] = np.where(known[:, None], meter.voltage_v, self._rated_v)
            update["u_sigma"][:, column] = np.where(known, deviation_v, UNKNOWN_PU * self._rated_v)
        return update

    def _powers(self, prior: ExpectedLoads, meters: Sequence[NodeReadings]) -> NDArray[Any]:
        instants, sites = prior.power_w.shape[:2]
        units = len(self.network.compensator_nodes)
        count = sites + units + (1 if _busbar(meters) else 0)
        update = initialize_array(DatasetType.update, ComponentType.asym_power_sensor, (instants, count))
        update["id"] = np.arange(count) + 2 * SENSOR
        update["p_measured"][:, :sites], update["q_measured"][:, :sites] = prior.power_w, prior.reactive_var
        update["p_sigma"][:, :sites], update["q_sigma"][:, :sites] = prior.deviation_w, prior.deviation_var
        drawn_va = 0j if prior.compensation_va is None else prior.compensation_va
        update["p_measured"][:, sites : sites + units] = np.real(drawn_va)
        update["q_measured"][:, sites : sites + units] = np.imag(drawn_va)
        update["p_sigma"][:, sites : sites + units] = update["q_sigma"][:, sites : sites + units] = LEAST_W
        meter = _busbar(meters)
        if meter is not None:
            known = _has_power(meter)[:, None]
            deviation_w, deviation_var = _power_deviations(meter)
            update["p_measured"][:, -1] = -np.where(known, meter.power_w, 0.0)
            update["q_measured"][:, -1] = -np.where(known, meter.reactive_var, 0.0)
            update["p_sigma"][:, -1] = np.where(known, deviation_w, UNKNOWN_W)
            update["q_sigma"][:, -1] = np.where(known, deviation_var, UNKNOWN_W)
        return update

    def _voltage_deviation(self, meter: NodeReadings) -> float:
        return max(meter.voltage_error, LEAST_PU) * self._rated_v

    # -- bad data ------------------------------------------------------------------------------------

    def _innovations(self, expected: ExpectedLoads, meters: Sequence[NodeReadings]) -> "_Innovations":
        """Return by how much readings differ from what loads and source let expect, and how much they may."""
        prior = _with_meters(self.network, expected, meters)
        drawn_va = prior.compensation_va
        if drawn_va is None:
            (flow,) = self._flow.solve(prior.power_w, prior.reactive_var)
        else:
            (flow,) = self._flow.solve(prior.power_w, prior.reactive_var, drawn_va.real, drawn_va.imag)
        rows = self._rows(flow, meters)
        through, instants = self._sensitivity(rows), len(prior.power_w)
        spread = np.concatenate([prior.deviation_w, prior.deviation_var], axis=1).reshape(instants, -1)
        spread = np.concatenate([spread, np.full((instants, 1), SOURCE_DEVIATION)], axis=1)
        covariance = np.einsum("rx,tx,sx->trs", through, spread**2, through, optimize=True)
        drawn = np.concatenate([expected.power_w, expected.reactive_var], axis=1).reshape(instants, -1)
        together = expected.common * drawn @ through[:, :-1].T
        covariance += together[:, :, None] * together[:, None, :]
        return _Innovations(rows, covariance)

    def _rows(self, flow: FlowResult, meters: Sequence[NodeReadings]) -> list["_Row"]:
        """Return a row for each channel and phase: all voltages, and powers at the busbar."""
        rows = []
        for meter in meters:
            differs_v = meter.voltage_v - flow.voltage_pu[:, meter.node] * self._rated_v
            variance = np.full_like(differs_v, self._voltage_deviation(meter) ** 2)
            rows += [_Row(meter.node, "voltage", p, False, differs_v[:, p], variance[:, p]) for p in range(3)]
            if meter.node == BUSBAR:
                pairs = ((meter.power_w, flow.busbar_w), (meter.reactive_var, flow.busbar_var))
                for number, (measured, found) in enumerate(pairs):
                    deviation = _power_deviations(meter)[number]
                    rows += [
                        _Row(BUSBAR, "power", p, bool(number), (measured - found)[:, p], deviation[:, p] ** 2)
                        for p in range(3)
                    ]
        return rows

    def _sensitivity(self, rows: Sequence["_Row"]) -> Array:
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


@dataclass(frozen=True)
class _Row:
    """A channel and phase of a meter: how it differs from what is expected, and its variance, each (T,)."""

    node: int
    quantity: Quantity
    phase: int
    is_reactive: bool
    difference: Array
    variance: Array


class _Innovations:
    """What readings say beyond what was expected, ν, and its covariance S = R + H P Hᵀ.

    The least sum of weighted squares of all residuals is νᵀ S⁻¹ ν; the normalised residual of a reading is
    (S⁻¹ν)ᵢ / √(S⁻¹)ᵢᵢ.
    """

    def __init__(self, rows: Sequence[_Row], expected: Array) -> None:
        """Take the rows of R and ν, and H P Hᵀ (T, rows, rows)."""
        self._rows = rows
        instants = len(expected)
        difference = np.array([row.difference for row in rows]).reshape(len(rows), instants).T
        known = np.isfinite(difference)
        variance = np.array([row.variance for row in rows]).reshape(len(rows), instants).T
        both = known[:, :, None] & known[:, None, :]
        total = np.where(both, expected, 0.0) + np.eye(len(rows)) * np.where(known, variance, 1.0)[:, None, :]
        inverse = np.linalg.inv(total)
        difference = np.where(known, difference, 0.0)
        weighted = np.einsum("trs,ts->tr", inverse, difference)
        own = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2))
        self._normalised = np.where(known, np.abs(weighted) / own, 0.0)
        self._squares = np.einsum("tr,tr->t", weighted, difference)
        self._freedom = known.sum(axis=1)

    @property
    def misfit(self) -> Array:
        """The sum of squares over its degrees of freedom (T,)."""
        found: Array = self._squares / np.maximum(self._freedom, 1)
        return found

    def suspects(self) -> list[Discarded]:
        """Return the worst reading of each instant at which readings do not fit."""
        if not self._rows:
            return []
        limit = 2 * gammaincinv(np.maximum(self._freedom, 1) / 2, CONFIDENCE)  # quantile of chi-square
        worst = self._normalised.argmax(axis=1)
        largest = self._normalised.max(axis=1)
        wrong = (self._squares > limit) & (largest > SUSPICIOUS)
        return [
            Discarded(int(instant), self._rows[row].node, self._rows[row].quantity, float(largest[instant]))
            for instant in np.flatnonzero(wrong)
            for row in [int(worst[instant])]
        ]


def _busbar(meters: Sequence[NodeReadings]) -> NodeReadings | None:
    return next((each for each in meters if each.node == BUSBAR), None)


def _has_power(meter: NodeReadings) -> NDArray[np.bool_]:
    """Return at which instants (T,) a meter tells powers."""
    known: NDArray[np.bool_] = (np.isfinite(meter.power_w) & np.isfinite(meter.reactive_var)).all(axis=1)
    return known


def _power_deviations(meter: NodeReadings) -> tuple[Array, Array]:
    """Return the deviations of active and reactive power, (T, 3)."""
    found = (
        np.maximum(LEAST_W, meter.power_error * np.abs(each)) for each in (meter.power_w, meter.reactive_var)
    )
    active, reactive = found
    return active, reactive


def _with_meters(network: Network, expected: ExpectedLoads, meters: Sequence[NodeReadings]) -> ExpectedLoads:
    """Return expectations in which the sites of metered nodes draw together what was measured there."""
    power, reactive = expected.power_w.copy(), expected.reactive_var.copy()
    deviation_w, deviation_var = expected.deviation_w.copy(), expected.deviation_var.copy()
    for meter in meters:
        behind = np.flatnonzero(network.site_node == meter.node)
        known = np.flatnonzero(_has_power(meter))
        if meter.node == BUSBAR or not len(behind) or not len(known):
            continue
        at = np.ix_(known, behind)
        errors = _power_deviations(meter)
        for values, spreads, measured, error in (
            (power, deviation_w, meter.power_w, errors[0]),
            (reactive, deviation_var, meter.reactive_var, errors[1]),
        ):
            share = spreads[at] ** 2 / np.sum(spreads[at] ** 2, axis=1, keepdims=True)
            values[at] += share * (measured[known] - values[at].sum(axis=1))[:, None]
            spreads[at] = np.broadcast_to(error[known][:, None] / len(behind) ** 0.5, spreads[at].shape)
    return replace(
        expected,
        power_w=power,
        reactive_var=reactive,
        deviation_w=np.maximum(deviation_w, LEAST_W),
        deviation_var=np.maximum(deviation_var, LEAST_W),
    )


def _plausible(meters: Sequence[NodeReadings], rated_v: float) -> tuple[list[NodeReadings], list[Discarded]]:
    """Return readings without voltages that cannot be, and those."""
    low, high = (limit * rated_v for limit in PLAUSIBLE_PU)
    impossible = [
        Discarded(int(instant), meter.node, "voltage", float("inf"))
        for meter in meters
        for instant in np.flatnonzero(((meter.voltage_v < low) | (meter.voltage_v > high)).any(axis=1))
    ]
    return [_without(each, impossible) for each in meters], impossible


def _without(meter: NodeReadings, discarded: Sequence[Discarded]) -> NodeReadings:
    """Return a meter's readings without those that are discarded."""
    gone: dict[Quantity, list[int]] = {"voltage": [], "power": []}
    for each in discarded:
        if each.node == meter.node:
            gone[each.quantity].append(each.instant)
    voltage, power, reactive = meter.voltage_v.copy(), meter.power_w.copy(), meter.reactive_var.copy()
    voltage[gone["voltage"]] = power[gone["power"]] = reactive[gone["power"]] = np.nan
    return replace(meter, voltage_v=voltage, power_w=power, reactive_var=reactive)


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
