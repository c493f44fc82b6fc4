"""Scenarios whose grid operator's systems are on sockets: what is wired, and what is wrong."""

from pathlib import Path
from typing import Any

import pytest
from launch_samples import MINIMAL

from environments.devices.dstatcom_http import HttpDstatcom
from environments.devices.dstatcom_mqtt import MqttDstatcom
from environments.monitoring import HttpMonitoring
from environments.simulation.clock import WallClock
from environments.simulation.world import World
from launch.cast import cast_community
from launch.dso_systems import outside_of, reaches_outside
from launch.offline import OfflineCommunity
from launch.scenario import InvalidScenario, Scenario, parse_scenario
from launch.site_parts import connection_w
from launch.world_settings import world_settings
from ontology.errors import InvalidInput

OUTSIDE = "http://127.0.0.1:8090"
UNIT = f"{OUTSIDE}/dstatcoms/segment-001-dstatcom"


def scenario_with(folder: Path, **grid: Any) -> Scenario:
    return parse_scenario(MINIMAL + "sites: [{id: h001}]\n", {"grid": grid}, {}, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a token that is one, and secrets that are not."""
    for name, text, mode in (
        ("token", "a-token-for-tests-only", 0o600),
        ("short", "short", 0o600),
        ("login", "dso:open to all", 0o644),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    return tmp_path


ACCESS = {"token_file": "token"}


def test_the_dso_is_handed_what_is_outside_in_place_of_the_worlds(folder: Path) -> None:
    units = [
        {"segment": "segment-001"},
        {"segment": "segment-001", "address": UNIT, "access": ACCESS},
        {"segment": "segment-001", "address": "mqtt://localhost/lab"},
    ]
    scenario = scenario_with(folder, monitoring={"source": OUTSIDE, "access": ACCESS}, dstatcoms=units)
    world = World(world_settings(scenario))
    outside = outside_of(scenario, world, WallClock())
    parts = {
        part.address.partition("@")[0]: part
        for part in cast_community(scenario, world, outside=outside).parts
    }
    assert isinstance(parts["dso"].ports["monitoring"], HttpMonitoring)
    handed = parts["dstatcom"].settings.units
    assert handed[0] is world.compensators()[0]
    assert [type(each) for each in handed[1:]] == [HttpDstatcom, MqttDstatcom]
    assert [each.asset_id for each in handed] == [each.asset_id for each in world.compensators()]


def test_virtual_time_takes_what_the_run_emulates_itself_and_nothing_outside(folder: Path) -> None:
    own = {"listen": "127.0.0.1:8090", "access": ACCESS}
    monitoring = {"source": OUTSIDE, "access": ACCESS}
    scenario = scenario_with(folder, monitoring=monitoring, systems=own)
    assert not reaches_outside(scenario)
    OfflineCommunity(scenario).close()
    elsewhere = scenario_with(folder, monitoring=monitoring, systems=own | {"listen": "127.0.0.1:8091"})
    assert reaches_outside(elsewhere)
    with pytest.raises(InvalidInput, match="live run"):
        OfflineCommunity(elsewhere)


def test_everything_that_is_wrong_is_said_at_once_and_no_secret_with_it(folder: Path) -> None:
    with pytest.raises(InvalidScenario) as refused:
        scenario_with(
            folder,
            monitoring={"source": "http://scada.example.org", "access": ACCESS},
            dstatcoms=[
                {"segment": "segment-001", "address": UNIT, "access": {"token_file": "short"}},
                {"segment": "segment-001", "address": "mqtt://localhost", "access": {"login_file": "login"}},
                {"segment": "segment-001", "address": UNIT},
            ],
            systems={"broker": "mqtts://dso:secret@broker.example.org", "listen": "here"},
        )
    assert sorted(each.path for each in refused.value.problems) == [
        "grid.dstatcoms[0].access.token_file",
        "grid.dstatcoms[1].access.login_file",
        "grid.dstatcoms[2].access.token_file",
        "grid.monitoring.source",
        "grid.systems.access.token_file",
        "grid.systems.broker",
        "grid.systems.listen",
    ]
    assert "secret" not in str(refused.value)
    assert "open to all" not in str(refused.value)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8090", "192.168.1.7:8090", "127.0.0.1", "127.0.0.1:http", ":8090"]
)
def test_without_tls_systems_listen_on_this_machine_alone(folder: Path, listen: str) -> None:
    with pytest.raises(InvalidScenario, match="a host that is this machine"):
        scenario_with(folder, systems={"listen": listen, "access": ACCESS})


def test_systems_that_are_nowhere_are_none(folder: Path) -> None:
    with pytest.raises(InvalidScenario, match=r"grid\.systems\.listen"):
        scenario_with(folder, systems={})


@pytest.mark.parametrize(
    ("site", "power_w"),
    [
        ("{id: h001}", 43_470),
        ("{id: h001, phase: L2}", 14_490),
        ("{id: h001, phase: 3P}", 43_470),
        ("{id: h001, phase: L2, ev: {charger_kw: 11}}", 43_470),
        ("{id: h001, phase: L2, connection_kw: 100}", 100_000),
    ],
)
def test_a_connection_carries_63_a_on_each_phase_unless_it_says_otherwise(site: str, power_w: int) -> None:
    scenario = parse_scenario(f"{MINIMAL}sites: [{site}]\n", environment={})
    world = World(world_settings(scenario))
    assert connection_w(scenario, world.settings.sites[0]) == power_w
    parts = {part.address.partition("@")[0]: part for part in cast_community(scenario, world).parts}
    assert (
        parts["h001-gateway"].settings.import_max_w == parts["h001-prosumer"].settings.export_max_w == power_w
    )
