"""What the host says of itself: whether it is well, its document, who called what."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from environments.http.access import allowing, anybody, caller_of, roles, token_holders
from environments.http.answers import done
from environments.http.openapi import document_of
from environments.http.parameters import limit_of, unknown_parameters
from environments.http.services import services_of
from ontology.errors import InvalidInput
from ontology.roles import Role

__all__ = ["ADMINISTRATION", "OPEN"]

Calls = Request[Any, Any, Any]


@get("/health", opt=allowing(anybody()), summary="Whether the interface is up")
async def health(request: Calls) -> Response[bytes]:
    """Return whether a community runs here."""
    return done({"community": services_of(request).portals is not None})


@get("/schema/openapi.json", opt=allowing(anybody()), summary="This interface as an OpenAPI document")
async def openapi(request: Calls) -> Response[bytes]:
    """Return the OpenAPI document; it is the one answer that is not wrapped."""
    return Response(document_of(request.app), media_type="application/vnd.oai.openapi+json")


@get("/whoami", opt=allowing(token_holders()), summary="What the token grants")
async def whoami(request: Calls) -> Response[bytes]:
    """Return the caller as its token describes it."""
    return done(caller_of(request))


@get("/audit", opt=allowing(roles(Role.REPOSITORY), collects=True), summary="Who called what, newest first")
async def audit(
    request: Calls,
    limit: Annotated[str | None, Parameter(description="most entries, 1 to 1000")] = None,
    token: Annotated[str, Parameter(description="only of this token, by its id")] = "",
    before: Annotated[int, Parameter(ge=0, le=2**53, description="only entries before this number")] = 0,
) -> Response[bytes]:
    """Return entries of the audit log, for the repository's administrator."""
    problems = unknown_parameters(request)
    most = limit_of(limit, 1000, problems)
    if problems:
        raise InvalidInput(problems)
    return done(services_of(request).audit.last(most, token, before))


OPEN = [health, openapi]
ADMINISTRATION = [whoami, audit]
