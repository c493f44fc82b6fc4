"""The OpenAPI document, and the interface against it."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from interface_house import House, Played

from environments.http.openapi import document_of
from ontology.discourse import Acknowledgement

HOUSE = House(portals=Played(Acknowledgement(of="m1")))
DOCUMENT = json.loads(document_of(HOUSE.api.litestar))
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.base_url = "http://api"
ROLES = ("repository", "prosumer", "dso")


def test_every_operation_says_who_may_call_and_how_it_fails():
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            assert "Who: " in operation["description"]
            assert {"401", "403", "422", "429", "500"} <= operation["responses"].keys()


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_conforms_and_is_no_internal_error(case):
    for role in ROLES:
        body, headers = case.as_transport_kwargs(base_url="http://api"), {}
        answer = HOUSE.call(
            body["method"],
            case.formatted_path,
            role=role,
            content=_body(body),
            headers={
                **headers,
                **{k: v.encode() for k, v in (body.get("headers") or {}).items() if k != "Authorization"},
            },
            query=_parameters(body),
        )
        assert answer.status_code != 500, answer.text
        if answer.status_code not in (204, 304) and not case.path.endswith("openapi.json"):
            assert answer.headers.get("content-type") == "application/json", (
                answer.status_code,
                answer.text,
                case.method,
                case.formatted_path,
            )
            told = answer.json()
            assert told["status"] == ("ok" if answer.is_success else "failed")
            assert str(answer.status_code) in case.operation.definition.raw["responses"]


def _body(sent: dict) -> bytes | None:
    if sent.get("json") is not None:
        return json.dumps(sent["json"]).encode()
    data = sent.get("data")
    return data.encode() if isinstance(data, str) else data


def _parameters(sent: dict) -> dict:
    return {str(name): value for name, value in (sent.get("params") or {}).items()}
