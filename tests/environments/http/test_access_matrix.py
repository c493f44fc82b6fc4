"""Every role at every route: what the policy does not grant is refused. Routes are found, not listed here."""

from itertools import product

import pytest
from interface_house import API, House, Played
from litestar import Router, get

from environments.http import application
from environments.http.access import allowing, ruled_handlers, token_holders
from environments.http.interfaces import INTERFACES
from environments.http.routes import ROUTES
from environments.repository.keys import ENTITIES
from ontology.codec import message_type_of
from ontology.policy import may_read, may_send, may_write
from ontology.roles import Role
from tests.ontology.ontology_samples import LEAST, sample

HOUSE = House(portals=Played())
ROUTED = sorted({(method, path) for method, path, _ in ruled_handlers(HOUSE.api.litestar)})
OPEN = {("GET", "/health"), ("GET", "/schema/openapi.json")}
FOR_ALL = {("GET", f"{API}/whoami"), ("GET", f"{API}/entities")}
FOR_ADMINISTRATORS = {("GET", f"{API}/audit")}
OF_FACTS = {
    (method, path): granted
    for granted, methods, paths in (
        (may_read, ("GET",), ("", "/count", "/latest", "/subjects")),
        (may_write, ("POST", "PUT", "DELETE"), ("",)),
    )
    for method, path in product(methods, (f"{API}/facts/{{entity}}{end}" for end in paths))
} | {("POST", f"{API}/uploads/{{entity}}"): may_write}
OF_INTERFACES = {(row.method, API + row.path): row for row in INTERFACES}
EXPECTED = OPEN | FOR_ALL | FOR_ADMINISTRATORS | OF_FACTS.keys() | OF_INTERFACES.keys()
INVALID = b"?"
"""A body that no route takes, so that nothing is done where a call is let through."""


def test_every_route_has_its_line_in_this_matrix_and_every_line_a_route():
    assert set(ROUTED) == EXPECTED


def test_a_route_without_a_rule_does_not_start():
    @get("/unruled")
    async def unruled() -> None: ...

    with pytest.raises(TypeError, match="GET /unruled has no rule"):
        application(HOUSE.services, routes=(*ROUTES, unruled))


def test_a_route_module_of_others_brings_its_own():
    @get("/mine", opt=allowing(token_holders()))
    async def mine() -> dict[str, str]:
        return {"status": "ok"}

    house = House(routes=(*ROUTES, Router(API, route_handlers=[mine])))
    assert house.call("GET", f"{API}/mine").status_code == 401
    assert house.call("GET", f"{API}/mine", role="ui").status_code == 200


@pytest.mark.parametrize(("method", "path"), ROUTED)
def test_without_a_token_nothing_but_health_and_the_document_is_served(method, path):
    status = HOUSE.call(method, filled(path), content=INVALID).status_code
    assert status == (200 if (method, path) in OPEN else 401)


@pytest.mark.parametrize("role", Role)
def test_what_is_for_all_and_what_is_for_administrators(role):
    for method, path in FOR_ALL:
        assert HOUSE.call(method, path, role=role).status_code == 200
    for method, path in FOR_ADMINISTRATORS:
        assert HOUSE.call(method, path, role=role).status_code == (200 if role is Role.REPOSITORY else 403)


@pytest.mark.parametrize("role", Role)
def test_types_of_facts_are_granted_by_the_policy_alone(role):
    refused = {
        (method, path, entity)
        for (method, path), entity in product(OF_FACTS, ENTITIES)
        if HOUSE.call(method, filled(path, entity), role=role, content=INVALID).status_code == 403
    }
    ungranted = {
        (method, path, entity)
        for ((method, path), granted), entity in product(OF_FACTS.items(), ENTITIES)
        if not granted(role, entity)
    }
    assert ungranted <= refused
    for method, path, _ in refused - ungranted:
        assert path.endswith(("/latest", "/count", "/uploads/{entity}")) or method == "DELETE"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("row", INTERFACES, ids=lambda row: row.path)
def test_interfaces_are_for_their_callers_alone(row, role):
    answer = HOUSE.call(row.method, filled(API + row.path), role=role, content=INVALID)
    assert (answer.status_code == 403) == (role not in row.callers)
    assert answer.status_code != 401


@pytest.mark.parametrize("row", INTERFACES, ids=lambda row: row.path)
def test_an_interface_grants_nobody_what_the_policy_does_not(row):
    for role in row.callers:
        said, asked = message_type_of(row.concept), row.asks and message_type_of(row.asks)
        assert may_read(role, asked) if asked else may_send(role, said, row.act)


@pytest.mark.parametrize(
    ("row", "role"),
    [(r, role) for r in INTERFACES for role in r.callers if "{site}" in r.path],
    ids=lambda each: getattr(each, "path", each),
)
def test_whoever_is_bound_to_a_site_reaches_no_other(row, role):
    others = (API + row.path).replace("{site}", "h002")
    content = None if row.asks else sample(message_type_of(row.concept), LEAST)
    status = HOUSE.call(row.method, others, role=role, subjects=("h001",), json=content).status_code
    if role is Role.AGGREGATOR:
        assert status != 403
    else:
        assert status in (403, 422)


def filled(path: str, entity: str = "parity:IntervalReading") -> str:
    return path.replace("{entity}", entity).replace("{site}", "h001")
