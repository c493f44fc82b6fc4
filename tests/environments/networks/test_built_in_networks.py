"""The networks that are built in, against OpenDSS and against what is known of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from behaviours.decisions.grid import FourWire, PowerFlow
from benchmarks import opendss_reference, pandapower_reference
from environments.networks import FEEDERS, NAMES, NetworkCase, feeder_named, load_cases, source_of
from ontology.errors import InvalidInput

OPENDSS = json.loads((Path(__file__).parent / "opendss_ieee_european_lv.json").read_text())
"""OpenDSS's solutions of the three snapshots: currents of the first line, and voltages to earth at the sites;
`four_wires_v` with a neutral (the last) that is earthed at the transformer only."""


def flow_of(case: NetworkCase):
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    return flow


@pytest.mark.parametrize("minute", NAMES["ieee-european-lv"])
def test_voltages_of_the_european_feeder_are_those_of_opendss(minute):
    (case,) = load_cases(f"ieee-european-lv@{minute}")
    network, flow = case.network, flow_of(case)
    found = flow.voltage_pu[0, network.site_node] * network.low_voltage_v / 3**0.5
    expected = np.array([OPENDSS[minute]["voltage_v"][site] for site in network.sites])
    assert np.abs(found - expected).max() < 0.005


@pytest.mark.parametrize("minute", NAMES["ieee-european-lv"])
def test_currents_of_the_european_feeder_are_those_of_opendss(minute):
    (case,) = load_cases(f"ieee-european-lv@{minute}")
    assert flow_of(case).line_current_a[0, 0] == pytest.approx(OPENDSS[minute]["line_current_a"], rel=0.001)


NEEDS_OPENDSS = pytest.mark.skipif(
    not opendss_reference.AVAILABLE, reason="OpenDSS (the extra opendss) is not installed"
)
SNAPSHOTS = [f"ieee-european-lv@{minute}" for minute in NAMES["ieee-european-lv"]]


@NEEDS_OPENDSS
@pytest.mark.parametrize("name", [*SNAPSHOTS, "cigre-lv", "street-13"])
def test_every_node_and_line_is_that_of_opendss_today(name):
    from benchmarks.power_flow import errors, four_wire_error

    for case in load_cases(name):
        voltage_mv, current_percent = errors(case)
        assert voltage_mv < 5
        assert current_percent < 0.1
        assert four_wire_error(case) < 1


@NEEDS_OPENDSS
@pytest.mark.skipif(not pandapower_reference.AVAILABLE, reason="pandapower is not installed")
@pytest.mark.parametrize("name", ["ieee-european-lv", "cigre-lv", "street-13"])
def test_pandapowers_own_asymmetric_flow_agrees(name):
    from benchmarks.power_flow import pandapower_errors

    for case in load_cases(name):
        voltage_mv, current_percent = pandapower_errors(case)
        assert voltage_mv < 0.5
        assert current_percent < 0.1


@pytest.mark.parametrize("minute", NAMES["ieee-european-lv"])
def test_all_four_wires_of_the_european_feeder_are_those_of_opendss(minute):
    (case,) = load_cases(f"ieee-european-lv@{minute}")
    wires = FourWire(case.network)
    found = np.abs(wires.nodes(wires.solve(case.power_w[None], case.reactive_var[None]))[0])
    expected = np.array([OPENDSS[minute]["four_wires_v"][site] for site in case.network.sites])
    assert np.abs(found[case.network.site_node - 1] - expected).max() < 0.001


def test_the_european_feeder_has_the_published_size_and_loads():
    (case,) = load_cases("ieee-european-lv")
    network = case.network
    assert (len(network.nodes), len(network.line_to), len(network.sites)) == (907, 905, 55)
    assert [int((network.site_phase == phase).sum()) for phase in range(3)] == [21, 19, 15]
    assert case.power_w.sum() == pytest.approx(57_358)
    assert case.reactive_var.sum() == pytest.approx(57_358 * np.tan(np.arccos(0.95)))


def test_the_cigre_network_is_three_feeders():
    cases = load_cases("cigre-lv")
    assert [each.network.transformer.rated_va for each in cases] == [500_000, 150_000, 300_000]
    assert [len(each.network.sites) for each in cases] == [6, 1, 8]
    assert [round(float(flow_of(each).voltage_min_pu[0]), 3) for each in cases] == [0.913, 0.942, 0.91]


def test_lines_lead_outwards_from_the_busbar():
    (case,) = load_cases("ieee-european-lv")
    network = case.network
    assert (network.line_from < network.line_to).all()
    assert sorted(network.line_to.tolist()) == list(range(2, len(network.nodes)))


def test_a_street_has_as_many_houses_as_its_name_says():
    (case,) = load_cases("street-7")
    assert len(case.network.sites) == 7
    assert case.power_w.sum() == pytest.approx(14_000)


def test_the_source_of_the_facts_is_named():
    assert "IEEE" in source_of("ieee-european-lv@1")
    assert "CIGRE" in source_of("cigre-lv")
    assert source_of("street-7") == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ieee-european-lv@7", "one of 566, 1, 1440"),
        ("street-61", "street-1 to street-60"),
        ("street-x", "street-1 to street-60"),
        ("ieee", "ieee-european-lv, cigre-lv"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_those_that_are(name, expected):
    with pytest.raises(InvalidInput, match=expected):
        load_cases(name)


@pytest.mark.parametrize("name", FEEDERS)
def test_every_feeder_can_be_had_by_its_name(name):
    assert feeder_named(name).segment_id == name


def test_a_feeder_of_another_name_is_refused():
    with pytest.raises(InvalidInput, match="one of ieee-european-lv"):
        feeder_named("cigre-lv")
