"""The aggregator's application: prosumers and their devices, what they can do otherwise, and dispatch.

D8.1 Table 4, tests 1 to 3.
"""

from typing import Any, NamedTuple

from litestar import Request, Response, get
from litestar.datastructures import State

from environments.http.access import roles
from environments.http.console.devices import devices_by_site, now_s
from environments.http.console.facts import facts, newest, newest_of_each, sayings
from environments.http.console.pages import page, register_entry
from environments.http.console.routes.plants import metrics_of
from environments.http.console.signing_in import shown_to
from ontology.assets import Building
from ontology.control import Instruction, InstructionBatch
from ontology.flexibility import FlexibilityForecast
from ontology.forecasts import Forecast
from ontology.market import ExternalBid
from ontology.measurements import IntervalReading
from ontology.roles import Role
from ontology.vpp import ProsumerMetrics, Vpp, VppState

__all__ = ["PORTFOLIO"]

Any_ = Request[Any, Any, State]
AGGREGATOR = roles(Role.AGGREGATOR)
DISPATCHER = "aggregator"
LISTED = 40

register_entry("/console/portfolio", "Portfolio", AGGREGATOR, "Applications")


class Holding(NamedTuple):
    """A site of the portfolio: what its meter said last, what it expects, could do otherwise, and has."""

    site: str
    reading: IntervalReading | None
    ahead_wh: float | None
    flexibility: FlexibilityForecast | None
    devices: list[str]
    building: Building | None
    metrics: ProsumerMetrics | None


@get("/portfolio", opt=shown_to(AGGREGATOR))
async def portfolio_page(request: Any_) -> Response[str]:
    """Show the portfolio, site by site, running plants, and what was dispatched and bid outside last."""
    plants = [each for each in await newest_of_each(request, Vpp) if each.state is not VppState.DISSOLVED]
    told = sayings(request, (InstructionBatch, Instruction), DISPATCHER, most=200)
    return page(
        request,
        "portfolio.html",
        holdings=await _holdings(request),
        plants=plants,
        dispatched=[each for said in told if said.speaker == DISPATCHER for each in _told(said.content)][
            :LISTED
        ],
        bids=[each.content for each in sayings(request, (ExternalBid,), DISPATCHER)][:LISTED],
        now_s=now_s(request),
    )


async def _holdings(request: Any_) -> list[Holding]:
    buildings = {each.building_id: each for each in await facts(request, Building)}
    metrics = {each.player.partition("@")[0]: each for each in await metrics_of(request)}
    offered = sayings(request, (FlexibilityForecast,), DISPATCHER, most=400)
    flexibility = {each.content.subject: each.content for each in reversed(offered)}
    devices = await devices_by_site(request)
    found = []
    for site in devices:
        ahead = await newest(request, Forecast, site)
        found.append(
            Holding(
                site=site,
                reading=await newest(request, IntervalReading, site),
                ahead_wh=sum(ahead.power_w) * ahead.step_s / 3600 if ahead is not None else None,
                flexibility=flexibility.get(site),
                devices=devices[site],
                building=next((b for name, b in buildings.items() if name.startswith(f"{site}-")), None),
                metrics=metrics.get(f"{site}-prosumer") or metrics.get(site),
            )
        )
    return found


def _told(content: Instruction | InstructionBatch) -> list[Instruction]:
    return list(content.instructions) if isinstance(content, InstructionBatch) else [content]


PORTFOLIO = (portfolio_page,)
