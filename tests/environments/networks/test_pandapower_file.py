"""Networks that pandapower wrote: what becomes of them, and what is said of those that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from behaviours.decisions.grid import PowerFlow
from environments.networks import NetworkCase, cases_from_pandapower, read_pandapower
from ontology.errors import InvalidInput
from tests.environments.networks.pandapower_samples import LINE, SMALL, TRAFO, document

VILLAGE = Path(__file__).parent / "village.json"
"""Two transformers behind a closed switch, a tap, parallel lines and transformers, an open ring, PV."""
VILLAGE_PU = {
    "mv": 1.02,
    "a0": 1.04531057,
    "a1": 1.04548086,
    "a2": 1.05173123,
    "a3": 1.05590248,
    "b0": 1.01783748,
    "b1": 0.99093211,
    "b2": 0.9879994,
}
"""As pandapower's own power flow (3.5.6) has them."""


def flow_of(case: NetworkCase):
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    return flow


def complaints(text: str) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        cases_from_pandapower(text, "net")
    return {each.path: each.expected for each in caught.value.problems}


def test_every_transformer_gives_a_network_with_pandapowers_voltages():
    cases = read_pandapower(VILLAGE)
    assert [each.network.segment_id for each in cases] == ["village-west", "village-east"]
    for case in cases:
        expected = np.array([VILLAGE_PU[node] for node in case.network.nodes])
        assert np.abs(flow_of(case).voltage_pu[0] - expected[:, None]).max() < 1e-6


def test_loadings_are_pandapowers():
    west, east = (flow_of(each) for each in read_pandapower(VILLAGE))
    assert west.line_loading[0] == pytest.approx([0.05702, 0.08874, 0.17749], abs=1e-5)
    assert east.transformer_loading[0] == pytest.approx(0.0999951, rel=0.03)


def test_what_is_out_of_service_or_switched_off_is_left_out():
    west, east = read_pandapower(VILLAGE)
    assert west.network.sites == ("school", "farm", "roof")
    assert east.network.sites == ("workshop", "shop")
    assert west.power_w.sum(axis=1) == pytest.approx([30_000, 10_000, -45_000])


def test_an_asymmetric_load_is_on_its_phases():
    (case,) = cases_from_pandapower(document(), "net")
    assert case.network.sites == ("house",)
    assert case.network.site_phase.tolist() == [0]
    assert case.power_w.tolist() == [[4_000, 0, 0]]
    assert case.reactive_var.tolist() == [[1_000, 0, 0]]


def test_a_line_without_zero_sequence_returns_through_a_neutral_like_a_phase():
    (case,) = cases_from_pandapower(document(), "net")
    assert case.network.line_resistance == pytest.approx([0.04])
    assert case.network.line_zero_resistance == pytest.approx([0.16])


def test_lines_are_turned_to_lead_outwards():
    (case,) = cases_from_pandapower(document(line=[{**LINE, "from_bus": 2, "to_bus": 1}]), "net")
    assert (case.network.line_from.tolist(), case.network.line_to.tolist()) == ([1], [2])


def test_names_that_are_given_twice_are_told_apart():
    loads = [SMALL["asymmetric_load"][0]] * 2
    (case,) = cases_from_pandapower(document(asymmetric_load=loads), "net")
    assert case.network.sites == ("house-0", "house-1")


TAP = {"tap_pos": 2, "tap_neutral": 0, "tap_step_percent": 2.5, "tap_side": "hv"}


@pytest.mark.parametrize(("kind", "high_v"), [("Ratio", 21_000), ("Symmetrical", 21_000), (None, 20_000)])
def test_a_tap_counts_where_the_table_says_what_changes_it(kind, high_v):
    (case,) = cases_from_pandapower(document(trafo=[{**TRAFO, **TAP, "tap_changer_type": kind}]), "net")
    assert case.network.transformer.high_v == pytest.approx(high_v)


def test_a_tap_of_a_table_without_kinds_counts():
    (case,) = cases_from_pandapower(document(trafo=[{**TRAFO, **TAP}]), "net")
    assert case.network.transformer.high_v == pytest.approx(21_000)


def test_taps_that_turn_phases_are_refused():
    found = complaints(document(trafo=[{**TRAFO, **TAP, "tap_changer_type": "Ideal"}]))
    assert found["trafo[0].tap_step_degree"] == "0: no phase shifters"


def test_a_battery_is_a_site_that_draws_when_it_charges():
    (case,) = cases_from_pandapower(document(storage=[{"bus": 2, "p_mw": -0.006, "in_service": True}]), "net")
    assert case.network.sites[-1] == "storage-0"
    assert case.power_w[-1].tolist() == pytest.approx([-2_000.0] * 3)


def test_all_problems_are_told_at_once():
    found = complaints(
        document(
            line=[{**LINE, "length_km": -1, "to_bus": 9, "max_i_ka": None}],
            trafo=[{**TRAFO, "vector_group": "Yzn", "vkr_percent": 5, "shift_degree": 0}],
            load=[{"bus": 2, "p_mw": "much", "const_z_p_percent": 30, "in_service": True}],
            shunt=[{"bus": 2, "q_mvar": 0.1, "in_service": True}],
        )
    )
    assert found == {
        "line[0].length_km": "a number above 0",
        "line[0].to_bus": "a bus in service",
        "line[0].max_i_ka": "a number",
        "trafo[0].vector_group": "Dyn: others are not supported",
        "trafo[0].shift_degree": "30, 90, 150, …: a delta-star transformer's",
        "trafo[0].vkr_percent": "at most vk_percent",
        "load[0].p_mw": "a number",
        "load[0].const_z_p_percent": "0: loads of constant power",
        "shunt[0].in_service": "false: shunt elements are not supported",
    }


def test_a_loop_is_refused_with_the_line_that_closes_it():
    assert "no loop" in complaints(document(line=[LINE, {**LINE, "name": "w2"}]))["line"]


def test_a_load_that_no_transformer_feeds_is_refused():
    found = complaints(document(line=[{**LINE, "in_service": False}]))
    assert found == {"asymmetric_load[0].bus": "a bus that a transformer feeds at low voltage"}


def test_a_transformer_needs_an_external_grid():
    found = complaints(document(ext_grid=[{"bus": 2, "vm_pu": 1.0, "in_service": True}]))
    assert found["trafo[0].hv_bus"].startswith("a bus with an external grid")


def test_two_transformers_cannot_feed_the_same_nodes():
    found = complaints(document(trafo=[TRAFO, {**TRAFO, "lv_bus": 2}]))
    assert found["trafo[1].lv_bus"] == "nodes of its own; trafo[0] feeds them"


def test_a_bus_has_the_voltage_of_its_busbar():
    buses = [*SMALL["bus"][:2], {"name": "far", "vn_kv": 0.23, "in_service": True}]
    assert complaints(document(bus=buses))["bus[2].vn_kv"] == "0.4, as its transformer's busbar"


def test_a_medium_voltage_network_is_refused():
    buses = [SMALL["bus"][0], *({**bus, "vn_kv": 20.0} for bus in SMALL["bus"][1:])]
    found = complaints(document(bus=buses, trafo=[{**TRAFO, "vn_hv_kv": 110.0, "vn_lv_kv": 20.0}]))
    assert found["trafo[0].lv_bus"].startswith("a busbar of 1000 V at most")


def test_a_busbar_without_lines_and_a_network_without_sites_are_solved():
    load = {**SMALL["asymmetric_load"][0], "bus": 1}
    (alone,) = cases_from_pandapower(document(line=[], asymmetric_load=[load]), "net")
    assert flow_of(alone).voltage_pu.shape == (1, 2, 3)
    (idle,) = cases_from_pandapower(document(asymmetric_load=[]), "net")
    assert flow_of(idle).voltage_pu[0, 1:] == pytest.approx(1.0, abs=1e-3)


def test_a_network_without_a_transformer_is_refused():
    assert "trafo" in complaints(document(trafo=[], asymmetric_load=[]))


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"_class": "DataFrame", "_object": {}}'])
def test_what_is_no_pandapower_network_is_refused(text):
    assert list(complaints(text)) == ["net"]


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"none\.json"):
        read_pandapower(tmp_path / "none.json")
