"""The routes of the interface: each module lists its own."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from environments.http.routes.administration import ADMINISTRATION, OPEN
from environments.http.routes.conversations import CONVERSATIONS
from environments.http.routes.facts import FACTS
from environments.http.routes.uploads import UPLOADS

__all__ = ["API", "OPEN", "ROUTES"]

API = "/api/v1"
ROUTES: tuple[ControllerRouterHandler, ...] = (
    *OPEN,
    Router(API, route_handlers=[*ADMINISTRATION, *FACTS, *UPLOADS, *CONVERSATIONS]),
)
"""What the interface serves; other modules add routers of their own."""
