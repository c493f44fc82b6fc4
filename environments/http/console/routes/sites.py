"""Sites and their assets: measurement, forecast and plan in one chart, and what is known of each device."""

from collections.abc import Iterable
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from behaviours.repository_port import Selection
from environments.http.access import caller_of, reading
from environments.http.answers import done
from environments.http.console.pages import page, register_entry
from environments.http.console.routes.agents import community_of, seen_by
from environments.http.console.signing_in import may_read_bodies, shown_to
from environments.http.services import services_of
from environments.repository.letter_archive import LetterSelection
from ontology.base import INTERVAL_S, Concept
from ontology.codec import decode_body, message_type_of
from ontology.control import InstructionBatch
from ontology.forecasts import Forecast
from ontology.measurements import IntervalReading
from ontology.storage import StorageStatus, ThermalStatus

__all__ = ["SITES"]

Any_ = Request[Any, Any, State]
READING, FORECAST = message_type_of(IntervalReading), message_type_of(Forecast)
REPORTED = {message_type_of(cls): cls for cls in (StorageStatus, ThermalStatus)}
DAY_S = 86_400
SECONDS_AN_HOUR = 3600
MAY_LOOK = reading(READING)

register_entry("/console/sites", "Sites", MAY_LOOK, "Community")


@get("/sites", opt=shown_to(MAY_LOOK))
async def sites_page(request: Any_) -> Response[str]:
    """Show the sites that the caller may see, with what their meters said last."""
    repository = services_of(request).repository_of(caller_of(request))
    newest = [(site, await repository.latest(READING, site)) for site in _sites(request)]
    return page(request, "sites.html", sites=newest, interval_s=INTERVAL_S)


@get("/sites/{site:str}", opt=shown_to(MAY_LOOK))
async def site_page(request: Any_, site: str) -> Response[str]:
    """Show one site: its course, its devices and what they are told.

    Raises: NotFoundException when there is none that the caller may see.
    """
    _require_site(request, site)
    statuses = _last_said(request, f"{site}-gateway", REPORTED)
    told = _last_said(request, f"{site}-prosumer", {message_type_of(InstructionBatch): InstructionBatch})
    instructions = [i for batch in told if isinstance(batch, InstructionBatch) for i in batch.instructions]
    return page(request, "site.html", site=site, statuses=statuses, instructions=instructions)


@get("/sites/{site:str}/course", opt=shown_to(MAY_LOOK))
async def site_course(request: Any_, site: str) -> Response[bytes]:
    """Return what a site drew in the last day, and what it expects for the next, as series of a chart.

    Raises: NotFoundException when there is none that the caller may see.
    """
    _require_site(request, site)
    now_s = int(community_of(request).now_s())
    repository = services_of(request).repository_of(caller_of(request))
    read = await repository.select(Selection(READING, (site,), now_s - DAY_S, now_s + INTERVAL_S))
    ahead = await repository.latest(FORECAST, site)
    drawn = {r.start_s: _mean_w(r) for r in read if isinstance(r, IntervalReading)}
    expected, low, high = _curves(ahead if isinstance(ahead, Forecast) else None)
    times = sorted({*drawn, *expected})
    series = [("measured", drawn), ("expected", expected), ("10 %", low), ("90 %", high)]
    return done(
        {
            "times": times,
            "series": [
                {
                    "label": label,
                    "unit": "W",
                    "values": [curve.get(time_s) for time_s in times],
                    "dashed": label != "measured",
                }
                for label, curve in series
                if curve
            ],
        }
    )


def _sites(request: Any_) -> list[str]:
    agents = seen_by(caller_of(request).party, community_of(request).agents())
    return sorted({agent.site for agent in agents} - {""})


def _require_site(request: Any_, site: str) -> None:
    if site not in _sites(request):
        raise NotFoundException(f"no site {site}")


def _mean_w(reading_: IntervalReading) -> float:
    return (reading_.consumed_wh - reading_.produced_wh) * SECONDS_AN_HOUR / INTERVAL_S


def _curves(forecast: Forecast | None) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
    """Return the expected power of a forecast and its quantiles by time, where there are some."""
    if forecast is None:
        return {}, {}, {}
    times = [forecast.start_s + i * forecast.step_s for i in range(len(forecast.power_w))]
    return (
        dict(zip(times, map(float, forecast.power_w), strict=True)),
        dict(zip(times, map(float, forecast.low_w), strict=False)),
        dict(zip(times, map(float, forecast.high_w), strict=False)),
    )


def _last_said(request: Any_, speaker: str, types: Iterable[str]) -> list[Concept]:
    """Return what an agent said last of each type and asset, where letters are recorded and may be read."""
    archive = community_of(request).archive
    if archive is None or not may_read_bodies(caller_of(request)):
        return []
    found: dict[str, Concept] = {}
    for message_type in types:
        for letter in archive.select(LetterSelection(agent=speaker, message_type=message_type), limit=20):
            if letter.envelope.sender.partition("@")[0] == speaker:
                said = decode_body(message_type, letter.envelope.body)
                found.setdefault(str(getattr(said, "asset_id", message_type)), said)
    return list(found.values())


SITES = (sites_page, site_page, site_course)
