"""Power flow against an independent solution and against what must hold for any flow."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviours.decisions.grid import Network, PowerFlow, over_phases, radial_feeder
from behaviours.decisions.grid.power_flow import PHASE_VOLTAGE_V, own_phase
from ontology.errors import Failed, InvalidInput


@pytest.fixture(scope="module")
def street() -> Network:
    return radial_feeder("segment-001", [f"h{number:03d}" for number in range(1, 61)])


def loads(network: Network, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    net_w = draw.normal(800, 3_000, (1, len(network.sites)))
    power_w = net_w[..., None] * own_phase(network.site_phase)
    return power_w, 0.2 * np.maximum(power_w, 0)


def sweep(network: Network, busbar: np.ndarray, power_w: np.ndarray, reactive_var: np.ndarray) -> np.ndarray:
    """Backward-forward sweep from given busbar phasors, with a full 3x3 impedance for every line."""
    demand = np.zeros((len(network.nodes), 3), dtype=complex)
    for site, node in enumerate(network.site_node):
        demand[node] += power_w[site] + 1j * reactive_var[site]
    z1 = network.line_resistance + 1j * network.line_reactance
    z0 = network.line_zero_resistance + 1j * network.line_zero_reactance
    volts = np.tile(busbar, (len(network.nodes), 1))
    for _ in range(100):
        current = np.conj(demand / volts)
        for line in reversed(range(len(z1))):
            current[network.line_from[line]] += current[network.line_to[line]]
        for line in range(len(z1)):
            through = current[network.line_to[line]]
            drop = z1[line] * through + (z0[line] - z1[line]) / 3 * through.sum()
            volts[network.line_to[line]] = volts[network.line_from[line]] - drop
    return volts


def test_voltages_agree_with_a_backward_forward_sweep(street: Network) -> None:
    power_w, reactive_var = loads(street, 1)
    (flow,) = PowerFlow([street]).solve(power_w, reactive_var)
    phasors = flow.voltage_pu[0] * np.exp(1j * flow.voltage_angle[0]) * PHASE_VOLTAGE_V
    expected = sweep(street, phasors[1], power_w[0], reactive_var[0])
    assert np.abs(phasors[2:] - expected[2:]).max() < 1e-3


def test_losses_of_the_lines_and_the_transformer_are_those_of_their_currents(street: Network) -> None:
    net_w = np.full((1, 60), 3_000.0)
    power_w = np.repeat(net_w[..., None] / 3, 3, axis=2)
    (flow,) = PowerFlow([street]).solve(power_w, np.zeros_like(power_w))
    current = flow.line_loading[0] * street.line_rated_a
    in_lines = 3 * (current**2 * street.line_resistance).sum()
    kind = street.transformer
    in_transformer = kind.no_load_loss_w + kind.load_loss_w * flow.transformer_loading[0] ** 2
    assert flow.losses_w[0] == pytest.approx(in_lines + in_transformer, rel=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_the_source_gives_what_the_sites_take_and_the_losses(seed: int) -> None:
    network = radial_feeder("s", [f"h{number}" for number in range(13)])
    power_w, reactive_var = loads(network, seed)
    (flow,) = PowerFlow([network]).solve(power_w, reactive_var)
    assert flow.losses_w[0] > 0
    assert flow.busbar_w.sum() < flow.source_w[0]
    assert flow.source_w[0] == pytest.approx(power_w.sum() + flow.losses_w[0], abs=1e-6)
    assert flow.voltage_min_pu[0] <= flow.voltage_max_pu[0]


def test_a_batch_of_instants_equals_them_one_by_one(street: Network) -> None:
    flow = PowerFlow([street])
    power_w = np.concatenate([loads(street, seed)[0] for seed in range(4)])
    (together,) = flow.solve(power_w, power_w * 0.1)
    alone = [flow.solve(each[None], each[None] * 0.1)[0].voltage_pu[0] for each in power_w]
    assert np.array_equal(together.voltage_pu, np.array(alone))


def test_instants_in_chunks_equal_them_together(street: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("behaviours.decisions.grid.power_flow.NODE_INSTANTS", 2 * len(street.nodes))
    flow = PowerFlow([street])
    power_w = np.concatenate([loads(street, seed)[0] for seed in range(5)])
    parts = [result.voltage_pu for (result,) in flow.solve_in_chunks(power_w, power_w * 0.1)]
    (together,) = flow.solve(power_w, power_w * 0.1)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert np.concatenate(parts) == pytest.approx(together.voltage_pu, abs=1e-9)


def test_the_current_of_a_service_cable_is_that_of_its_house(street: Network) -> None:
    power_w, reactive_var = loads(street, 3)
    (flow,) = PowerFlow([street]).solve(power_w, reactive_var)
    node = street.site_node[0]
    line = int(np.flatnonzero(street.line_to == node)[0])
    expected = np.abs(power_w[0, 0] + 1j * reactive_var[0, 0]) / (flow.voltage_pu[0, node] * PHASE_VOLTAGE_V)
    assert flow.line_current_a[0, line] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert flow.line_loading[0, line] == pytest.approx(expected.max() / street.line_rated_a[line], rel=1e-6)


def test_rated_voltages_and_the_tap_are_those_of_the_network(street: Network) -> None:
    raised = replace(street.transformer, high_v=0.975 * street.transformer.high_v)
    idle = np.zeros((1, 60, 3))
    (usual,) = PowerFlow([street]).solve(idle, idle)
    (higher,) = PowerFlow([replace(street, transformer=raised)]).solve(idle, idle)
    assert higher.voltage_pu[0, 1] == pytest.approx(usual.voltage_pu[0, 1] / 0.975, rel=1e-4)


def test_feeders_solved_together_equal_each_alone(street: Network) -> None:
    other = radial_feeder("segment-002", ["a", "b", "c"], transformer_va=100_000)
    one, two = loads(street, 5), loads(other, 6)
    both = PowerFlow([street, other]).solve(
        np.concatenate([one[0], two[0]], axis=1), np.concatenate([one[1], two[1]], axis=1)
    )
    (alone,) = PowerFlow([other]).solve(*two)
    assert both[1].voltage_pu == pytest.approx(alone.voltage_pu, abs=1e-9)
    assert both[1].losses_w == pytest.approx(alone.losses_w, abs=1e-3)


def test_load_on_one_phase_unbalances_the_voltage_and_fills_the_neutral() -> None:
    network = radial_feeder("s", ["a", "b"], phases=["L1", "L1"])
    balanced = np.full((1, 2, 3), 1_500.0)
    lopsided = np.zeros((1, 2, 3))
    lopsided[..., 0] = 4_500.0
    solver = PowerFlow([network])
    (even,) = solver.solve(balanced, balanced * 0)
    (odd,) = solver.solve(lopsided, lopsided * 0)
    assert even.unbalance_max[0] < 1e-6 < odd.unbalance_max[0]
    assert even.busbar_current_a()[0, 3] == pytest.approx(0, abs=0.01)
    assert odd.busbar_current_a()[0, 3] == pytest.approx(odd.busbar_current_a()[0, 0], rel=1e-3)


def test_a_compensator_that_balances_the_phases_lowers_the_losses(street: Network) -> None:
    power_w = np.zeros((1, 60, 3))
    power_w[..., 0] = 500.0
    solver = PowerFlow([street])
    shift = np.array([[[-8_000.0, 4_000.0, 4_000.0]]])
    (before,) = solver.solve(power_w, power_w * 0)
    (after,) = solver.solve(power_w, power_w * 0, shift, shift * 0)
    assert after.losses_w[0] < before.losses_w[0]
    assert after.unbalance_max[0] < before.unbalance_max[0]


NO_BOUNDS = (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("total_w", "phase", "three_phase_w", "expected_w"),
    [
        (3_500, 0, (-10_000, 11_000), [3_500, 0, 0]),  # kettle and hob, perhaps
        (11_500, 1, (0, 11_000), [3_667, 4_167, 3_667]),  # the car charges, and something else
        (-5_600, 2, (-10_000, 0), [-2_000, -2_000, -1_600]),  # the sun shines on a large plant
        (-3_000, 0, (0, 0), [-3_000, 0, 0]),  # or on a small one
        (6_000, 0, (0, 0), [6_000, 0, 0]),  # several small ones at once
        (900, 3, (0, 0), [300, 300, 300]),
        (6_400, 0, NO_BOUNDS, [2_400, 2_000, 2_000]),
    ],
)
def test_totals_are_spread_as_the_registered_equipment_makes_likely(
    total_w: float, phase: int, three_phase_w: tuple[float, float], expected_w: list[float]
) -> None:
    spread = over_phases(np.array([[total_w]]), np.array([phase]), np.array([three_phase_w]))
    assert spread[0, 0] == pytest.approx(expected_w, abs=1)


@given(
    st.lists(st.floats(-30_000, 30_000), min_size=4, max_size=4),
    st.lists(st.tuples(st.floats(-20_000, 0), st.floats(0, 20_000)), min_size=4, max_size=4),
)
def test_totals_are_spread_over_phases_without_loss(net_w: list[float], three_phase_w: list[tuple]) -> None:
    spread = over_phases(np.array([net_w]), np.arange(4), np.array(three_phase_w))
    assert spread[0].sum(axis=1) == pytest.approx(net_w, abs=1e-6)
    others = np.array([[1, 2], [0, 2], [0, 1]])
    for site, (least_w, most_w) in enumerate(three_phase_w[:3]):
        assert least_w / 3 - 1e-6 <= spread[0, site, others[site]].min()
        assert spread[0, site, others[site]].max() <= most_w / 3 + 1e-6


def test_a_load_beyond_all_reason_fails_with_the_feeders_name(street: Network) -> None:
    power_w = np.full((1, 60, 3), 200_000.0)
    with pytest.raises(Failed, match="segment-001"):
        PowerFlow([street]).solve(power_w, power_w)


def test_shapes_that_do_not_match_are_refused(street: Network) -> None:
    with pytest.raises(InvalidInput):
        PowerFlow([street]).solve(np.zeros((1, 59, 3)), np.zeros((1, 59, 3)))


def test_no_instants_give_empty_results(street: Network) -> None:
    (flow,) = PowerFlow([street]).solve(np.zeros((0, 60, 3)), np.zeros((0, 60, 3)))
    assert flow.losses_w.shape == (0,)
    assert flow.voltage_pu.shape == (0, len(street.nodes), 3)
