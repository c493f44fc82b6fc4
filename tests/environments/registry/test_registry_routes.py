"""The registry over HTTP: who may do what, and nobody is named where it is not due."""

import asyncio
import io
import zipfile

import httpx
import msgspec
import pytest
from registry_samples import ANNA, BORIS, NOW_S, household, inline

from behaviours.decisions.pseudonyms import is_pseudonym
from contracts.memory import MemoryLedger
from environments.http import Services, application
from environments.http.access import ruled_handlers
from environments.http.access_database import AccessDatabase
from environments.http.openapi import document_of
from environments.http.routes import ROUTES
from environments.http.routes.registry import REGISTRY
from environments.repository import SqlRepository
from ontology.roles import Role

API = "/api/v1"
OPERATOR, MEMBER, NODE, ALL = (
    {Role.MARKET_OPERATOR},
    {Role.PROSUMER, Role.UI},
    {Role.ORACLE, Role.BLOCKCHAIN},
    {*Role},
)
MATRIX = {
    ("POST", "/registry/users"): OPERATOR,
    ("GET", "/registry/users"): OPERATOR,
    ("GET", "/registry/users/{user_id}"): OPERATOR,
    ("PUT", "/registry/users/{user_id}/details"): OPERATOR,
    ("DELETE", "/registry/users/{user_id}"): OPERATOR,
    ("GET", "/registry/users/{user_id}/export"): OPERATOR,
    ("GET", "/registry/sites/{site}/export"): MEMBER,
    ("GET", "/registry/sites/{site}/consents"): MEMBER,
    ("POST", "/registry/sites/{site}/consents"): MEMBER,
    ("GET", "/registry/sites/{site}/wallet"): MEMBER,
    ("POST", "/pseudonyms"): NODE,
    ("GET", "/catalogues"): ALL,
    ("GET", "/catalogues/{kind}"): ALL,
    ("GET", "/catalogues/{kind}/{name}"): ALL,
    ("PUT", "/catalogues/{kind}/{name}"): OPERATOR,
    ("DELETE", "/catalogues/{kind}/{name}"): OPERATOR,
}


class Office:
    """The interface over a registry, called without a network."""

    def __init__(self, registry) -> None:
        self.registry = registry
        self.ledger = MemoryLedger()
        self.services = Services(
            SqlRepository(),
            AccessDatabase(),
            lambda: float(NOW_S),
            requests_per_s=1e6,
            more={"registry": registry, "ledger": self.ledger},
        )
        self.api = application(self.services, (*ROUTES, REGISTRY))

    def call(self, role, method, path, subjects=(), **more):
        bound = ("h001",) if role in (Role.PROSUMER, Role.UI, *NODE) or role in _OF_A_SITE else ()
        token, _ = self.services.tokens.create("a test", role, subjects or bound)

        async def call():
            transport = httpx.ASGITransport(app=self.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                headers = {"Authorization": f"Bearer {token}"} if role else {}
                return await client.request(method, API + path, headers=headers, **more)

        return asyncio.run(call())


_OF_A_SITE = (Role.GATEWAY, Role.PV, Role.BESS, Role.EV, Role.P2H)


@pytest.fixture
def office(registry) -> Office:
    return Office(registry)


@pytest.fixture
def anna(registry):
    return inline(registry.register(household(), NOW_S, "operator", ANNA))


def form(**changes):
    told = msgspec.to_builtins(household())
    return {**told, "name": ANNA.name, "email": ANNA.email, **changes}


def filled(path):
    values = {"{user_id}": "u_x", "{site}": "h001", "{kind}": "roles", "{name}": "X"}
    for name, value in values.items():
        path = path.replace(name, value)
    return path


def test_every_role_is_refused_what_is_not_its_own(office):
    served = {(method, path) for method, path, _ in ruled_handlers(office.api.litestar)}
    assert {(method, API + path) for method, path in MATRIX} <= served
    for (method, path), granted in MATRIX.items():
        for role in Role:
            status = office.call(role, method, filled(path), content=b"?").status_code
            assert (status == 403) == (role not in granted), (method, path, role, status)


def test_a_user_is_registered_shown_put_right_and_erased(office):
    made = office.call(Role.MARKET_OPERATOR, "POST", "/registry/users", json=form())
    assert (made.status_code, made.json()["status"]) == (201, "ok")
    user_id = made.json()["data"]["user_id"]
    shown = office.call(Role.MARKET_OPERATOR, "GET", f"/registry/users/{user_id}").json()["data"]
    assert (shown["name"], shown["email"]) == (ANNA.name, ANNA.email)
    details = {"name": BORIS.name, "email": BORIS.email}
    office.call(Role.MARKET_OPERATOR, "PUT", f"/registry/users/{user_id}/details", json=details)
    (listed,) = office.call(Role.MARKET_OPERATOR, "GET", "/registry/users").json()["data"]
    assert listed["name"] == BORIS.name
    assert office.call(Role.MARKET_OPERATOR, "DELETE", f"/registry/users/{user_id}").status_code == 200
    gone = office.call(Role.MARKET_OPERATOR, "GET", f"/registry/users/{user_id}").json()["data"]
    assert (gone["status"], gone["name"]) == ("ERASED", "")


def test_all_that_is_wrong_with_a_form_is_named_at_once(office):
    wrong = form(email="nobody", role_id=7, colour="red", assets=[{"type_id": "PV"}])
    answer = office.call(Role.MARKET_OPERATOR, "POST", "/registry/users", json=wrong)
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["errors"]} == {
        "email",
        "role_id",
        "colour",
        "assets[0].rated_power_w",
    }


def test_a_member_gives_and_withdraws_consent_for_its_own_site_only(office, anna):
    said = office.call(
        Role.UI, "POST", "/registry/sites/h001/consents", json={"purpose": "FLEXIBILITY", "given": False}
    )
    assert said.status_code == 201
    assert said.json()["data"]["time_s"] == NOW_S
    history = office.call(Role.PROSUMER, "GET", "/registry/sites/h001/consents").json()["data"]
    assert [each["given"] for each in history] == [False]
    for method, what in (("GET", "consents"), ("POST", "consents"), ("GET", "export"), ("GET", "wallet")):
        answer = office.call(Role.UI, method, f"/registry/sites/h001/{what}", ("h002",), json={})
        assert answer.status_code in (403, 422)
        assert answer.json()["data"] is None


def test_a_member_sees_its_wallet(office, anna):
    (account,) = office.registry.accounts(anna.user_id)
    inline(office.ledger.open_accounts({"aggregator": 0, account: 500}))
    held = office.call(Role.UI, "GET", "/registry/sites/h001/wallet").json()["data"]
    assert held == {"balance_tokens": 500, "accounts": {account: 500}, "entries": []}


def test_an_export_comes_as_json_or_zip(office, anna):
    exported = office.call(Role.UI, "GET", "/registry/sites/h001/export").json()["data"]
    assert exported["user"]["name"] == ANNA.name
    packed = office.call(Role.UI, "GET", "/registry/sites/h001/export", params={"as_zip": "true"})
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert {name.removesuffix(".json") for name in archive.namelist()} == set(exported)


def test_an_oracle_learns_the_pseudonym_of_its_own_site(office, anna):
    asked = {"identity": "h001", "scope": "LEM", "time_s": NOW_S}
    told = office.call(Role.ORACLE, "POST", "/pseudonyms", json=asked)
    assert is_pseudonym(told.json()["data"]["pseudonym"])
    assert office.call(Role.ORACLE, "POST", "/pseudonyms", ("h002",), json=asked).status_code == 403
    again = {**asked, "identity": told.json()["data"]["pseudonym"]}
    subjects = (again["identity"],)
    assert office.call(Role.ORACLE, "POST", "/pseudonyms", subjects, json=again).status_code == 422


def test_catalogues_are_open_and_what_stands_at_a_site_is_not(office, anna):
    kinds = office.call(Role.PV, "GET", "/catalogues").json()["data"]
    assert "asset-types" in kinds
    assert len(office.call(Role.PV, "GET", "/catalogues/asset-types").json()["data"]) == 10
    assert len(office.call(Role.MARKET_OPERATOR, "GET", "/catalogues/assets").json()["data"]) == 3
    assert office.call(Role.UI, "GET", "/catalogues/assets", ("h002",)).json()["data"] == []


def test_an_entry_is_entered_replaced_and_removed(office, anna):
    heater = {"code": "DHW"}
    put = office.call(Role.MARKET_OPERATOR, "PUT", "/catalogues/asset-types/POOL", json=heater)
    assert put.json()["data"]["type_id"] == "POOL"
    lost = office.call(Role.MARKET_OPERATOR, "PUT", "/catalogues/asset-types/POOL", json={"code": "LAKE"})
    assert lost.status_code == 422
    assert office.call(Role.MARKET_OPERATOR, "DELETE", "/catalogues/asset-types/POOL").json()["data"] == {
        "removed": True
    }
    assert office.call(Role.MARKET_OPERATOR, "DELETE", "/catalogues/asset-types/PV").status_code == 409


def test_the_audit_log_of_calls_names_nobody(office):
    office.call(Role.MARKET_OPERATOR, "POST", "/registry/users", json=form())
    office.api.close()
    told = msgspec.json.encode(office.services.audit.last(100, "", 0))
    assert b"/registry/users" in told
    assert ANNA.name.encode() not in told
    assert ANNA.email.encode() not in told


def test_the_document_describes_the_registry(office):
    document = msgspec.json.decode(document_of(office.api.litestar))
    assert {API + path for _, path in MATRIX} <= document["paths"].keys()
