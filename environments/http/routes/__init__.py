"""The routes of the interface: each module lists its own."""

from litestar import Router

from environments.http.routes.facts import FACTS

__all__ = ["API", "ROUTES"]

API = "/api/v1"
ROUTES = (Router(API, route_handlers=[*FACTS]),)
