"""Flexibility: what the grid operator asked for, what was offered, ordered and delivered, for how much."""

from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from environments.http.access import roles
from environments.http.console.devices import now_s
from environments.http.console.facts import facts, newest_of_each, sayings
from environments.http.console.pages import page, register_entry
from environments.http.console.signing_in import shown_to
from ontology.base import Concept
from ontology.flexibility_trading import FlexOffer, FlexOrder, FlexRequest, FlexSettlement
from ontology.marketplace import AcquiredFlexibility, EmergencyCall, FlexibilityContract
from ontology.roles import Role

__all__ = ["FLEXIBILITY", "traded"]

C = TypeVar("C", bound=Concept)
Any_ = Request[Any, Any, State]
TRADERS = roles(Role.DSO, Role.AGGREGATOR, Role.MARKET_OPERATOR)
DAY_S = 86_400
LISTED = 50

register_entry("/console/flexibility", "Flexibility", TRADERS, "Community")


@get("/flexibility", opt=shown_to(TRADERS))
async def flexibility_page(request: Any_) -> Response[str]:
    """Show the trade of the last day, document by document, and what was acquired."""
    since_s = now_s(request) - DAY_S
    settlements = await traded(request, FlexSettlement)
    return page(
        request,
        "flexibility.html",
        requests=await traded(request, FlexRequest),
        offers=await traded(request, FlexOffer),
        orders=await traded(request, FlexOrder),
        settled=[order for each in settlements for order in each.orders][:LISTED],
        acquired=(await facts(request, AcquiredFlexibility, start_s=since_s))[::-1][:LISTED],
        calls=(await facts(request, EmergencyCall, start_s=since_s))[::-1][:LISTED],
        contracts=await newest_of_each(request, FlexibilityContract),
    )


async def traded(request: Any_, kind: type[C]) -> list[C]:
    """Return documents of the trade, the newest first, each once: those stored, and those said in letters."""
    stored = await facts(request, kind, start_s=now_s(request) - DAY_S)
    said = [each.content for each in sayings(request, (kind,), most=200)]
    by_content = {msgspec.json.encode(each): each for each in (*said, *reversed(stored))}
    return list(by_content.values())[:LISTED]


FLEXIBILITY = (flexibility_page,)
