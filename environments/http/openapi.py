"""The OpenAPI document: what Litestar knows of the routes, with the ontology's schemas and the one answer."""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from environments.http.access import Rule, rule_of, ruled_handlers
from environments.http.answers import Answer
from environments.repository.keys import ENTITIES
from ontology.base import Concept
from ontology.codec import MESSAGE_TYPES

__all__ = ["document_of"]

_FAILURES = {
    "400": "the body cannot be read",
    "401": "no token, or one that is unknown, expired or revoked",
    "403": "the token does not grant this",
    "404": "there is no such path, site or agent",
    "405": "the path does not know the method",
    "409": "it contradicts what is held",
    "412": "If-Match or If-None-Match does not hold",
    "413": "the body is too long",
    "415": "the content type is none that is read here",
    "422": "everything that is missing or invalid, by field or parameter",
    "429": "too many requests; see Retry-After",
    "500": "an internal error",
    "503": "database, community or agent cannot be reached",
    "504": "the agent has not answered in time",
}
_UPLOADS = ("application/x-ndjson", "text/csv", "application/vnd.apache.parquet")
_BEARER = "bearer"


def document_of(app: Litestar) -> bytes:
    """Return the document of an application, made once."""
    if "openapi" not in app.state:
        app.state["openapi"] = msgspec.json.encode(_document(app))
    made = app.state["openapi"]
    assert isinstance(made, bytes)
    return made


def _document(app: Litestar) -> dict[str, Any]:
    config = OpenAPIConfig(
        title="parity-mas",
        version="1",
        path="/unused",
        description="Repository, market, grid and flexibility of a local energy community (D8.1 §3).",
        components=Components(
            security_schemes={_BEARER: SecurityScheme(type="http", scheme="bearer", description="a token")}
        ),
    )
    described = Litestar(route_handlers=app.state["routes"], openapi_config=config)
    document = described.openapi_schema.to_schema()
    document["components"]["schemas"] = _schemas()
    by_place = {(method, path): handler for method, path, handler in ruled_handlers(app)}
    for method, path, operation in _operations(document):
        handler = by_place[method, path]
        rule = rule_of(handler)
        assert rule is not None
        _complete(operation, path, rule, handler.opt)
    document["paths"] = {path: document["paths"][path] for path in sorted(document["paths"])}
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete"):
                yield method.upper(), path, operation


def _complete(operation: dict[str, Any], path: str, rule: Rule, opt: dict[str, Any]) -> None:
    """Say what a body is, what is answered, and who may call."""
    if rule.needs_token:
        operation["security"] = [{_BEARER: []}]
    else:
        operation["security"] = []
    operation["description"] = f"{operation.get('description', '')}\n\nWho: {rule.says}.".strip()
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter["name"] == "entity" and parameter["in"] == "path":
            parameter["schema"] = {"type": "string", "enum": [name.partition(":")[2] for name in ENTITIES]}
    body = opt.get("body")
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _content(body)}
    if body in ("facts",):
        operation.setdefault("parameters", []).append(
            _header("Idempotency-Key", "answers a repetition as before")
        )
    good = {code: each for code, each in operation["responses"].items() if code.startswith("2")}
    for each in good.values():
        each["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/Success"}}}
    if path.endswith("openapi.json"):
        good["200"]["content"] = {"application/vnd.oai.openapi+json": {"schema": {"type": "object"}}}
    if body == "fact":
        good["201"] = dict(good["200"], description="stored for the first time")
    failures = {
        code: {
            "description": text,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
        }
        for code, text in _FAILURES.items()
    }
    operation["responses"] = good | failures
    if "If-None-Match" in opt.get("conditions", ()):
        operation["responses"]["304"] = {"description": "unchanged since that ETag"}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that may be left out: when it is there it is not null."""
    choices = [each for each in schema.get("oneOf", ()) if each != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _content(body: Any) -> dict[str, Any]:
    if body == "upload":
        return {each: {"schema": {"type": "string", "format": "binary"}} for each in _UPLOADS}
    if isinstance(body, dict):
        return {"application/json": {"schema": body}}
    facts = {"anyOf": [_reference(cls) for cls in ENTITIES.values()]}
    if body == "facts":
        many = {"type": "array", "items": facts, "minItems": 1, "maxItems": 10_000}
        return {"application/json": {"schema": {"anyOf": [facts, many]}}}
    schema = facts if body == "fact" else _reference(body)
    return {"application/json": {"schema": schema}}


def _reference(cls: type[Concept]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{cls.__name__}"}


def _header(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": 255, "pattern": "^[!-~]+$"}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


def _schemas() -> dict[str, Any]:
    """Return the schemas of all that is said and answered."""
    template = "#/components/schemas/{name}"
    _, made = msgspec.json.schema_components([*MESSAGE_TYPES.values(), Answer], ref_template=template)
    answer = made.pop("Answer")
    fault = {"$ref": "#/components/schemas/Fault"}
    required = ["status", "errors", "data"]
    made["Success"] = {
        **answer,
        "title": "Success",
        "required": required,
        "properties": {
            "status": {"const": "ok"},
            "errors": {"type": "array", "maxItems": 0},
            "data": {},
        },
    }
    made["Failure"] = {
        **answer,
        "title": "Failure",
        "required": required,
        "properties": {
            "status": {"const": "failed"},
            "errors": {"type": "array", "items": fault, "minItems": 1},
            "data": {"type": ["object", "null"]},
        },
    }
    return dict(sorted(made.items()))
