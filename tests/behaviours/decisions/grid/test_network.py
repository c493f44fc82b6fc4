"""The feeder that is laid out for a street."""

from dataclasses import replace

import numpy as np
import pytest

from behaviours.decisions.grid import connect_sites, radial_feeder
from behaviours.decisions.grid.network import standard_transformer
from ontology.errors import InvalidInput


def names(count: int) -> list[str]:
    return [f"h{number:03d}" for number in range(1, count + 1)]


def test_every_site_has_a_service_cable_of_its_own() -> None:
    network = radial_feeder("s", names(60))
    assert len(set(network.site_node.tolist())) == 60
    assert set(network.site_node) <= set(network.line_to)


def test_the_feeder_is_a_tree() -> None:
    network = radial_feeder("s", names(47))
    assert len(network.line_to) == len(network.nodes) - 2
    assert all(start < end for start, end in zip(network.line_from, network.line_to, strict=True))


def test_phases_alternate_and_some_houses_have_all_three() -> None:
    assert radial_feeder("s", names(5)).site_phase.tolist() == [0, 1, 2, 3, 0]
    assert radial_feeder("s", names(2), phases=["L3", "3P"]).site_phase.tolist() == [2, 3]


@pytest.mark.parametrize(("sites", "rated_va"), [(2, 100_000), (20, 160_000), (40, 250_000), (60, 400_000)])
def test_the_transformer_suits_the_number_of_houses(sites: int, rated_va: int) -> None:
    assert radial_feeder("s", names(sites)).transformer.rated_va == rated_va


def test_an_unusual_transformer_has_losses_between_those_of_its_neighbours() -> None:
    assert 2_350 < standard_transformer(200_000).load_loss_w < 3_250


def test_all_problems_of_a_feeder_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        radial_feeder("s", ["a"] * 61, phases=["L1"])
    assert len(caught.value.problems) == 3


def test_sites_are_spread_over_the_points_of_a_known_network() -> None:
    known = radial_feeder("known", names(6), phases=["L1", "L2", "L3", "3P", "L1", "L2"])
    copy = connect_sites(known, "segment-001", ["a", "b", "c"], ["", "3P", ""])
    assert copy.site_node.tolist() == known.site_node[[0, 2, 4]].tolist()
    assert copy.site_phase.tolist() == [0, 3, 0]
    assert copy.nodes == tuple(f"segment-001-{node}" for node in known.nodes)
    assert copy.transformer == known.transformer


def test_more_sites_than_points_share_them() -> None:
    known = radial_feeder("known", names(2), phases=["3P", "L2"])
    copy = connect_sites(known, "segment-001", names(5))
    assert copy.site_node.tolist() == known.site_node[[0, 0, 0, 1, 1]].tolist()
    assert copy.site_phase.tolist() == [0, 1, 2, 1, 1]


def test_a_network_without_points_takes_no_sites() -> None:
    known = replace(radial_feeder("known", names(1)), sites=(), site_node=np.zeros(0, dtype=int))
    with pytest.raises(InvalidInput, match="a network with loads"):
        connect_sites(known, "segment-001", ["a"])
