"""The routes of `interfaces.py`: each says something to an agent and waits for its answer."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from environments.http.access import allowing, asking, caller_of, speaking
from environments.http.answers import TimedOut, done
from environments.http.interfaces import INTERFACES, Interface
from environments.http.parameters import epoch_of, unknown_parameters
from environments.http.services import services_of
from environments.http.tokens import Caller
from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.control import Instruction, InstructionBatch, Priority
from ontology.discourse import Query, QueryResult
from ontology.errors import InvalidInput, NotUnderstood, Problem, Refused, Unavailable, problem
from ontology.market import LemDataset
from ontology.ownership import Party, as_seen_by, names_in
from ontology.performatives import Performative
from ontology.roles import Role
from ontology.service_level import KpiMeasure
from ontology.validation import concept_of

__all__ = ["CONVERSATIONS"]

_MOST = {Role.UI: Priority.USER, Role.PROSUMER: Priority.USER}
"""The highest priority that a caller may give to what it wants of a device."""
Calls = Request[Any, Any, Any]


def _asking(row: Interface) -> HTTPRouteHandler:
    """Return the route of an interface that puts a question."""

    async def ask(
        request: Calls,
        subject: Annotated[list[str] | None, Parameter(description="about whom or what; none: all")] = None,
        start: Annotated[
            str | None, Parameter(description="first instant: epoch seconds or ISO 8601")
        ] = None,
        end: Annotated[str | None, Parameter(description="instant after the last: [start, end)")] = None,
    ) -> Response[bytes]:
        assert row.asks is not None
        entity = message_type_of(row.asks)
        caller = caller_of(request)
        query = _query(request, entity, subject or [], start, end)
        answer = await _say(request, row, query)
        items = answer.items if isinstance(answer, QueryResult) else []
        return done([seen for item in items if (seen := as_seen_by(caller.party, item)) is not None])

    return get(_typed(row.path), **_described(row, ask, collects=True))(ask)


def _telling(row: Interface) -> HTTPRouteHandler:
    """Return the route of an interface that says something."""

    async def tell(request: Calls) -> Response[bytes]:
        content = _content(row, await request.body())
        _require_within(row, request.path_params.get("site", ""), content, caller_of(request))
        answer = await _say(request, row, content)
        return done(answer, status=_status(row))

    return post(_typed(row.path), status_code=_status(row), **_described(row, tell, body=row.concept))(tell)


def _status(row: Interface) -> int:
    """What is only told, or only agreed to so far, is accepted; anything else is done."""
    return 202 if row.until_agreed or row.act is Performative.INFORM else 200


def _described(row: Interface, handler: Any, **more: Any) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", f"{row.method.lower()}{row.path}").strip("_")
    handler.__name__ = handler.__qualname__ = name
    handler.__doc__ = f"{row.summary} (D8.1 {row.section}).\n\n{_conversation(row)}"
    said = message_type_of(row.asks or row.concept)
    rule = asking(said, row.callers) if row.asks else speaking(said, row.act, row.callers)
    return {"opt": allowing(rule, row=row, **more), "summary": row.summary, "tags": [f"D8.1 {row.section}"]}


def _conversation(row: Interface) -> str:
    what = message_type_of(row.asks or row.concept)
    by = f"`{row.speaker}`" if row.speaker else "The caller's portal"
    return f"{by} says `{row.act}` with `{what}` to `{row.to}`."


def _typed(path: str) -> str:
    return path.replace("{site}", "{site:str}")


async def _say(request: Calls, row: Interface, content: Concept) -> Concept:
    """Say it to the agent, and return the answer.

    Raises: Refused for another's site, NotThere for one that is none, TimedOut (504) without an answer,
        Unavailable (503) when no community runs here, and what the agent raises.
    """
    services, caller, site = services_of(request), caller_of(request), request.path_params.get("site", "")
    request.scope["entity"] = message_type_of(row.asks or row.concept)  # type: ignore[typeddict-unknown-key]
    request.scope["about"] = site  # type: ignore[typeddict-unknown-key]
    party = caller.party
    if site and party.is_bound:
        if site not in party.subjects:
            raise Refused(f"{site} is not yours")
        party = Party(party.role, (site,))
    if services.portals is None:
        raise Unavailable("no community runs here: only the repository is served")
    to, speaker = row.to.replace("{site}", site), row.speaker.replace("{site}", site)
    try:
        return await services.portals.say(
            party,
            to,
            content,
            row.act,
            services.deadline_s,
            speaker=speaker,
            until_agreed=row.until_agreed,
        )
    except TimeoutError:
        raise TimedOut(f"{to} has not answered within {services.deadline_s:g} s") from None


def _query(request: Calls, entity: str, subjects: Sequence[str], start: str | None, end: str | None) -> Query:
    """Return the question; without times it is about the whole past.

    Raises: InvalidInput with every parameter that is wrong.
    """
    problems: list[Problem] = unknown_parameters(request)
    start_s = 0 if start is None else epoch_of("start", start, problems)
    end_s = _LATEST_S if end is None else epoch_of("end", end, problems)
    if not problems and end_s < start_s:
        problems.append(problem("end", end, f"not before start = {start}"))
    problems.extend(
        problem("subject", each, "1 to 256 characters") for each in subjects if not 0 < len(each) < 257
    )
    if len(subjects) > _MOST_SUBJECTS:
        problems.append(problem("subject", f"{len(subjects)} subjects", f"at most {_MOST_SUBJECTS}"))
    if problems:
        raise InvalidInput(problems)
    if len(subjects) == 1:
        return Query(entity=entity, subject=subjects[0], start_s=start_s, end_s=end_s)
    return Query(entity=entity, subjects=list(subjects), start_s=start_s, end_s=end_s)


_LATEST_S = 253_402_300_799
_MOST_SUBJECTS = 100


def _content(row: Interface, body: bytes) -> Concept:
    """Return what is to be said.

    Raises: NotUnderstood when the body is no JSON, InvalidInput with everything that is wrong in it.
    """
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        shown = body[:80].decode(errors="replace") or "missing"
        raise NotUnderstood(problem("body", shown, f"JSON: {error}")) from None
    return concept_of(row.concept, data)


def _require_within(row: Interface, site: str, content: Concept, caller: Caller) -> None:
    """Check that what is said is about the site of the path, and claims no priority that is not the caller's.

    Raises: InvalidInput naming each fault.
    """
    if not site:
        return
    told = content.instructions if isinstance(content, InstructionBatch) else []
    place, found = Party(Role.UI, (site,)), []
    if row.concept not in (LemDataset, KpiMeasure):
        for each in (content, *told):
            found += [problem("body", n, f"of {site} only") for n in _named(each) if not place.owns(n)]
    most = _MOST.get(caller.role)
    for number, each in enumerate(told):
        if most is not None and each.priority > most:
            found.append(
                problem(f"instructions[{number}].priority", each.priority.name, f"at most {most.name}")
            )
    if found:
        raise InvalidInput(found)


def _named(content: Concept) -> list[str]:
    """Return whom or what is named; an instruction's own id may be any."""
    return [content.asset_id] if isinstance(content, Instruction) else list(names_in(content))


CONVERSATIONS = [_asking(row) if row.asks is not None else _telling(row) for row in INTERFACES]
