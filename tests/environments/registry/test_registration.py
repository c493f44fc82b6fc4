"""People come in: everything is made, or nothing, and every problem is named."""

import msgspec
import pytest
from registry_samples import ANNA, BORIS, NOW_S, files_of, household, inline, new_registry, opened_registry

from behaviours.sealing import sealed_for
from environments.repository.people_tables import people
from ontology.errors import InvalidInput
from ontology.privacy import PseudonymScope
from ontology.registration import ConsentPurpose, NewAsset, NewBuilding, NewSensor
from ontology.users import User, UserStatus


def test_a_household_is_registered_with_all_that_belongs_to_it(registry):
    user = inline(registry.register(household(), NOW_S, "operator", ANNA))
    assert (user.name, user.email, user.status) == (ANNA.name, ANNA.email, UserStatus.ACTIVE)
    assert user.user_id.startswith("u_")
    assert user.wallet_id.startswith("w_")
    assert registry.portfolio() == [("h001", "segment-001", user.user_id)]
    owned = [each for each in inline(registry.catalogue.entries("assets")) if each.owner == user.user_id]
    assert [each.asset_id for each in owned] == ["h001-bess", "h001-pv", "h001-pv-2"]
    assert {each.sensor_id for each in inline(registry.catalogue.entries("sensors"))} == {
        "h001-sensor-1",
        "h001-sensor-2",
    }
    assert [each.purpose for each in inline(registry.consents(user.user_id))] == [ConsentPurpose.FLEXIBILITY]
    assert len(registry.accounts(user.user_id)) == 1
    assert [each.action for each in registry.audit.about(user.user_id)] == ["register"]


def test_details_may_come_sealed_for_the_registry(registry):
    box = sealed_for(registry.public_key, msgspec.json.encode(ANNA))
    user = inline(registry.register(household(details_sealed=box), NOW_S, "market@localhost"))
    assert registry.user(user.user_id).name == ANNA.name


def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_kept(registry):
    inline(registry.register(household(), NOW_S, "operator", ANNA))
    before = registry.users()
    wrong = household(
        role_id="BARON",
        building=NewBuilding(type_id="CASTLE", geo_zone="DE-1"),
        assets=[NewAsset(type_id="BESS", rated_power_w=1), NewAsset(type_id="WINDMILL", rated_power_w=1)],
        sensors=[NewSensor(sensor_type_id="MOOD", asset=7)],
    )
    with pytest.raises(InvalidInput) as caught:
        inline(registry.register(wrong, NOW_S, "operator", ANNA))
    assert [each.path for each in caught.value.problems] == [
        "role_id",
        "email",
        "site",
        "building.type_id",
        "assets[0].capacity_wh",
        "assets[1].type_id",
        "sensors[0].sensor_type_id",
        "sensors[0].asset",
    ]
    assert ANNA.email not in str(caught.value)
    assert registry.users() == before


def test_a_prosumer_without_a_connection_is_none(registry):
    bare = household(site="", segment_id="", building=None, usage_point=None, assets=[], sensors=[])
    with pytest.raises(InvalidInput) as caught:
        inline(registry.register(bare, NOW_S, "operator", ANNA))
    missing = [each.path for each in caught.value.problems]
    assert missing == ["site", "segment_id", "building", "usage_point"]


@pytest.mark.parametrize("box", ["", "not a seal", "A" * 200])
def test_details_that_are_not_sealed_for_the_registry_are_a_problem_among_the_others(registry, box):
    with pytest.raises(InvalidInput) as caught:
        inline(registry.register(household(role_id="BARON", details_sealed=box), NOW_S, "market@localhost"))
    assert len(caught.value.problems) == 2


def test_an_operator_needs_no_site(registry):
    bare = household(
        site="", segment_id="", building=None, usage_point=None, assets=[], sensors=[], role_id="DSO"
    )
    user = inline(registry.register(bare, NOW_S, "operator", BORIS))
    assert registry.portfolio() == []
    assert [each.subject for each in inline(registry.consents(user.user_id))] == [user.user_id]


@pytest.mark.parametrize("step", ["put", "issued", "activate"])
def test_a_registration_that_is_cut_off_can_be_made_again(registry, monkeypatch, step):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    owner = {"put": registry.catalogue, "issued": registry.pseudonyms, "activate": registry._people}[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, killed)
        with pytest.raises(Killed):
            inline(registry.register(household(), NOW_S, "operator", ANNA))
    user = inline(registry.register(household(), NOW_S, "operator", ANNA))
    assert [each.user_id for each in registry.users()] == [user.user_id]
    assert {each.owner for each in inline(registry.catalogue.entries("assets"))} == {user.user_id}


def test_no_file_of_a_registry_names_anybody(registry, tmp_path):
    inline(registry.register(household(), NOW_S, "operator", ANNA))
    stored = files_of(tmp_path)
    for told in (ANNA.name, ANNA.email, "Anna", "anna.b"):
        assert told.encode() not in stored
    assert b"h001-pv" in stored


def test_who_has_the_database_without_the_keys_reads_nothing(registry, tmp_path):
    inline(registry.register(household(), NOW_S, "operator", ANNA))
    with registry._facts.engines.reading() as connection:
        row = connection.execute(people.select()).mappings().one()
    other = new_registry(tmp_path / "other")
    key = other._keys.create_person(row["user_id"])
    assert key is not None
    with other._facts.engines.writing() as connection:
        connection.execute(people.insert().values(dict(row)))
    with pytest.raises(InvalidInput):
        other.user(row["user_id"])
    other.close()


def test_a_registry_opened_again_knows_everybody(registry, tmp_path):
    user = inline(registry.register(household(), NOW_S, "operator", ANNA))
    again = opened_registry(tmp_path)
    assert again.user(user.user_id) == user
    again.close()


def test_name_and_email_can_be_put_right(registry):
    user = inline(registry.register(household(), NOW_S, "operator", ANNA))
    corrected = registry.correct(user.user_id, BORIS, NOW_S + 60, "operator")
    assert (corrected.name, corrected.email) == (BORIS.name, BORIS.email)
    assert registry.user(user.user_id) == corrected


def test_a_user_is_valid_json(registry):
    user = inline(registry.register(household(), NOW_S, "operator", ANNA))
    assert msgspec.json.decode(msgspec.json.encode(user), type=User) == user


@pytest.mark.server
def test_people_may_be_kept_in_postgresql(postgresql_url, tmp_path):
    registry = new_registry(tmp_path, postgresql_url)
    user = inline(registry.register(household(), NOW_S, "operator", ANNA))
    assert registry.user(user.user_id).name == ANNA.name
    issued = inline(
        registry.pseudonyms.issue("h001", PseudonymScope.LEM, NOW_S, NOW_S, "h001-oracle@localhost")
    )
    assert [issued.pseudonym] == registry.accounts(user.user_id)
    inline(registry.erase(user.user_id, NOW_S, "operator"))
    assert registry.users() == []
    registry.close()
