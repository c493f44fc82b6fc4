"""The linear model of a feeder is the derivative of what the power flow engine says."""

from dataclasses import replace

import numpy as np
import pytest

from behaviours.decisions.active_network import OperatingPoint
from behaviours.decisions.active_network.phasors import FeederPhasors
from behaviours.decisions.grid import PowerFlow
from environments.networks import load_cases
from ontology.errors import Failed


def loaded(name, factor=1.0):
    case = load_cases(name)[0]
    units = np.zeros((len(case.network.compensator_nodes), 3), dtype=np.complex128)
    return case.network, OperatingPoint(case.power_w * factor, case.reactive_var * abs(factor), units)


@pytest.mark.parametrize("name", ["ieee-european-lv", "cigre-lv", "street-20"])
@pytest.mark.parametrize("factor", [1.0, -1.0], ids=["drawing", "giving"])
def test_a_solved_feeder_is_that_of_the_power_flow_engine(name, factor):
    network, point = loaded(name, factor)
    model = FeederPhasors(network)
    state = model.solve(model.drawn_va(point))
    (flow,) = PowerFlow([network]).solve(point.power_w[None], point.reactive_var[None])
    volts = np.abs(state.node_v) / (network.low_voltage_v / 3**0.5)
    assert volts == pytest.approx(flow.voltage_pu[0, 1:], abs=1e-7)
    assert np.abs(state.line_a) == pytest.approx(flow.line_current_a[0], abs=1e-4)
    assert state.unbalance == pytest.approx(flow.unbalance[0, 1:], abs=1e-8)
    loading = np.abs(model.terminal_va(state)).sum(axis=1).max() / network.transformer.rated_va
    assert loading == pytest.approx(flow.transformer_loading[0], abs=1e-7)


@pytest.mark.parametrize("clock", [5, 11, 1])
def test_the_transformer_is_known_whatever_its_vector_group(clock):
    network, point = loaded("street-20", 3.0)
    network = replace(network, transformer=replace(network.transformer, clock=clock))
    model = FeederPhasors(network)
    state = model.solve(model.drawn_va(point))
    (flow,) = PowerFlow([network]).solve(point.power_w[None], point.reactive_var[None])
    loading = np.abs(model.terminal_va(state)).sum(axis=1).max() / network.transformer.rated_va
    assert loading == pytest.approx(flow.transformer_loading[0], abs=1e-7)


def test_sensitivities_are_what_a_small_change_does():
    network, point = loaded("street-20", 2.0)
    model = FeederPhasors(network)
    state = model.solve(model.drawn_va(point))
    rng = np.random.default_rng(1)
    direction = rng.normal(size=(model.ports, 3)) + 1j * rng.normal(size=(model.ports, 3))
    step = np.array([1.0, -2.0, 0.5])
    after = model.solve(state.drawn_va + direction @ step)
    slopes = model.port_slopes(state, direction)
    nodes, lines = np.arange(len(network.nodes) - 1), np.arange(len(network.line_to))
    assert after.node_v - state.node_v == pytest.approx(model.node_slopes(slopes, nodes) @ step, abs=1e-6)
    assert after.line_a - state.line_a == pytest.approx(model.line_slopes(slopes, lines) @ step, abs=1e-5)
    change = model.terminal_va(after) - model.terminal_va(state)
    assert change == pytest.approx(model.terminal_slopes(state, slopes) @ step, abs=1e-3)


def test_a_load_that_no_voltages_carry_has_no_state():
    network, point = loaded("street-20", 300.0)
    model = FeederPhasors(network)
    with pytest.raises(Failed, match="no voltages"):
        model.solve(model.drawn_va(point))
