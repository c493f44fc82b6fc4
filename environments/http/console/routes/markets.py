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
from environments.http.console.facts import newest, own_site, sayings
from environments.http.console.pages import page, register_entry
from environments.http.console.routes.agents import community_of
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.grid import GridStatusEvent
from ontology.market import LemDataset, LemResult, PriceProfile
from ontology.ownership import as_seen_by
from ontology.policy import may_read

__all__ = ["MARKETS", "newest_lights", "prices_ahead"]

Any_ = Request[Any, Any, State]
LIGHT, RESULT = message_type_of(GridStatusEvent), message_type_of(LemResult)
AHEAD = message_type_of(PriceProfile)
LISTED = 24
DAY_S = 86_400
TICKS_PER_CURRENCY = 10_000

register_entry("/console/markets", "Markets", reading(RESULT), "Community")


@get("/markets", opt=shown_to(reading(RESULT)))
async def markets_page(request: Any_) -> Response[str]:
    """Show the traffic light, the markets that it leaves active, and the intervals that were cleared last."""
    lights = await newest_lights(request)
    results = await _results(request, int(community_of(request).now_s()) - DAY_S)
    return page(
        request,
        "markets.html",
        lights=lights,
        markets=list(Market),
        active={light.segment_id: active_markets(light.state) for light in lights},
        results=results[: -LISTED - 1 : -1],
        interval_s=INTERVAL_S,
        sees_ahead=may_read(caller_of(request).role, AHEAD),
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
    return page(
        request,
        "clearing.html",
        result=found[-1],
        settled_first=found[0],
        interval_s=INTERVAL_S,
        book=_order_book(request, found[-1]),
    )


@get("/markets/ahead", opt=shown_to(reading(AHEAD)))
async def market_ahead(request: Any_) -> Response[bytes]:
    """Return the prices of the next day, as the community was told of them last, as series of a chart."""
    profile = await prices_ahead(request)
    if profile is None:
        return done({"times": [], "series": []})
    times = [profile.start_s + i * profile.step_s for i in range(len(profile.buy_ticks_per_kwh))]
    series = [
        _series("buy", "currency/kWh", [_price(each) for each in profile.buy_ticks_per_kwh]),
        _series("sell", "currency/kWh", [_price(each) for each in profile.sell_ticks_per_kwh]),
    ]
    return done({"times": times, "series": series})


async def prices_ahead(request: Any_) -> PriceProfile | None:
    """Return the prices ahead that were told last: stored, or said in a letter that may be read."""
    said = sayings(request, (PriceProfile,), own_site(request), most=20)
    return said[0].content if said else await newest(request, PriceProfile)


def _order_book(request: Any_, result: LemResult) -> list[LemDataset]:
    """Return the limits that players bid in an auction, the dearest buyer first; none by other rules.

    They are read out of letters: who may not read what letters say is shown no limits.
    """
    span_s = (float(result.start_s), float(result.start_s + DAY_S // 4))
    said = sayings(request, (LemDataset,), own_site(request), 1000, span_s)
    bids = {each.content.player: each.content for each in said if each.content.start_s == result.start_s}
    limited = [each for each in bids.values() if each.buy_limit_ticks_per_kwh is not None]
    return sorted(limited, key=lambda each: (-(each.buy_limit_ticks_per_kwh or 0), each.player))


def _price(ticks_per_kwh: float) -> float:
    return ticks_per_kwh / TICKS_PER_CURRENCY


def _series(label: str, unit: str, values: Sequence[float]) -> dict[str, Any]:
    return {"label": label, "unit": unit, "values": list(values)}


async def newest_lights(request: Any_) -> list[GridStatusEvent]:
    """Return the last state of the grid of each segment."""
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


MARKETS = (markets_page, market_course, market_ahead, clearing_page)
