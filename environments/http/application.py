"""The application: routes, who may call them, and one form for every answer.

Another module adds routes by handing them in; each carries its rule, or the application does not start.

```python
app = application(services, routes=(*ROUTES, *my_routes))
```
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from environments.http.access import guard, ruled_handlers
from environments.http.answers import answer_error
from environments.http.audit import Entry
from environments.http.parameters import require_known_parameters
from environments.http.routes import ROUTES
from environments.http.services import Services
from environments.http.tokens import Caller
from ontology.errors import ParityError

__all__ = ["MOST_BODY_BYTES", "Api", "application"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_BODY_BYTES = 8_000_000
"""Longest body that is read at once; longer ones are streamed to `/api/v1/uploads`."""


class Api:
    """The application as an ASGI server runs it, with every call written into the audit log."""

    def __init__(self, litestar: Litestar, services: Services) -> None:
        self.litestar = litestar
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self.litestar(scope, receive, send)  # type: ignore[arg-type]
            return
        began_s = self.services.now_s()

        async def audited(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, int(message["status"]), began_s)
            await send(message)

        await self.litestar(scope, receive, audited)  # type: ignore[arg-type]

    def close(self) -> None:
        """Write down what waits."""
        self.services.audit.flush()

    def _note(self, scope: Scope, status: int, began_s: float) -> None:
        caller = scope.get("user")
        known = isinstance(caller, Caller)
        now_s = self.services.now_s()
        about = scope.get("about", "")
        self.services.audit.note(
            Entry(
                time_s=now_s,
                token_id=caller.token_id if known else "",  # type: ignore[union-attr]
                role=caller.role if known else "",  # type: ignore[union-attr]
                method=str(scope["method"]),
                route=str(scope.get("path_template") or "unknown"),
                entity=str(scope.get("entity", "")),
                about=self.services.audit.name(about),
                status=status,
                duration_ms=round((now_s - began_s) * 1000, 3),
            )
        )


def application(services: Services, routes: Sequence[ControllerRouterHandler] = ROUTES) -> Api:
    """Return the application over some services.

    Raises: TypeError when a route has no rule.
    """
    app = Litestar(
        route_handlers=routes,
        guards=[guard],
        before_request=require_known_parameters,
        exception_handlers={ParityError: answer_error, HTTPException: answer_error, Exception: answer_error},
        openapi_config=None,
        request_max_body_size=MOST_BODY_BYTES,
        state=State({"services": services, "routes": list(routes)}),
        logging_config=None,
    )
    for _ in ruled_handlers(app):
        pass
    return Api(app, services)
