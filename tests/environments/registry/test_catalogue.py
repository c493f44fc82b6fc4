"""The catalogues: seeded with the codes of the field, kept whole."""

import msgspec
import pytest
from registry_samples import ANNA, NOW_S, household, inline

from environments.registry.catalogue import KINDS
from ontology.assets import Asset, AssetCode, AssetType, BuildingCode, ControlType
from ontology.errors import Conflict, InvalidInput
from ontology.measurements import Quantity, Sensor
from ontology.users import UserRoleCode

CODES = {
    "roles": UserRoleCode,
    "building-types": BuildingCode,
    "asset-types": AssetCode,
    "sensor-types": Quantity,
}


@pytest.mark.parametrize("kind", CODES)
def test_there_is_an_entry_for_every_code(registry, kind):
    names = inline(registry.catalogue.names(KINDS[kind]))
    assert set(names) == {str(code) for code in CODES[kind]}


def test_an_entry_is_made_read_replaced_and_removed(registry):
    heater = AssetType(type_id="POOL_HEATER", code=AssetCode.DHW)
    inline(registry.catalogue.put(heater))
    assert inline(registry.catalogue.get("asset-types", "POOL_HEATER")) == heater
    better = msgspec.structs.replace(heater, control_type=ControlType.FRBC)
    inline(registry.catalogue.put(better))
    assert inline(registry.catalogue.get("asset-types", "POOL_HEATER")) == better
    assert inline(registry.catalogue.remove("asset-types", "POOL_HEATER"))
    assert inline(registry.catalogue.get("asset-types", "POOL_HEATER")) is None
    assert not inline(registry.catalogue.remove("asset-types", "POOL_HEATER"))


def test_seeding_again_leaves_what_was_changed(registry):
    changed = AssetType(type_id="PV", code=AssetCode.PV, control_type=ControlType.PPBC)
    inline(registry.catalogue.put(changed))
    inline(registry.catalogue.seed())
    assert inline(registry.catalogue.get("asset-types", "PV")) == changed


def test_an_entry_that_refers_to_nothing_is_refused_with_every_reference(registry):
    lost = Asset(asset_id="a", type_id="WINDMILL", owner="u", usage_point_id="nowhere", rated_power_w=1)
    with pytest.raises(InvalidInput) as caught:
        inline(
            registry.catalogue.put(lost, Sensor(sensor_id="s", sensor_type_id="MOOD", sampling_period_s=1))
        )
    assert [each.path for each in caught.value.problems] == [
        "a.type_id",
        "a.usage_point_id",
        "s.sensor_type_id",
    ]
    assert inline(registry.catalogue.entries("assets")) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [("asset-types", "PV"), ("building-types", "RESIDENTIAL"), ("usage-points", "h001-connection")],
)
def test_what_others_refer_to_stays(registry, kind, name):
    inline(registry.register(household(), NOW_S, "operator", ANNA))
    with pytest.raises(Conflict, match="h001"):
        inline(registry.catalogue.remove(kind, name))


def test_an_unknown_kind_is_named(registry):
    with pytest.raises(InvalidInput, match="asset-types"):
        inline(registry.catalogue.entries("windmills"))
