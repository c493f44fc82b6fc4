"""How a console page knows who looks at it: by the session's cookie; and what changes must bring."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException

from environments.http.access import AUTHENTICATE, Rule, allowing
from environments.http.console.sessions import COOKIE, SIGN_HEADER, Session
from environments.http.services import Services
from environments.http.tokens import Caller
from ontology.errors import Refused

__all__ = ["may_read_bodies", "session_of", "shown_to"]

Connection = ASGIConnection[Any, Any, Any, Any]
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def shown_to(rule: Rule, **more: Any) -> dict[str, Any]:
    """Return the `opt` of a console route that a rule guards, for those who are signed in."""
    return allowing(rule, **{AUTHENTICATE: _signed_in, **more})


def session_of(connection: Connection) -> Session | None:
    """Return the session that a request belongs to, if it does to one."""
    cookie = connection.cookies.get(COOKIE, "")
    services: Services = connection.app.state["services"]
    return services.sessions.session(cookie) if cookie else None


def may_read_bodies(caller: Caller) -> bool:
    """Return whether somebody may read what letters say, of those that it may see at all."""
    return caller.party.is_bound or "bodies" in caller.rights


def _signed_in(connection: Connection, services: Services) -> Caller:
    """Return who is signed in.

    Raises: NotAuthorizedException without a session, Refused when a change does not bring the session's sign.
    """
    session = session_of(connection)
    if session is None:
        services.rates.take(f"stranger {connection.client.host if connection.client else ''}")
        raise NotAuthorizedException("not signed in")
    if connection.scope.get("method") not in READS and connection.headers.get(SIGN_HEADER) != session.sign:
        raise Refused("a change must come from a page of this session")
    connection.scope["auth"] = session
    return session.caller
