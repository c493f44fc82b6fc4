"""The market's management in the console: users, catalogues, participants, and forms with their faults."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from console_visits import SignIn, sign
from registry_samples import new_registry

from environments.http.services import Services
from environments.registry import Registry

PATH = "/console/management"
USER = {
    "name": "Anna",
    "email": "anna@example.org",
    "role_id": "PROSUMER",
    "site": "h001",
    "segment_id": "segment-001",
    "building.type_id": "RESIDENTIAL",
    "building.geo_zone": "DE-10115",
    "usage_point.phases": "3P",
    "usage_point.import_max_w": "20000",
    "usage_point.export_max_w": "10000",
    "assets[1].type_id": "PV",
    "assets[1].rated_power_w": "5000",
}


@pytest.fixture(autouse=True)
def registry(services: Services, tmp_path: Path) -> Iterator[Registry]:
    registry = services.more["registry"] = new_registry(tmp_path)
    yield registry
    registry.close()


def faults(page: str) -> dict[str, str]:
    found = re.findall(r'class="fault" id="field-([^"]+)-fault">([^<]*)<', page)
    return {field: unescape(text) for field, text in found}


def test_a_user_is_registered_and_shown(signed_in: SignIn, registry: Registry) -> None:
    client = signed_in("market-operator")
    answer = client.post(f"{PATH}/users", data=USER, headers=sign(client))
    assert faults(answer.text) == {}
    assert answer.status_code == 200
    shown = client.get(answer.headers["hx-redirect"]).text
    assert "anna@example.org" in shown
    assert registry.portfolio()[0][0] == "h001"
    assert "1 sites" in client.get(PATH).text


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"email": "anna", "usage_point.import_max_w": "much"}, {"email", "usage_point.import_max_w"}),
        ({"name": "", "building.geo_zone": "Berlin"}, {"name", "building.geo_zone"}),
        ({"assets[1].type_id": "ROCKET"}, {"assets[0].type_id"}),
    ],
)
def test_all_that_is_wrong_stands_beside_its_field(
    signed_in: SignIn, registry: Registry, changes: dict[str, Any], wrong: set[str]
) -> None:
    client = signed_in("market-operator")
    answer = client.post(f"{PATH}/users", data=USER | changes, headers=sign(client))
    assert answer.status_code == 422
    assert set(faults(answer.text)) == wrong
    assert registry.users() == []


def test_a_user_is_put_right_and_erased_after_the_id_was_typed(signed_in: SignIn, registry: Registry) -> None:
    client = signed_in("market-operator")
    client.post(f"{PATH}/users", data=USER, headers=sign(client))
    (user,) = registry.users()
    path = f"{PATH}/users/{user.user_id}"
    client.post(f"{path}/details", data={"name": "Anna B.", "email": user.email}, headers=sign(client))
    assert "Anna B." in client.get(path).text
    assert (
        client.post(f"{path}/erase", data={"confirmation": "h001"}, headers=sign(client)).status_code == 422
    )
    assert client.post(f"{path}/erase", data={"confirmation": user.user_id}, headers=sign(client)).is_success
    assert registry.users() == []


@pytest.mark.parametrize("kind", ["roles", "building-types", "asset-types", "sensor-types"])
def test_a_catalogue_is_listed_with_a_form_for_each_entry(signed_in: SignIn, kind: str) -> None:
    client = signed_in("market-operator")
    links = re.findall(
        rf'href="({PATH}/catalogues/{kind}/entry\?name=[^"]+)"', client.get(f"{PATH}/catalogues/{kind}").text
    )
    assert len(links) > 3
    assert "value=" in client.get(links[0]).text


def test_an_entry_is_made_changed_and_removed(signed_in: SignIn) -> None:
    client, path = signed_in("market-operator"), f"{PATH}/catalogues/sensor-types"
    entry = {
        "sensor_type_id": "CO2",
        "quantity": "RATIO",
        "unit": "ppm",
        "resolution": "1",
        "range_min": "0",
        "range_max": "5000",
    }
    wrong = client.post(path, data=entry | {"range_max": "-1", "resolution": "x"}, headers=sign(client))
    assert "resolution" in faults(wrong.text)
    assert client.post(path, data=entry, headers=sign(client)).is_success
    assert 'value="ppm"' in client.get(f"{path}/entry?name=CO2").text
    assert client.post(
        f"{path}/remove?name=CO2", data={"confirmation": "CO2"}, headers=sign(client)
    ).is_success
    assert "CO2" not in client.get(path).text


def test_nobody_else_gets_in(signed_in: SignIn) -> None:
    client = signed_in("aggregator")
    assert client.get(PATH).status_code == 403
    assert client.post(f"{PATH}/users", data=USER, headers=sign(client)).status_code == 403
