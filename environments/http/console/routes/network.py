"""The grid operator's application: the network's map with voltages, loadings, D-STATCOMs, and requests."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from environments.http.access import caller_of, roles
from environments.http.answers import TimedOut, done
from environments.http.console.devices import now_s
from environments.http.console.facts import facts, newest, newest_of_each, sayings
from environments.http.console.grid_map import Mark, SegmentTree, drawn, trees
from environments.http.console.pages import html, page, register_entry
from environments.http.console.routes.flexibility import traded
from environments.http.console.routes.markets import newest_lights
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from ontology.codec import message_type_of
from ontology.errors import InvalidInput, Problem, Unavailable, problem
from ontology.flexibility_trading import FlexRequest
from ontology.grid import (
    DstatcomCommand,
    DstatcomMode,
    DstatcomObjective,
    DstatcomStatus,
    GridMeasurement,
    GridOutlook,
    GridStatusEvent,
)
from ontology.marketplace import AcquiredFlexibility
from ontology.performatives import Performative
from ontology.roles import Role

__all__ = ["NETWORK", "node_marks"]

Any_ = Request[Any, Any, State]
OPERATOR = roles(Role.DSO)
PHASE_V = 230.0
GOOD_PU, ALLOWED_PU = 0.05, 0.10
"""How far a voltage may be off: as planned, and at most (EN 50160)."""
COMMANDED = (DstatcomMode.OFF, DstatcomMode.VOLT, DstatcomMode.BALANCE)
DAY_S, LISTED = 86_400, 30

register_entry("/console/network", "Network", OPERATOR, "Applications")


@get("/network", opt=shown_to(OPERATOR))
async def network_page(request: Any_) -> Response[str]:
    """Show each segment on a map with what is measured, its state, its D-STATCOMs, and what was asked for."""
    measured = await newest_of_each(request, GridMeasurement)
    lights = {each.segment_id: each for each in await newest_lights(request)}
    marks = node_marks(measured)
    maps = [(tree, lights.get(tree.segment_id), _map(tree, marks)) for tree in await trees(request)]
    acquired = await facts(request, AcquiredFlexibility, start_s=now_s(request) - DAY_S)
    return page(
        request,
        "network.html",
        maps=maps,
        measured=measured,
        lights=list(lights.values()),
        units=await _units(request),
        modes=COMMANDED,
        objectives=list(DstatcomObjective),
        requests=(await traded(request, FlexRequest))[:LISTED],
        acquired=acquired[::-1][:LISTED],
    )


@get("/network/{segment:str}/course", opt=shown_to(OPERATOR))
async def segment_course(request: Any_, segment: str) -> Response[bytes]:
    """Return loading and voltages of a segment, as they were and are expected, as series of a chart."""
    now = now_s(request)
    past = await facts(request, GridStatusEvent, (segment,), now - DAY_S)
    ahead = await newest(request, GridOutlook, segment)
    series: dict[str, dict[int, float]] = {}
    for each in past:
        series.setdefault("loading, %", {})[each.start_s] = each.loading * 100
        series.setdefault("lowest", {})[each.start_s] = each.voltage_min_pu
        series.setdefault("highest", {})[each.start_s] = each.voltage_max_pu
    if ahead is not None:
        for place in range(len(ahead.loading)):
            time_s = ahead.start_s + place * ahead.step_s
            series.setdefault("loading expected, %", {})[time_s] = ahead.loading[place] * 100
            series.setdefault("lowest expected", {})[time_s] = ahead.voltage_min_pu[place]
            series.setdefault("highest expected", {})[time_s] = ahead.voltage_max_pu[place]
    times = sorted({time_s for curve in series.values() for time_s in curve})
    return done(
        {
            "times": times,
            "series": [
                {
                    "label": label.removesuffix(", %"),
                    "unit": "%" if label.endswith("%") else "p.u.",
                    "values": [curve.get(t) for t in times],
                    "dashed": "expected" in label,
                }
                for label, curve in series.items()
            ],
        }
    )


@post("/network/units/{asset_id:str}/command", opt=shown_to(OPERATOR), status_code=200)
async def command_unit(request: Any_, asset_id: str) -> Response[str]:
    """Command a D-STATCOM, after its name was typed.

    Raises: NotFoundException when there is no such unit, InvalidInput with everything that is wrong,
        Unavailable when no community runs here, and what the unit's agent raises.
    """
    request.scope["about"], request.scope["entity"] = asset_id, message_type_of(DstatcomCommand)  # type: ignore[typeddict-unknown-key]
    if asset_id not in {each.asset_id for each in await _units(request)}:
        raise NotFoundException(f"no D-STATCOM {asset_id}")
    command = _command(asset_id, {key: str(value) for key, value in (await request.form()).items()})
    services, caller = services_of(request), caller_of(request)
    if services.portals is None:
        raise Unavailable("no community runs here: nothing can be steered")
    try:
        await services.portals.say(
            caller.party, "dstatcom", command, Performative.REQUEST, services.deadline_s, speaker="dso"
        )
    except TimeoutError:
        raise TimedOut(f"dstatcom has not answered within {services.deadline_s:g} s") from None
    return html(f"<strong>{command.mode.value.lower()}: done</strong>")


def node_marks(measured: list[GridMeasurement]) -> dict[str, Mark]:
    """Return how nodes are drawn: by the voltage of the phase that is farthest off."""
    marks = {}
    for each in measured:
        worst_pu = max((volts / PHASE_V for volts in each.voltage_v), key=lambda pu: abs(pu - 1))
        off = abs(worst_pu - 1)
        kind = "good" if off <= GOOD_PU else "strained" if off <= ALLOWED_PU else "wrong"
        marks[each.node_id] = Mark(kind, f"{worst_pu:.3f} p.u.")
    return marks


def _map(tree: SegmentTree, marks: dict[str, Mark]) -> str:
    return drawn(tree, marks, f"Voltages of {tree.segment_id}")


async def _units(request: Any_) -> list[DstatcomStatus]:
    said = [each.content for each in sayings(request, (DstatcomStatus,), "dstatcom")]
    known = {
        each.asset_id: each for each in (*reversed(said), *await newest_of_each(request, DstatcomStatus))
    }
    return [known[name] for name in sorted(known)]


def _command(asset_id: str, form: dict[str, str]) -> DstatcomCommand:
    problems: list[Problem] = []
    mode, objective = form.get("mode", ""), form.get("objective", "") or DstatcomObjective.UNBALANCE
    if mode not in COMMANDED:
        problems.append(problem("mode", mode, f"one of {', '.join(COMMANDED)}"))
    if objective not in list(DstatcomObjective):
        problems.append(problem("objective", objective, f"one of {', '.join(DstatcomObjective)}"))
    if form.get("confirmation", "").strip() != asset_id:
        problems.append(problem("confirmation", form.get("confirmation", ""), f"{asset_id}, typed"))
    if problems:
        raise InvalidInput(problems)
    return DstatcomCommand(asset_id=asset_id, mode=DstatcomMode(mode), objective=DstatcomObjective(objective))


NETWORK = (network_page, segment_course, command_unit)
