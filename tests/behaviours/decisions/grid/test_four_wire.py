"""The four-wire solver against the three-phase engine and against what must hold for any flow."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviours.decisions.grid import FourWire, Network, PowerFlow, radial_feeder
from behaviours.decisions.grid.power_flow import own_phase
from ontology.errors import Failed, InvalidInput


def street(houses: int = 23) -> Network:
    return radial_feeder("s", [f"h{number}" for number in range(houses)])


def loads(network: Network, seed: int, instants: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    net_w = draw.normal(800, 3_000, (instants, len(network.sites)))
    power_w = net_w[..., None] * own_phase(network.site_phase)
    return power_w, 0.2 * np.maximum(power_w, 0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), houses=st.integers(1, 40))
def test_voltages_are_those_of_the_three_phase_engine(seed: int, houses: int) -> None:
    network = street(houses)
    power_w, reactive_var = loads(network, seed, 2)
    (flow,) = PowerFlow([network]).solve(power_w, reactive_var)
    phasors = flow.voltage_pu * np.exp(1j * flow.voltage_angle) * network.low_voltage_v / 3**0.5
    result = FourWire(network).solve(power_w, reactive_var)
    assert np.abs(result.voltage_v[:, :-1] - phasors[:, network.site_node]).max() < 1e-3
    assert np.abs(result.head_current_a) == pytest.approx(flow.busbar_current_a(), abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_loads_draw_their_power_and_the_neutral_returns_what_phases_do_not(seed: int) -> None:
    network = street()
    power_w, reactive_var = loads(network, seed)
    result = FourWire(network).solve(power_w, reactive_var)
    drawn = result.voltage_v[:, :-1] * np.conj(result.current_a[:, :-1])
    assert np.abs(drawn - (power_w + 1j * reactive_var)).max() < 1e-3
    assert np.abs(result.head_current_a.sum(axis=1)).max() < 1e-9


def test_voltages_at_nodes_are_those_at_sites() -> None:
    network = street()
    wires = FourWire(network)
    result = wires.solve(*loads(network, 4, 3))
    nodes = wires.nodes(result)[:, network.site_node - 1]
    assert nodes[..., 3] == pytest.approx(result.neutral_v[:, :-1], abs=1e-9)
    assert nodes[..., :3] - nodes[..., 3:] == pytest.approx(result.voltage_v[:, :-1], abs=1e-9)


def test_balanced_loads_leave_the_neutral_without_voltage() -> None:
    power_w = np.full((1, 23, 3), 700.0)
    result = FourWire(street()).solve(power_w, 0.1 * power_w)
    assert np.abs(result.neutral_v).max() < 1e-9


def test_a_load_on_one_phase_lifts_the_neutral_by_its_current() -> None:
    network = radial_feeder("s", ["a"], phases=["L1"])
    power_w = np.array([[[3_000.0, 0.0, 0.0]]])
    result = FourWire(network).solve(power_w, 0 * power_w)
    zero = network.line_zero_resistance + 1j * network.line_zero_reactance
    neutral_ohm = (zero - network.line_resistance - 1j * network.line_reactance).sum() / 3
    assert abs(result.neutral_v[0, 0]) == pytest.approx(abs(neutral_ohm * result.current_a[0, 0, 0]))


def test_a_compensator_that_moves_power_between_phases_unloads_the_neutral() -> None:
    network = street()
    power_w = np.zeros((1, 23, 3))
    power_w[..., 0] = 400.0
    wires = FourWire(network)
    shift = np.array([[-6_000.0, 3_000.0, 3_000.0]])
    before = wires.solve(power_w, 0 * power_w)
    after = wires.solve(power_w, 0 * power_w, shift, 0 * shift)
    assert abs(after.head_current_a[0, 3]) < 0.4 * abs(before.head_current_a[0, 3])


def test_a_batch_of_instants_equals_them_one_by_one() -> None:
    network = street()
    wires = FourWire(network)
    power_w, reactive_var = loads(network, 6, 4)
    together = wires.solve(power_w, reactive_var).voltage_v
    alone = [wires.solve(p[None], q[None]).voltage_v[0] for p, q in zip(power_w, reactive_var, strict=True)]
    assert together == pytest.approx(np.array(alone), abs=1e-5)


def test_the_tap_raises_all_voltages() -> None:
    network = street()
    raised = replace(network, transformer=replace(network.transformer, high_v=19_500.0))
    idle = np.zeros((1, 23, 3))
    usual, higher = (np.abs(FourWire(each).solve(idle, idle).busbar_v) for each in (network, raised))
    assert higher == pytest.approx(usual / 0.975, rel=1e-4)


def test_a_load_beyond_all_reason_fails_with_the_feeders_name() -> None:
    power_w = np.full((1, 23, 3), 900_000.0)
    with pytest.raises(Failed, match="power flow of s"):
        FourWire(street()).solve(power_w, power_w)


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(InvalidInput):
        FourWire(street()).solve(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))


def test_no_instants_give_empty_results() -> None:
    result = FourWire(street()).solve(np.zeros((0, 23, 3)), np.zeros((0, 23, 3)))
    assert result.voltage_v.shape == (0, 24, 3)
    assert result.head_current_a.shape == (0, 4)
