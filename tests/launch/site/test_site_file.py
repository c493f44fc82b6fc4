"""Site files: all that is wrong at once, that of the files they name included."""

from pathlib import Path

import pytest

from launch.site.loading import load_site
from launch.site.starting import write_site
from ontology.errors import Conflict, InvalidInput


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_site(tmp_path, "h001", "community.example")
    return tmp_path / "site.yaml"


def problems(file: Path) -> set[str]:
    with pytest.raises(InvalidInput) as error:
        load_site(file)
    return {each.path for each in error.value.problems}


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_files_that_an_installer_starts_from_are_in_order(file):
    site = load_site(file)
    assert list(site.connections()) == ["meter", "pv", "bess"]
    assert site.maps["bess"].asset == "h001-bess"
    assert site.data == file.parent / "data"


def test_what_is_there_is_not_written_over(file):
    with pytest.raises(Conflict, match="already"):
        write_site(file.parent, "h002", "another.example")
    assert "h001" in file.read_text()


def test_everything_that_is_wrong_is_said_at_once(file):
    change(file, "zone: Europe/Berlin", "zone: Berlin")
    change(file, "sample_s: 10", "sample_s: 7")
    change(file, "enrolment: https://", "enrolment: http://")
    change(file, "connect: {mqtt: maps/pv.yaml}", "connect: {}")
    change(file, "connect: {mqtt: maps/battery.yaml}", "connect: {mqtt: maps/none.yaml}")
    assert problems(file) == {
        "zone",
        "sample_s",
        "community.enrolment",
        "pv.connect",
        "battery.connect.mqtt",
    }


def test_a_key_that_is_not_known_is_no_key(file):
    change(file, "kwp: 8", "kpw: 8")
    assert problems(file) == {"pv.kpw", "pv.kwp"}


def test_what_is_wrong_with_a_topic_map_is_said_where_it_is_named(file):
    change(file.parent / "maps" / "battery.yaml", "quantity: state_of_charge", "quantity: soc")
    assert problems(file) == {"battery.connect.mqtt"}


def test_devices_at_a_broker_need_one(file):
    change(file, "broker: {", "# broker: {")
    assert problems(file) == {"meter.connect.mqtt", "pv.connect.mqtt", "battery.connect.mqtt"}


def test_a_charge_point_needs_a_central_system(file):
    ev = "ev:\n  connect: {ocpp: {identity: cp1, password_file: cp1.password}}\n"
    file.write_text(file.read_text() + ev)
    assert problems(file) == {"ev.connect.ocpp"}


def test_a_device_is_reached_one_way(file):
    two = "connect: {mqtt: maps/pv.yaml, sunspec: {host: inverter.lan}}"
    change(file, "connect: {mqtt: maps/pv.yaml}", two)
    assert problems(file) == {"pv.connect"}
