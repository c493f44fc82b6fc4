"""Scenarios: start a simulation and watch it, compare runs and seeds, open their reports."""

from collections.abc import Sequence
from typing import Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from environments.http.access import roles
from environments.http.console.pages import SECURITY, fragment, html, page, register_entry
from environments.http.console.signing_in import shown_to
from environments.http.console.simulations import Simulations
from environments.http.services import services_of
from ontology.errors import InvalidInput, Problem, problem
from ontology.roles import Role

__all__ = ["SCENARIOS"]

Any_ = Request[Any, Any, State]
OPERATORS = roles(Role.MARKET_OPERATOR, Role.AGGREGATOR, Role.DSO)
"""A run shows everybody's numbers, so that who is bound to a site does not see it."""
REPORT_SECURITY = {
    **SECURITY,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}
GREATEST = {"seed": 2**31 - 1, "intervals": 35_040}

register_entry("/console/scenarios", "Scenarios", OPERATORS, "Simulation", needs="simulations")


@get("/scenarios", opt=shown_to(OPERATORS))
async def scenarios_page(request: Any_) -> Response[str]:
    """Show what can be started, what runs, and the runs that are there."""
    simulations = _simulations(request)
    return page(
        request,
        "scenarios.html",
        scenarios=simulations.scenarios(),
        started=simulations.started(),
        runs=simulations.runs(),
    )


@get("/scenarios/started", opt=shown_to(OPERATORS))
async def started_rows(request: Any_) -> Response[str]:
    """Return how far the simulations are, as a piece of the page that asks again while any runs."""
    return html(fragment("simulations.html", started=_simulations(request).started()))


@post("/scenarios/start", opt=shown_to(OPERATORS))
async def start_simulation(request: Any_) -> Response[str]:
    """Start a simulation and return how far all are.

    Raises: InvalidInput with all that is wrong, Refused when too many wait already.
    """
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    _simulations(request).start(form.get("scenario", ""), _numbers(form))
    return html(fragment("simulations.html", started=_simulations(request).started()))


@post("/scenarios/{number:int}/stop", opt=shown_to(OPERATORS))
async def stop_simulation(request: Any_, number: int) -> Response[str]:
    """Stop a simulation after its present interval.

    Raises: InvalidInput when there is none of that number.
    """
    _simulations(request).stop(number)
    return html(fragment("simulations.html", started=_simulations(request).started()))


@get("/runs/compare", opt=shown_to(OPERATORS))
async def comparison_page(request: Any_) -> Response[str]:
    """Show the numbers of the runs that were ticked side by side.

    Raises: InvalidInput when a run is not there, or none was ticked.
    """
    chosen = request.query_params.getall("run", [])
    rows = await _simulations(request).compared(chosen)
    known = {view.name: view for view in _simulations(request).runs()}
    return page(request, "comparison.html", runs=[known[name] for name in chosen], rows=rows)


@get("/runs/{run:str}/report", opt=shown_to(OPERATORS))
async def report_page(request: Any_, run: str) -> Response[bytes]:
    """Return the report of a run, in a page that can do nothing.

    Raises: InvalidInput when there is none.
    """
    content = _simulations(request).report(run).read_bytes()
    return Response(content, media_type=MediaType.HTML, headers=REPORT_SECURITY)


def _simulations(request: Any_) -> Simulations:
    found: Simulations | None = services_of(request).more.get("simulations")
    if found is None:
        raise NotFoundException("no simulations can be started here")
    return found


def _numbers(form: dict[str, str]) -> dict[str, int]:
    """Return seed and intervals as far as they are given.

    Raises: InvalidInput with all that is wrong.
    """
    given = {name: form[name] for name in GREATEST if form.get(name)}
    wrong: Sequence[Problem] = [
        problem(name, value, f"a whole number up to {GREATEST[name]}")
        for name, value in given.items()
        if not (value.isdecimal() and int(value) <= GREATEST[name])
    ]
    if wrong:
        raise InvalidInput(wrong)
    return {name: int(value) for name, value in given.items()}


SCENARIOS = (
    scenarios_page,
    started_rows,
    start_simulation,
    stop_simulation,
    comparison_page,
    report_page,
)
