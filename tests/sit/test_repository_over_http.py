"""REPO-1 and REPO-2 of D8.1's Table 2 over HTTP: every entity, on SQLite and PostgreSQL."""

import msgspec
import pytest
from interface_house import API, House, plain

from environments.repository.keys import ENTITIES, TIME_FIELDS, is_timeless, key_of
from environments.repository.store import SqlRepository
from tests.environments.repository.facts import storable
from tests.ontology.ontology_samples import USUAL, sample

EVERY_ENTITY = sorted(ENTITIES)
OF_A_TIME = [entity for entity in EVERY_ENTITY if not is_timeless(entity)]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def house(request) -> House:
    if request.param == "sqlite":
        return House()
    cluster = request.getfixturevalue("postgresql_cluster")
    return House(repository=SqlRepository(cluster.new_database()))


def facts(house: House, method: str, entity: str, ending: str = "", **how):
    market = f"m-{EVERY_ENTITY.index(entity)}"
    answer = house.call(method, f"{API}/facts/{entity}{ending}", role="repository", market=market, **how)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"status", "errors", "data"}
    assert (body["status"] == "ok") == answer.is_success == (not body["errors"])
    return answer.status_code, body


@pytest.mark.parametrize("entity", EVERY_ENTITY)
def test_repo_1_a_valid_fact_succeeds_and_one_that_lacks_or_breaks_something_fails(house, entity):
    fact = storable(sample(entity, USUAL))
    status, told = facts(house, "POST", entity, json=fact)
    assert (status, told["data"]) == (201, {"stored": 1})
    about = {"subject": key_of(fact).subject} if key_of(fact).subject else {}
    assert facts(house, "GET", entity, "/latest", **about)[1]["data"] == plain(fact)

    required = [field.encode_name for field in msgspec.structs.fields(ENTITIES[entity]) if field.required]
    status, told = facts(house, "POST", entity, json={"colour": "red"})
    assert status == 422
    assert {fault["field"] for fault in told["errors"]} == {*required, "colour"}
    assert all(fault["expected"] for fault in told["errors"])
    span = {} if is_timeless(entity) else {"start": 0, "end": 253_402_300_799}
    assert facts(house, "GET", entity, "/count", **span)[1]["data"] == {"count": 1}


@pytest.mark.parametrize("entity", OF_A_TIME)
def test_repo_1_a_required_parameter_that_is_missing_fails(house, entity):
    status, told = facts(house, "GET", entity)
    assert (status, [fault["field"] for fault in told["errors"]]) == (422, ["start", "end"])


@pytest.mark.parametrize("entity", OF_A_TIME)
def test_repo_2_all_events_of_a_period_are_returned_in_their_order(house, entity):
    field = next(each for each in TIME_FIELDS if each in ENTITIES[entity].__struct_fields__)
    usual = storable(sample(entity, USUAL))
    at_s = [getattr(usual, field) - 900 * step for step in (2, 5, 3, 4)]
    written = [msgspec.structs.replace(usual, **{field: time_s}) for time_s in at_s]
    assert facts(house, "POST", entity, json=written)[0] == 201
    span = {"start": min(at_s), "end": max(at_s)}
    found = facts(house, "GET", entity, **span)[1]["data"]["items"]
    assert [each[field] for each in found] == sorted(at_s)[:-1]
