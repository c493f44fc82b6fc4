"""The copy that a run keeps of its network: the same network again, and what is wrong with a changed one."""

import json
from pathlib import Path

import numpy as np
import pytest

from environments.networks import feeder_named, load_cases, network_json
from environments.networks.network_file import read_network_json
from ontology.errors import InvalidInput


@pytest.mark.parametrize("name", ["ieee-european-lv", "cigre-lv-industrial"])
def test_what_is_read_again_is_the_same_network(name: str, tmp_path: Path) -> None:
    network = feeder_named(name)
    path = tmp_path / "network.json"
    path.write_bytes(network_json(network))
    (case,) = load_cases(str(path))
    assert network_json(case.network) == network_json(network)
    assert case.network.line_to.dtype == network.line_to.dtype
    assert case.network.line_resistance.dtype == np.float64
    assert not case.power_w.any()


def test_a_register_of_equipment_is_kept() -> None:
    network = load_cases("street-2")[0].network
    document = {**json.loads(network_json(network)), "site_three_phase_w": [[-5_000.0, 0.0], [0.0, 11_000.0]]}
    again = read_network_json(json.dumps(document), "copy").network
    assert again.three_phase_range_w.tolist() == [[-5_000, 0], [0, 11_000]]


def test_all_that_does_not_fit_is_told_at_once() -> None:
    document = json.loads(network_json(load_cases("street-4")[0].network))
    document["line_to"][0] = 99
    document["site_phase"] = [0, 1, 7]
    document["site_node"][0] = 0
    document["line_from"][1] = 4
    with pytest.raises(InvalidInput) as caught:
        read_network_json(json.dumps(document), "copy")
    paths = [each.path for each in caught.value.problems]
    assert paths == ["copy.site_phase", "copy.line_to", "copy.line_from", "copy.site_node", "copy.site_phase"]


def test_another_format_or_a_missing_field_is_refused() -> None:
    document = json.loads(network_json(load_cases("street-4")[0].network))
    for changed in ({**document, "format": "parity-mas network 2"}, {"format": document["format"]}):
        with pytest.raises(InvalidInput, match="parity-mas network 1"):
            read_network_json(json.dumps(changed), "copy")
