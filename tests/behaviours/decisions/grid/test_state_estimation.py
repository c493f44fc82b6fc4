"""State estimation: measurements and expectations brought together, and readings that cannot be true."""

from dataclasses import replace

import numpy as np
import pytest
from grid_samples import STREET, evening
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.grid import Expectation, StateEstimation, expected_loads
from behaviours.decisions.grid.pseudo_measurements import from_meter
from environments.networks import feeder_named
from ontology.errors import InvalidInput

BUSBAR = 1
KNOWN = {
    "street": STREET,
    "ieee-european-lv": feeder_named("ieee-european-lv"),
    "cigre-lv-residential": feeder_named("cigre-lv-residential"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_with_a_metered_transformer_half_of_all_voltages_are_known_to_a_percent(name):
    at = evening(KNOWN[name], source_drift=-0.03)
    found = StateEstimation(at.network).estimate(at.expected, at.readings([BUSBAR], np.random.default_rng(1)))
    assert np.median(at.voltage_error(found.flow)) < 0.01


@pytest.mark.parametrize("name", KNOWN)
def test_a_metered_transformer_tells_what_no_expectation_does(name):
    """The medium voltage is 3 % lower than believed, and everybody draws twice as much as expected."""
    at = evening(KNOWN[name], source_drift=-0.03, scale=2.0)
    usual = evening(KNOWN[name]).expected
    estimation = StateEstimation(at.network)
    with_it = estimation.estimate(usual, at.readings([BUSBAR], np.random.default_rng(1))).flow
    without = estimation.estimate(usual, ()).flow
    assert np.median(at.voltage_error(with_it)) < 0.4 * np.median(at.voltage_error(without))
    loading = at.flow.transformer_loading
    assert np.abs(with_it.transformer_loading / loading - 1).mean() < 0.02
    assert np.abs(without.transformer_loading / loading - 1).mean() > 0.3


def test_smart_meters_bring_the_far_end_nearer():
    at, rng = evening(), np.random.default_rng(3)
    estimation = StateEstimation(STREET)
    ends = STREET.site_node[::4].tolist()
    few = at.voltage_error(estimation.estimate(at.expected, at.readings([BUSBAR], rng)).flow)
    many = at.voltage_error(estimation.estimate(at.expected, at.readings([BUSBAR, *ends], rng)).flow)
    assert np.quantile(many, 0.95) < 0.7 * np.quantile(few, 0.95)


def test_where_everything_is_measured_exactly_the_estimate_is_the_power_flow():
    at = evening(instants=4)
    meters = [
        replace(each, voltage_error=0.0, power_error=0.0)
        for each in at.readings([BUSBAR, *STREET.site_node.tolist()])
    ]
    found = StateEstimation(STREET).estimate(at.expected, meters)
    assert at.voltage_error(found.flow).max() < 5e-4
    assert found.flow.loading == pytest.approx(at.flow.loading, rel=5e-3)
    assert found.discarded == ()


def test_what_did_not_come_at_an_instant_counts_for_nothing_then():
    at = evening(instants=3)
    (busbar,) = at.readings([BUSBAR])
    for field in (busbar.voltage_v, busbar.power_w, busbar.reactive_var):
        field[1] = np.nan
    estimation = StateEstimation(STREET)
    found = estimation.estimate(at.expected, [busbar]).flow
    without = estimation.estimate(at.expected, ()).flow
    assert found.voltage_pu[1] == pytest.approx(without.voltage_pu[1], abs=1e-4)
    assert found.transformer_loading[[0, 2]] == pytest.approx(at.flow.transformer_loading[[0, 2]], rel=0.01)


def test_several_sites_behind_a_meter_draw_together_what_it_says():
    network = replace(STREET, site_node=np.where(np.arange(30) < 3, STREET.site_node[0], STREET.site_node))
    at = evening(network, instants=2)
    node = int(network.site_node[0])
    line = int(np.flatnonzero(network.line_to == node)[0])
    found = StateEstimation(network).estimate(at.expected, at.readings([node]))
    assert found.flow.line_current_a[:, line] == pytest.approx(
        at.flow.line_current_a[:, line], rel=0.02, abs=0.3
    )


def test_what_d_statcoms_say_that_they_draw_is_believed():
    at = evening(instants=2)
    drawn_va = np.full((2, 1, 3), [3_000, -2_000, -1_000]) + 0j
    estimation = StateEstimation(STREET)
    plain = estimation.estimate(at.expected, ()).flow
    moved = estimation.estimate(replace(at.expected, compensation_va=drawn_va), ()).flow
    assert moved.busbar_w - plain.busbar_w == pytest.approx(drawn_va[:, 0].real, rel=0.1)


# -- gross errors ------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 1000),
    node=st.sampled_from([BUSBAR, *STREET.site_node[::4].tolist()]),
    factor=st.sampled_from([0.0, 0.8, 0.9, 1.1, 1.25, 1.7]),
)
@some
def test_a_wrong_voltage_is_found_named_and_done_without(seed, node, factor):
    at, rng = evening(instants=2, seed=seed), np.random.default_rng(seed)
    meters = list(at.readings([BUSBAR, *STREET.site_node[::4].tolist()], rng))
    at_fault = next(i for i, each in enumerate(meters) if each.node == node)
    meters[at_fault].voltage_v[1] *= factor
    found = StateEstimation(STREET).estimate(at.expected, meters)
    assert [(each.instant, each.node, each.quantity) for each in found.discarded] == [(1, node, "voltage")]
    assert np.median(at.voltage_error(found.flow)) < 0.005


@given(seed=st.integers(0, 1000), factor=st.sampled_from([-1.0, 0.0, 0.5, 1.5, 10.0]))
@some
def test_a_power_of_the_transformer_that_all_meter_readings_contradict_is_found(seed, factor):
    at, rng = evening(instants=2, seed=seed), np.random.default_rng(seed)
    read = expected_loads(from_meter(at.power_w.sum(axis=2)), STREET.site_phase, 0.2)
    (busbar,) = at.readings([BUSBAR], rng)
    busbar.power_w[1] *= factor
    found = StateEstimation(STREET).estimate(read, [busbar])
    assert [(each.instant, each.node, each.quantity) for each in found.discarded] == [(1, BUSBAR, "power")]


def test_a_rush_that_nobody_expected_is_no_error_of_the_transformers_meter():
    at, rng = evening(scale=2.5), np.random.default_rng(1)
    found = StateEstimation(STREET).estimate(evening().expected, at.readings([BUSBAR], rng))
    assert found.discarded == ()
    assert found.flow.transformer_loading == pytest.approx(at.flow.transformer_loading, rel=0.02)
    assert found.misfit.min() > 2


def test_a_transformer_alone_outvotes_a_street_that_expected_a_tenth():
    at = evening(scale=4.0)
    guess = np.full((24, 30), 400.0)
    sure = expected_loads(
        Expectation(guess, 0.3 * guess, np.full_like(guess, 43_000)), STREET.site_phase, 0.2
    )
    found = StateEstimation(STREET).estimate(sure, at.readings([BUSBAR], np.random.default_rng(1)))
    assert found.flow.transformer_loading == pytest.approx(at.flow.transformer_loading, rel=0.03)


def test_good_readings_are_not_discarded():
    at, rng = evening(instants=300), np.random.default_rng(5)
    meters = at.readings([BUSBAR, *STREET.site_node[::4].tolist()], rng)
    found = StateEstimation(STREET).estimate(at.expected, meters)
    assert len(found.discarded) <= 3
    assert 0.5 < found.misfit.mean() < 1.2


def test_all_that_does_not_fit_together_is_said_at_once():
    at = evening(instants=2)
    readings = [at.reading(BUSBAR), at.reading(BUSBAR), replace(at.reading(2), node=999)]
    with pytest.raises(InvalidInput) as error:
        StateEstimation(STREET).estimate(replace(at.expected, power_w=np.zeros((2, 5, 3))), readings)
    said = str(error.value)
    assert "999" in said
    assert "once" in said
    assert "(T, 30, 3)" in said
