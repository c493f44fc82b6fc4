"""Who may call what: every route carries a rule, and nothing is served without one (default deny).

```python
@get("/weather", opt=allowing(reading("parity:WeatherForecast")))
```
Rules speak of roles only; what a caller may see of a type is decided fact by fact (`ontology/ownership.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from environments.http.entities import entity_of
from environments.http.rates import Rates
from environments.http.tokens import Caller
from ontology.errors import InvalidInput, Refused
from ontology.performatives import Performative
from ontology.policy import may_read, may_send, may_write
from ontology.roles import Role

__all__ = [
    "AUTHENTICATE",
    "Rule",
    "allowing",
    "anybody",
    "asking",
    "caller_of",
    "guard",
    "reading",
    "roles",
    "rule_of",
    "ruled_handlers",
    "speaking",
    "token_holders",
    "writing",
]

_RULE = "rule"
_SERVICES = "services"
AUTHENTICATE = "authenticate"
"""In the `opt` of a route: how it knows who calls, where that is not by token."""


class Rule(NamedTuple):
    """Who may call a route: whether a role may, given the parameters in the path."""

    says: str
    permits: Callable[[Role, Mapping[str, Any]], bool]
    needs_token: bool = True


def anybody() -> Rule:
    """Return the rule of what is open: no token is asked for."""
    return Rule("anybody", lambda role, path: True, needs_token=False)


def token_holders() -> Rule:
    """Return the rule of what everybody with a token may call."""
    return Rule("any token", lambda role, path: True)


def roles(*granted: Role) -> Rule:
    """Return the rule of what some roles may call."""
    return Rule("roles " + ", ".join(granted), lambda role, path: role in granted)


def reading(entity: str = "") -> Rule:
    """Return the rule of who may read a type: the named one, or that of the path."""
    return Rule(
        f"may read {entity or '{entity}'}",
        lambda role, path: may_read(role, entity or entity_of(path["entity"])),
    )


def writing(entity: str = "") -> Rule:
    """Return the rule of who may write a type: the named one, or that of the path."""
    return Rule(
        f"may write {entity or '{entity}'}",
        lambda role, path: may_write(role, entity or entity_of(path["entity"])),
    )


def speaking(message_type: str, act: Performative, granted: Iterable[Role]) -> Rule:
    """Return the rule of who may say something to an agent: some roles, as far as the policy lets them."""
    named = frozenset(granted)
    return Rule(
        f"may {act.value} {message_type}: {', '.join(sorted(named))}",
        lambda role, path: role in named and may_send(role, message_type, act),
    )


def asking(entity: str, granted: Iterable[Role]) -> Rule:
    """Return the rule of who may ask an agent for facts: some roles, as far as the policy lets them read."""
    named = frozenset(granted)
    return Rule(
        f"may read {entity}: {', '.join(sorted(named))}",
        lambda role, path: role in named and may_read(role, entity),
    )


def allowing(rule: Rule, **more: Any) -> dict[str, Any]:
    """Return the `opt` of a route that a rule guards."""
    return {_RULE: rule, **more}


def rule_of(handler: BaseRouteHandler) -> Rule | None:
    """Return the rule of a route, if it has one."""
    found = handler.opt.get(_RULE)
    return found if isinstance(found, Rule) else None


def ruled_handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Yield method, path and handler of every route, those that Litestar makes for OPTIONS left out.

    Raises: TypeError for a route without a rule.
    """
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if not isinstance(handler, HTTPRouteHandler):
                continue
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                if rule_of(handler) is None:
                    raise TypeError(f"{method} {route.path} has no rule: opt=allowing(…)")
                yield method, route.path_format, handler


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a call through that its rule permits.

    Raises: NotAuthorizedException (401) without a good token, Refused (403) when the rule does not permit
        it, TooMany (429) beyond the token's rate.
    """
    rule = rule_of(handler)
    if rule is None:
        if connection.scope.get("method") == "OPTIONS":
            return
        raise Refused("this route has no rule")
    services = connection.app.state[_SERVICES]
    rates: Rates = services.rates
    if not rule.needs_token:
        rates.take(f"open {connection.client.host if connection.client else ''}")
        return
    authenticate = handler.opt.get(AUTHENTICATE, _authenticated)
    caller = authenticate(connection, services)
    connection.scope["user"] = caller
    rates.take(caller.token_id, caller.requests_per_s)
    try:
        permitted = rule.permits(caller.role, connection.path_params)
    except InvalidInput:
        permitted = True  # the path names no type; the handler says so
    if not permitted:
        raise Refused(f"a {caller.role} may not do this; needed: {rule.says}")


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Return who calls."""
    caller = connection.scope["user"]
    assert isinstance(caller, Caller)
    return caller


def _authenticated(connection: ASGIConnection[Any, Any, Any, Any], services: Any) -> Caller:
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    caller: Caller | None = services.tokens.caller(secret.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        services.rates.take(f"stranger {connection.client.host if connection.client else ''}")
        raise NotAuthorizedException(
            "a valid token: Authorization: Bearer pm_…", headers={"WWW-Authenticate": "Bearer"}
        )
    return caller
