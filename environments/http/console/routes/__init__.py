"""The console's pages."""

from typing import Any

from litestar import Router
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router

from environments.http.access import allowing, anybody
from environments.http.console.pages import CONSOLE, HERE, answer_page_error
from environments.http.console.routes.agents import AGENTS
from environments.http.console.routes.assets import ASSETS
from environments.http.console.routes.flexibility import FLEXIBILITY
from environments.http.console.routes.household import HOUSEHOLD
from environments.http.console.routes.ledger import LEDGER
from environments.http.console.routes.letters import LETTERS
from environments.http.console.routes.markets import MARKETS
from environments.http.console.routes.network import NETWORK
from environments.http.console.routes.plants import PLANTS
from environments.http.console.routes.portfolio import PORTFOLIO
from environments.http.console.routes.registry import REGISTRY_PAGES
from environments.http.console.routes.scenarios import SCENARIOS
from environments.http.console.routes.sign_in import SIGN_IN
from environments.http.console.routes.sites import SITES
from ontology.errors import ParityError

__all__ = ["CONSOLE_ROUTES"]

_CACHED_S = 86_400


async def _as_it_is(request: Any) -> None:
    """Pages take what their forms send; an address typed with more does no harm."""


CONSOLE_ROUTES = (
    Router(
        CONSOLE,
        route_handlers=[
            *SIGN_IN,
            *AGENTS,
            *LETTERS,
            *MARKETS,
            *SITES,
            *ASSETS,
            *PLANTS,
            *FLEXIBILITY,
            *LEDGER,
            *REGISTRY_PAGES,
            *PORTFOLIO,
            *NETWORK,
            *HOUSEHOLD,
            *SCENARIOS,
        ],
        exception_handlers={
            ParityError: answer_page_error,
            HTTPException: answer_page_error,
            Exception: answer_page_error,
        },
        before_request=_as_it_is,
        include_in_schema=False,
    ),
    create_static_files_router(
        path=f"{CONSOLE}/static",
        directories=[HERE / "static"],
        opt=allowing(anybody()),
        include_in_schema=False,
        cache_control=None,
    ),
)
