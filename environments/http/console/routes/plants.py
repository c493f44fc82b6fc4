"""Virtual power plants: members on the grid's map, target against delivery, how they were formed, metrics."""

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from environments.http.access import caller_of, reading
from environments.http.answers import done
from environments.http.console.devices import chart
from environments.http.console.facts import (
    Saying,
    facts,
    may_see_letter,
    newest,
    newest_of_each,
    own_site,
    sayings,
)
from environments.http.console.grid_map import Mark, drawn, trees
from environments.http.console.pages import page, register_entry
from environments.http.console.sequence_diagram import sequence_diagram
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from environments.repository.letter_archive import LetterArchive, RecordedLetter
from ontology.base import INTERVAL_S
from ontology.coalition import (
    CoalitionBid,
    CoalitionInvitation,
    DeliveryReport,
    FlexProduct,
    ScheduleCommitment,
    VppPayoff,
)
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError
from ontology.performatives import Performative
from ontology.roles import Role
from ontology.vpp import ProsumerMetrics, Vpp

__all__ = ["PLANTS", "metrics_of"]

Any_ = Request[Any, Any, State]
MAY_LOOK = reading(message_type_of(Vpp))
SECONDS_AN_HOUR = 3600
FORMED_BY = (FlexProduct, CoalitionBid, CoalitionInvitation, ScheduleCommitment)
MOST = 1_000

register_entry("/console/vpps", "Virtual power plants", MAY_LOOK, "Community")


@get("/vpps", opt=shown_to(MAY_LOOK))
async def plants_page(request: Any_) -> Response[str]:
    """Show the plants that the caller may see, and how prosumers behaved."""
    plants = sorted(await newest_of_each(request, Vpp), key=lambda each: -each.valid_from_s)
    return page(request, "plants.html", plants=plants, metrics=await metrics_of(request))


@get("/vpps/{vpp_id:str}", opt=shown_to(MAY_LOOK))
async def plant_page(request: Any_, vpp_id: str) -> Response[str]:
    """Show one plant: members on the map, metrics, payoffs.

    Raises: NotFoundException when there is none that the caller may see.
    """
    plant = await _plant(request, vpp_id)
    members = {each.agent.partition("@")[0].removesuffix("-prosumer"): each.share for each in plant.members}
    marks = {site: Mark("chosen", f"{share:.0%}") for site, share in members.items()}
    maps = [drawn(t, marks, f"Members of {vpp_id} in {t.segment_id}") for t in await trees(request)]
    payoff = await newest(request, VppPayoff, vpp_id)
    return page(request, "plant.html", plant=plant, maps=maps, payoff=payoff)


@get("/vpps/{vpp_id:str}/course", opt=shown_to(MAY_LOOK))
async def plant_course(request: Any_, vpp_id: str) -> Response[bytes]:
    """Return target, commitment and delivery of a plant as series of a chart, magnitudes in W.

    Raises: NotFoundException when there is none that the caller may see.
    """
    plant = await _plant(request, vpp_id)
    times = range(plant.valid_from_s, plant.valid_to_s, plant.step_s)
    schedules = [member.schedule_w for member in plant.members if member.schedule_w]
    committed = [float(abs(sum(step))) for step in zip(*schedules, strict=False)]
    return done(
        chart(
            [
                ("target", {t: float(abs(w)) for t, w in zip(times, plant.target_w, strict=False)}, True),
                ("committed", dict(zip(times, committed, strict=False)), True),
                ("delivered", _delivered(_reports(request, vpp_id)), False),
            ]
        )
    )


@get("/vpps/{vpp_id:str}/formation", opt=shown_to(MAY_LOOK))
async def formation_page(request: Any_, vpp_id: str, step: int = 0) -> Response[str]:
    """Show how a plant was formed, letter by letter: the first `step` letters, or all.

    Raises: NotFoundException when there is none that the caller may see.
    """
    plant = await _plant(request, vpp_id)
    letters = _formation(request, plant)
    shown = min(step, len(letters)) if step > 0 else len(letters)
    return page(
        request,
        "formation.html",
        plant=plant,
        step=shown,
        steps=len(letters),
        last=letters[shown - 1] if letters else None,
        diagram=sequence_diagram(letters[:shown]),
    )


async def metrics_of(request: Any_) -> list[ProsumerMetrics]:
    """Return how prosumers behaved: asked of the aggregator where it runs here, or as told last.

    Source: D8.1 Table 4, test 3.
    """
    services, caller = services_of(request), caller_of(request)
    if services.portals is not None and caller.role is Role.AGGREGATOR:
        asked = Query(entity=message_type_of(ProsumerMetrics))
        try:
            answer = await services.portals.say(
                caller.party, "aggregator", asked, Performative.QUERY_REF, services.deadline_s
            )
        except (ParityError, TimeoutError):
            return await newest_of_each(request, ProsumerMetrics)
        items = answer.items if isinstance(answer, QueryResult) else []
        return [each for each in items if isinstance(each, ProsumerMetrics)]
    return await newest_of_each(request, ProsumerMetrics)


async def _plant(request: Any_, vpp_id: str) -> Vpp:
    found = await facts(request, Vpp, (vpp_id,))
    if not found:
        raise NotFoundException(f"no plant {vpp_id}")
    return found[-1]


def _reports(request: Any_, vpp_id: str) -> list[DeliveryReport]:
    said = sayings(request, (DeliveryReport,), own_site(request), MOST)
    return [each.content for each in said if each.content.vpp_id == vpp_id]


def _delivered(reports: Sequence[DeliveryReport]) -> dict[int, float]:
    """Return the power that members delivered together, each counted once an interval."""
    by_member = {(each.member, each.start_s): each for each in reports}
    curve: dict[int, float] = {}
    for each in by_member.values():
        power_w = abs(each.delivered_wh) * SECONDS_AN_HOUR / each.step_s
        curve[each.start_s] = curve.get(each.start_s, 0.0) + power_w
    return curve


def _formation(request: Any_, plant: Vpp) -> list[RecordedLetter]:
    """Return the letters of the calls for a plant's product, and of the replies, in their order."""
    archive: LetterArchive | None = services_of(request).more["community"].archive
    if archive is None:
        return []
    party = caller_of(request).party
    said = sayings(request, FORMED_BY, own_site(request), MOST)
    conversations = {each.letter.envelope.conversation for each in said if _is_about(each, plant)}
    letters = {each.number: each for name in conversations for each in archive.conversation(name)}
    until_s = plant.valid_from_s + INTERVAL_S
    return [
        each
        for _, each in sorted(letters.items())
        if may_see_letter(party, each) and each.envelope.sent_at_s < until_s
    ]


def _is_about(said: Saying, plant: Vpp) -> bool:
    product = getattr(said.content, "product_id", None)
    return bool((product or said.content.product.product_id) == plant.product)


PLANTS = (plants_page, plant_page, plant_course, formation_page)
