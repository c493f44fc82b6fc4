"""Networks of files in scenarios, and sites at nodes of their own."""

import json
from pathlib import Path

import pytest

from benchmarks import opendss_reference
from environments.networks import load_cases
from environments.simulation.world import World
from launch.run_folder import RunFolder
from launch.scenario import InvalidScenario, load_scenario, scenario_hash
from launch.world_settings import world_settings

SCENARIO = """
start: 2024-05-02
zone: Europe/Berlin
grid: {{network: {network}}}
sites:
  - {{id: bakery, node: {node}, phase: L2}}
  - {{id: school}}
"""
NEEDS_OPENDSS = pytest.mark.skipif(not opendss_reference.AVAILABLE, reason="OpenDSS is not installed")


def scenario_file(folder: Path, network: str, node: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.format(network=network, node=node), encoding="utf-8")
    return path


def with_feeder_file(folder: Path) -> Path:
    """Write the European feeder as an OpenDSS file; its nodes are called n0 to n906."""
    folder.mkdir(exist_ok=True)
    (case,) = load_cases("ieee-european-lv")
    (folder / "feeder.dss").write_text("\n".join(opendss_reference._commands(case)), encoding="utf-8")
    return scenario_file(folder, "feeder.dss", "n899")


@NEEDS_OPENDSS
def test_a_file_beside_the_scenario_is_the_network_of_its_world(tmp_path: Path) -> None:
    scenario = load_scenario(with_feeder_file(tmp_path / "here"))
    (network,) = World(world_settings(scenario)).grid.networks
    assert len(network.nodes) == 907
    bakery = network.sites.index("bakery")
    assert network.nodes[network.site_node[bakery]] == "segment-001-n899"
    assert network.site_phase[bakery] == 1


@NEEDS_OPENDSS
def test_what_the_file_makes_up_decides_the_hash_not_where_it_lies(tmp_path: Path) -> None:
    here = load_scenario(with_feeder_file(tmp_path / "here"))
    there_file = with_feeder_file(tmp_path / "there")
    assert scenario_hash(here) == scenario_hash(load_scenario(there_file))
    feeder = there_file.with_name("feeder.dss")
    feeder.write_text(feeder.read_text().replace("pu=1.05", "pu=1.04"), encoding="utf-8")
    assert scenario_hash(here) != scenario_hash(load_scenario(there_file))


@NEEDS_OPENDSS
def test_a_run_keeps_a_copy_that_stands_for_the_file(tmp_path: Path) -> None:
    scenario = load_scenario(with_feeder_file(tmp_path / "here"))
    folder = RunFolder(tmp_path / "run", scenario, "offline").path
    (tmp_path / "here" / "feeder.dss").unlink()
    again = load_scenario(scenario_file(tmp_path / "again", str(folder / "network.json"), "n899"))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert scenario_hash(again) == manifest["scenario_hash"]


def test_a_run_on_a_built_in_network_keeps_none(tmp_path: Path) -> None:
    scenario = load_scenario(scenario_file(tmp_path, "ieee-european-lv", "'899'"))
    (tmp_path / "run").mkdir()
    assert not (RunFolder(tmp_path / "run", scenario, "offline").path / "network.json").exists()


def test_a_built_in_network_has_nodes_to_connect_to(tmp_path: Path) -> None:
    (case,) = load_cases("ieee-european-lv")
    node = case.network.nodes[500]
    scenario = load_scenario(scenario_file(tmp_path, "ieee-european-lv", f"'{node}'"))
    (network,) = World(world_settings(scenario)).grid.networks
    assert network.site_node[network.sites.index("bakery")] == 500


@pytest.mark.parametrize(
    ("network", "node", "path"),
    [
        ("ieee-european-lv", "nowhere", "sites[0].node"),
        ("street", "n1", "sites[0].node"),
        ("nothing.json", "n1", "grid.network"),
        ("village", "n1", "grid.network"),
    ],
)
def test_what_is_wrong_is_said_by_its_path(tmp_path: Path, network: str, node: str, path: str) -> None:
    with pytest.raises(InvalidScenario) as caught:
        load_scenario(scenario_file(tmp_path, network, node))
    assert path in [problem.path for problem in caught.value.problems]
