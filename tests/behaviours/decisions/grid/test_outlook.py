"""The outlook of a day: strains interval by interval, their colours, and where they are worst."""

import numpy as np
import pytest
from grid_samples import STREET, evening

from behaviours.decisions.grid import PowerFlow, Strain, radial_feeder
from behaviours.decisions.grid.outlook import outlook_of, places_of, strains_of
from behaviours.decisions.grid.traffic_light import STANDARD
from ontology.grid import GridState

CALM, BROKEN = Strain(0.3, 0.99, 1.01, 0.001), Strain(1.3, 0.89, 1.0, 0.001)


def test_the_outlook_says_of_each_interval_how_hard_the_segment_would_be_used_and_why():
    outlook = outlook_of("s", [CALM, BROKEN], STANDARD, 1_800, 1_500)
    assert outlook.states == [GridState.GREEN, GridState.RED]
    assert outlook.causes == [[], ["loading", "voltage-low"]]
    assert outlook.loading == [0.3, 1.3]
    assert (outlook.start_s, outlook.published_at_s) == (1_800, 1_500)


def flow_of(power_w: np.ndarray):
    (flow,) = PowerFlow([STREET]).solve(power_w, 0 * power_w)
    return flow


@pytest.mark.parametrize(("sign", "cause"), [(1, "voltage-low"), (-1, "voltage-high")])
def test_the_voltage_is_worst_where_somebody_draws_or_feeds_in_most(sign, cause):
    power_w = np.zeros((2, 30, 3))
    power_w[1, 19] = sign * 9_000
    assert places_of(STREET, flow_of(power_w), 1, [cause]) == ["street-h019"]


def test_unbalance_is_worst_where_one_phase_alone_is_loaded():
    power_w = np.zeros((1, 30, 3))
    power_w[0, 11, 0] = 9_000
    assert places_of(STREET, flow_of(power_w), 0, ["unbalance"]) == ["street-h011"]


def test_a_loading_is_the_transformers_or_that_of_the_line_to_a_node():
    power_w = np.zeros((1, 30, 3))
    power_w[0, 4] = 30_000
    assert places_of(STREET, flow_of(power_w), 0, ["loading"]) == ["street-h004"]
    small = radial_feeder("street", STREET.sites, transformer_va=20_000)
    even = np.full((1, 30, 3), 300.0)
    (flow,) = PowerFlow([small]).solve(even, 0 * even)
    assert places_of(small, flow, 0, ["loading"]) == ["street-transformer"]


def test_strains_are_the_worst_of_all_nodes_lines_and_the_transformer():
    flow = evening(instants=3).flow
    assert [each.loading for each in strains_of(flow)] == pytest.approx(flow.loading.tolist())
    assert [each.voltage_min_pu for each in strains_of(flow)] == pytest.approx(flow.voltage_min_pu.tolist())
