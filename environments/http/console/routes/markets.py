"""Markets and traffic light: what is active and why, prices and volumes, how an interval was cleared."""

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from behaviours.decisions.market_activity import Market, active_markets
from behaviours.repository_port import Selection
from environments.http.access import caller_of, reading
from environments.http.answers import done
from environments.http.console.pages import page, register_entry
from environments.http.console.routes.agents import community_of
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.grid import GridStatusEvent
from ontology.market import LemResult
from ontology.ownership import as_seen_by

__all__ = ["MARKETS"]

Any_ = Request[Any, Any, State]
LIGHT, RESULT = message_type_of(GridStatusEvent), message_type_of(LemResult)
LISTED = 24
DAY_S = 86_400
TICKS_PER_CURRENCY = 10_000

register_entry("/console/markets", "Markets", reading(RESULT), "Community")


@get("/markets", opt=shown_to(reading(RESULT)))
async def markets_page(request: Any_) -> Response[str]:
    """Show the traffic light, the markets that it leaves active, and the intervals that were cleared last."""
    lights = await _newest_lights(request)
    results = await _results(request, int(community_of(request).now_s()) - DAY_S)
    return page(
        request,
        "markets.html",
        lights=lights,
        markets=list(Market),
        active={light.segment_id: active_markets(light.state) for light in lights},
        results=results[: -LISTED - 1 : -1],
        interval_s=INTERVAL_S,
    )


@get("/markets/course", opt=shown_to(reading(RESULT)))
async def market_course(request: Any_, segment: str = "") -> Response[bytes]:
    """Return prices and energies of the last day as series for a chart."""
    results = await _results(request, int(community_of(request).now_s()) - DAY_S)
    shown = [each for each in results if not segment or each.segment_id == segment]
    series = [
        _series("buy", "currency/kWh", [_price(each.buy_price_ticks_per_kwh) for each in shown]),
        _series("sell", "currency/kWh", [_price(each.sell_price_ticks_per_kwh) for each in shown]),
        _series("consumed", "kWh", [each.consumed_wh / 1000 for each in shown]),
        _series("produced", "kWh", [each.produced_wh / 1000 for each in shown]),
    ]
    return done({"times": [each.start_s for each in shown], "series": series})


@get("/markets/{segment:str}/{start_s:int}", opt=shown_to(reading(RESULT)))
async def clearing_page(request: Any_, segment: str, start_s: int) -> Response[str]:
    """Show how an interval was cleared: energies, prices, what each player paid.

    Raises: NotFoundException when there is no result that the caller may see.
    """
    found = [r for r in await _results(request, start_s, start_s + INTERVAL_S) if r.segment_id == segment]
    if not found:
        raise NotFoundException("no result of this market")
    return page(request, "clearing.html", result=found[-1], settled_first=found[0], interval_s=INTERVAL_S)


def _price(ticks_per_kwh: float) -> float:
    return ticks_per_kwh / TICKS_PER_CURRENCY


def _series(label: str, unit: str, values: Sequence[float]) -> dict[str, Any]:
    return {"label": label, "unit": unit, "values": list(values)}


async def _newest_lights(request: Any_) -> list[GridStatusEvent]:
    repository = services_of(request).repository_of(caller_of(request))
    segments = await repository.subjects(LIGHT)
    newest = [await repository.latest(LIGHT, segment) for segment in segments]
    return [light for light in newest if isinstance(light, GridStatusEvent)]


async def _results(request: Any_, start_s: int, end_s: int | None = None) -> list[LemResult]:
    """Return the results of a time, ascending, as the caller may see them."""
    caller = caller_of(request)
    selection = Selection(RESULT, (), max(0, start_s), end_s or int(community_of(request).now_s()) + DAY_S)
    found = await services_of(request).repository_of(caller).select(selection)
    results = [result for result in found if isinstance(result, LemResult)]
    return [seen for each in results if (seen := as_seen_by(caller.party, each)) is not None]


MARKETS = (markets_page, market_course, clearing_page)
