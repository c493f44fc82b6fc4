"""How every response looks: `{status, errors, data}` (D8.1 Table 2), whatever went well or wrong."""

import re
import traceback
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Literal

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)

from ontology.errors import InvalidInput, NotUnderstood, ParityError, Problem, consequence_of

__all__ = [
    "Answer",
    "Fault",
    "NotThere",
    "TimedOut",
    "TooMany",
    "WrongState",
    "answer_error",
    "done",
    "failed",
]

log = structlog.get_logger()
JSON = "application/json"


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: in which field or parameter, what stands there, what was expected."""

    field: str
    value: str
    expected: str


class Answer(msgspec.Struct, frozen=True):
    """The body of every response."""

    status: Literal["ok", "failed"]
    errors: list[Fault] = []
    data: Any = None


class TimedOut(ParityError):
    """The addressed agent did not answer in time (504)."""


class WrongState(ParityError):
    """A condition of the request, such as If-Match, does not hold (412)."""


class NotThere(ParityError):
    """What the path names is not there (404)."""


class TooMany(ParityError):
    """More requests than the token is granted (429)."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many requests; again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


_encode = msgspec.json.Encoder().encode
_STATUSES: dict[type[ParityError], int] = {NotThere: 404, TimedOut: 504, WrongState: 412, TooMany: 429}


def done(data: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return the response to a call that succeeded."""
    return Response(_encode(Answer("ok", [], data)), status_code=status, media_type=JSON, headers=headers)


def failed(
    status: int, problems: Iterable[Problem], headers: dict[str, str] | None = None, *, data: Any = None
) -> Response[bytes]:
    """Return the response to a call that failed, and why."""
    faults = [Fault(each.path, each.value, each.expected) for each in problems]
    return Response(
        _encode(Answer("failed", faults, data)), status_code=status, media_type=JSON, headers=headers
    )


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Turn whatever a handler raised into a response; a bug is logged, and told without its details."""
    if isinstance(error, InvalidInput | NotUnderstood):
        return failed(consequence_of(error).http_status, error.problems)
    if isinstance(error, ParityError):
        return _answer_refusal(error)
    if isinstance(error, ValidationException):
        return failed(422, _parameter_problems(request, error))
    if isinstance(error, HTTPException):
        return _answer_http(request, error)
    # no exc_info: some renderers of logs print local variables, and there are tokens among them
    trace = "".join(traceback.format_exception(error))
    log.error("request failed", route=request.scope.get("path_template", ""), trace=trace)
    return failed(500, [Problem("", "", "an internal error; it was written down")])


def methods_at(app: Litestar, path: str) -> list[str]:
    """Return the methods that a path knows."""
    found: set[str] = set()
    for route in app.routes:
        pattern = re.sub(r"\{[^}]*\}", "[^/]+", route.path)
        if re.fullmatch(pattern, path.rstrip("/") or "/"):
            found |= set(getattr(route, "methods", ()))
    return sorted(found)


def _answer_refusal(error: ParityError) -> Response[bytes]:
    status = _STATUSES.get(type(error)) or consequence_of(error).http_status
    headers = {"Retry-After": str(int(error.retry_after_s) + 1)} if isinstance(error, TooMany) else None
    return failed(status, [Problem("", "", str(error))], headers)


def _answer_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = error.status_code
    headers = dict(error.headers or {})
    said = Problem("", "", error.detail or HTTPStatus(status).phrase)
    if isinstance(error, NotFoundException):
        said = Problem("path", request.url.path, "a path of this interface; see /schema/openapi.json")
    elif isinstance(error, MethodNotAllowedException):
        headers["Allow"] = ", ".join(methods_at(request.app, request.url.path))
        said = Problem("method", request.method, f"one of {headers['Allow']}")
    elif status == 413:
        said = Problem("body", "too long", "a shorter body, or an upload in pieces: /api/v1/uploads/{entity}")
    return failed(status, [said], headers)


def _parameter_problems(request: Request[Any, Any, Any], error: ValidationException) -> list[Problem]:
    """Name every missing or invalid parameter; Litestar collects them all."""
    given = {**dict(request.query_params.items()), **request.path_params, **dict(request.headers.items())}
    extra = error.extra if isinstance(error.extra, list) else []
    found = [
        Problem(
            str(each.get("key", "")),
            str(given.get(each.get("key", ""), "missing")),
            str(each.get("message", "")),
        )
        for each in extra
        if isinstance(each, dict)
    ]
    return found or [Problem("parameters", "", error.detail)]
