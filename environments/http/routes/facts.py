"""The repository over HTTP: store, history, latest, counts, conditional writes, deletion (D8.1 3.2)."""

import hashlib
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.params import Parameter

from behaviours.repository_port import END_OF_TIME_S, Repository, Selection
from environments.http.access import allowing, caller_of, reading, token_holders, writing
from environments.http.answers import WrongState, done
from environments.http.entities import class_of, entity_of
from environments.http.idempotency import Reply, request_of
from environments.http.parameters import epoch_of, filters_of, limit_of, unknown_parameters
from environments.http.services import services_of
from environments.repository.keys import ENTITIES, Key, is_timeless, key_of
from ontology.base import Concept
from ontology.errors import InvalidInput, NotUnderstood, Problem, Refused, problem
from ontology.ownership import Party, as_seen_by, may_ask_about, may_store
from ontology.policy import may_read, may_write
from ontology.validation import problems_in

__all__ = ["FACTS", "FINAL", "Entity", "about", "etag", "held_fact", "require_own"]

Any_ = Request[Any, Any, Any]
Entity = Annotated[str, Parameter(description="type, such as `IntervalReading`; see /api/v1/entities")]
Subjects = Annotated[
    list[str] | None, Parameter(description="whom or what the facts are about; may be repeated")
]
Start = Annotated[str | None, Parameter(description="first instant: epoch seconds or ISO 8601")]
End = Annotated[str | None, Parameter(description="instant after the last: [start, end)")]
Filters = Annotated[
    list[str] | None, Parameter(description="`field:comparison:value`; eq ne lt le gt ge in; may be repeated")
]
Limit = Annotated[
    str | None, Parameter(description="most facts in one page, 1 to 10000; 1000 where it is not said")
]

MOST_FACTS = 10_000
"""In one body."""
MOST_PROBLEMS = 100
FINAL = frozenset({"parity:LedgerEntry", "parity:LemResult", "uftp:FlexSettlement"})
"""Settlement: once written it is neither replaced nor deleted over this interface."""


@get("/entities", opt=allowing(token_holders()), summary="Types, and what the caller may do with them")
async def entities(request: Any_) -> Response[bytes]:
    """Return every stored type, whether it has a time, and the caller's rights."""
    role = caller_of(request).role
    listed = [
        {
            "entity": entity,
            "timeless": is_timeless(entity),
            "read": may_read(role, entity),
            "write": may_write(role, entity),
        }
        for entity in ENTITIES
    ]
    return done(listed)


@get(
    "/facts/{entity:str}",
    opt=allowing(reading(), collects=True),
    summary="Facts in [start, end), ascending in time",
)
async def history(
    request: Any_,
    entity: Entity,
    subject: Subjects = None,
    start: Start = None,
    end: End = None,
    filter: Filters = None,
    limit: Limit = None,
    cursor: Annotated[str, Parameter(description="`data.next` of the page before")] = "",
) -> Response[bytes]:
    """Return a page of facts, and the cursor to the next; an empty one ends."""
    services, party = services_of(request), caller_of(request).party
    repository = services.repository_of(caller_of(request))
    problems = unknown_parameters(request)
    most = limit_of(limit, MOST_FACTS, problems)
    selection = await _selection(request, repository, entity, subject, (start, end), filter, problems)
    if selection is None:
        return _with_etag(request, {"items": [], "next": ""})
    page = await repository.page(selection, most, cursor)
    return _with_etag(request, {"items": _seen(party, page.items), "next": page.cursor})


@get("/facts/{entity:str}/count", opt=allowing(reading(), collects=True), summary="How many facts there are")
async def count(
    request: Any_,
    entity: Entity,
    subject: Subjects = None,
    start: Start = None,
    end: End = None,
    filter: Filters = None,
) -> Response[bytes]:
    """Return the number of facts in [start, end); of types about several at once, for those who see all.

    Raises: Refused for who sees only its own part of such facts.
    """
    caller = caller_of(request)
    repository = services_of(request).repository_of(caller)
    problems = unknown_parameters(request)
    selection = await _selection(request, repository, entity, subject, (start, end), filter, problems)
    if selection is None:
        return done({"count": 0})
    if not caller.party.sees_all(selection.entity) and not _all_own(caller.party, selection):
        raise Refused("counted are only facts that are all your own")
    return done({"count": await repository.count(selection)})


@get(
    "/facts/{entity:str}/latest",
    opt=allowing(reading(), conditions=("If-None-Match",)),
    summary="The newest fact",
)
async def latest(
    request: Any_,
    entity: Entity,
    subject: Annotated[str, Parameter(description="whom or what it is about; none: anything")] = "",
) -> Response[bytes]:
    """Return the newest fact about a subject; `data` is null where there is none."""
    caller = caller_of(request)
    named = about(request, entity, subject)
    if not may_ask_about(caller.party, named, [subject] if subject else []):
        raise Refused("subject: one of your own, please")
    fact = await services_of(request).repository_of(caller).latest(named, subject)
    return _with_etag(request, None if fact is None else as_seen_by(caller.party, fact))


@get("/facts/{entity:str}/subjects", opt=allowing(reading()), summary="About whom or what there are facts")
async def subjects(request: Any_, entity: Entity) -> Response[bytes]:
    """Return the subjects of a type, as far as they are the caller's own or public."""
    caller = caller_of(request)
    named = about(request, entity, "")
    known = await services_of(request).repository_of(caller).subjects(named)
    party = caller.party
    return done([each for each in known if party.sees_all(named) or party.owns(each)])


@post("/facts/{entity:str}", opt=allowing(writing(), body="facts"), summary="Store facts, all or none")
async def store(request: Any_, entity: Entity) -> Response[bytes]:
    """Store one fact or a list; storing again changes nothing, under an Idempotency-Key neither the answer.

    Raises: InvalidInput naming everything that is wrong in any of them, Refused for others' facts.
    """
    services, caller = services_of(request), caller_of(request)
    named, body = about(request, entity, ""), await request.body()
    key = request.headers.get("idempotency-key", "")
    asked = request_of("POST", f"{caller.market} {named}", body)
    if key and (known := services.replies.known(caller.token_id, key, asked)):
        return Response(known.body, status_code=known.status, media_type="application/json")
    facts = _facts_in(named, body)
    require_own(caller.party, facts)
    repository = services.repository_of(caller)
    await _require_not_final(repository, named, facts)
    await repository.store(facts)
    answer = done({"stored": len(facts)}, 201)
    if key:
        services.replies.remember(caller.token_id, key, asked, Reply(201, answer.content))
    return answer


@put("/facts/{entity:str}", opt=allowing(writing(), body="fact"), summary="Store one fact, conditionally")
async def replace(request: Any_, entity: Entity) -> Response[bytes]:
    """Store one fact where If-Match (its present ETag) or If-None-Match: * holds, and return its new ETag.

    Raises: WrongState (412) when the condition does not hold, and as for storing.
    """
    services, caller = services_of(request), caller_of(request)
    named = about(request, entity, "")
    facts = _facts_in(named, await request.body())
    if len(facts) != 1:
        raise InvalidInput(problem("body", f"{len(facts)} facts", "one fact"))
    require_own(caller.party, facts)
    repository = services.repository_of(caller)
    await _require_not_final(repository, named, facts)
    async with services.conditional:
        held = await held_fact(repository, key_of(facts[0]))
        _require_condition(request, held)
        await repository.store(facts)
    return done(facts[0], 201 if held is None else 200, {"ETag": etag(facts[0])})


@delete(
    "/facts/{entity:str}",
    opt=allowing(writing(), collects=True),
    status_code=200,
    summary="Delete facts about named subjects in [start, end)",
)
async def forget(
    request: Any_,
    entity: Entity,
    subject: Subjects = None,
    start: Start = None,
    end: End = None,
    filter: Filters = None,
) -> Response[bytes]:
    """Delete facts and return how many; subjects and times must be named, settlement stays.

    Raises: Refused for settlement and for others' facts, WrongState (412) when If-Match does not hold.
    """
    services, caller = services_of(request), caller_of(request)
    named = about(request, entity, (subject or [""])[0])
    problems = unknown_parameters(request)
    if not subject or not all(subject):
        problems.append(problem("subject", "missing", "whom or what the facts are about; may be repeated"))
    selection = _ranged(named, tuple(subject or ()), (start, end), filter, problems)
    if named in FINAL:
        raise Refused(f"{named} is settlement and stays")
    if caller.party.is_bound and not all(caller.party.owns(each) for each in selection.subjects):
        raise Refused("only facts of your own can be deleted")
    repository = services.repository_of(caller)
    async with services.conditional:
        await _require_match(request, repository, selection)
        return done({"deleted": await repository.delete(selection)})


FACTS = [entities, history, count, latest, subjects, store, replace, forget]


def etag(fact: Any) -> str:
    """Return the strong ETag of what is sent."""
    return f'"{hashlib.blake2b(_encode(fact), digest_size=12).hexdigest()}"'


async def held_fact(repository: Repository, key: Key) -> Concept | None:
    """Return the fact that is kept under a key, if any."""
    end_s = END_OF_TIME_S if is_timeless(key.entity) else key.time_s + 1
    around = Selection(key.entity, (key.subject,) if key.subject else (), key.time_s, end_s)
    return next((each for each in await repository.select(around) if key_of(each) == key), None)


_encode = msgspec.json.Encoder().encode


def _with_etag(request: Any_, data: Any) -> Response[bytes]:
    """Answer with an ETag of the data, or 304 without a body when the caller has them already."""
    tag = etag(data)
    wanted = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in wanted or "*" in wanted:
        return Response(b"", status_code=304, headers={"ETag": tag})
    return done(data, headers={"ETag": tag})


def about(request: Any_, entity: str, subject: str) -> str:
    """Return the type that is meant, and note for the audit log what the call is about.

    Raises: InvalidInput when there is no such type.
    """
    named = entity_of(entity)
    request.scope["entity"], request.scope["about"] = named, subject  # type: ignore[typeddict-unknown-key]
    return named


async def _selection(
    request: Any_,
    repository: Repository,
    entity: str,
    subjects: list[str] | None,
    span: tuple[str | None, str | None],
    filters: list[str] | None,
    problems: list[Problem],
) -> Selection | None:
    """Return what is asked for, of one's own where nobody is named; None when one has nothing.

    Raises: InvalidInput with every parameter that is missing or wrong, Refused for others' facts.
    """
    named = about(request, entity, (subjects or [""])[0])
    selection = _ranged(named, tuple(subjects or ()), span, filters, problems)
    party = caller_of(request).party
    if may_ask_about(party, named, selection.subjects):
        return selection
    if selection.subjects:
        raise Refused(f"a {party.role} reads {named} of its own only")
    own = tuple(each for each in await repository.subjects(named) if party.owns(each))
    return selection._replace(subjects=own) if own else None


def _ranged(
    entity: str,
    subjects: tuple[str, ...],
    span: tuple[str | None, str | None],
    filters: list[str] | None,
    problems: list[Problem],
) -> Selection:
    """Return a selection whose times are named, unless its type has none.

    Raises: InvalidInput with every parameter that is missing or wrong.
    """
    start_s, end_s = 0, END_OF_TIME_S
    if not is_timeless(entity) or any(span):
        start_s, end_s = epoch_of("start", span[0], problems), epoch_of("end", span[1], problems)
        if not problems and end_s < start_s:
            problems.append(problem("end", span[1], f"not before start = {span[0]}"))
    narrowed = filters_of(filters, problems)
    if problems:
        raise InvalidInput(problems)
    return Selection(entity, subjects, start_s, end_s, narrowed)


def _seen(party: Party, facts: list[Concept]) -> list[Concept]:
    if facts and party.sees_all(str(type(facts[0]).__struct_config__.tag)):
        return facts
    return [seen for fact in facts if (seen := as_seen_by(party, fact)) is not None]


def _all_own(party: Party, selection: Selection) -> bool:
    return bool(selection.subjects) and all(party.owns(each) for each in selection.subjects)


def _facts_in(entity: str, body: bytes) -> list[Concept]:
    """Return the facts of a body.

    Raises: NotUnderstood when it is no JSON, InvalidInput with everything that is wrong in it.
    """
    try:
        facts = _DECODERS[entity].decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _what_is_wrong(entity, body) from None
    listed = facts if isinstance(facts, list) else [facts]
    if not 1 <= len(listed) <= MOST_FACTS:
        raise InvalidInput(problem("body", f"{len(listed)} facts", f"1 to {MOST_FACTS}; more by uploading"))
    return listed


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    entity: msgspec.json.Decoder(cls | list[cls])  # type: ignore[valid-type]
    for entity, cls in ENTITIES.items()
}


def _what_is_wrong(entity: str, body: bytes) -> InvalidInput | NotUnderstood:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return NotUnderstood(
            problem("body", body[:80].decode(errors="replace") or "missing", f"JSON: {error}")
        )
    cls = class_of(entity)
    if not isinstance(data, list):
        return InvalidInput(problems_in(cls, data))
    found: list[Problem] = []
    for number, item in enumerate(data):
        found.extend(problems_in(cls, item, f"[{number}]"))
        if len(found) >= MOST_PROBLEMS:
            break
    return InvalidInput(found[:MOST_PROBLEMS])


def require_own(party: Party, facts: list[Concept]) -> None:
    """Raises: Refused when any is not the party's own to write."""
    if party.is_bound and not all(may_store(party, each) for each in facts):
        raise Refused(f"a {party.role} writes facts of its own only")


async def _require_not_final(repository: Repository, entity: str, facts: list[Concept]) -> None:
    """Raises: Refused when it would replace a settlement by another."""
    if entity not in FINAL:
        return
    for fact in facts:
        held = await held_fact(repository, key_of(fact))
        if held is not None and held != fact:
            raise Refused(f"{entity} is settlement and stays as it is")


def _require_condition(request: Any_, held: Concept | None) -> None:
    """Raises: WrongState when If-Match or If-None-Match does not hold."""
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    present = None if held is None else etag(held)
    if match is not None and (present is None or (match != "*" and present not in _listed(match))):
        raise WrongState("If-Match: the fact has changed, or is not there")
    if (
        none_match is not None
        and present is not None
        and (none_match == "*" or present in _listed(none_match))
    ):
        raise WrongState("If-None-Match: the fact is there already")


async def _require_match(request: Any_, repository: Repository, selection: Selection) -> None:
    """Raises: WrongState when If-Match is given and what would be deleted is not that one fact."""
    match = request.headers.get("if-match")
    if match is None:
        return
    held = await repository.select(selection)
    if len(held) != 1 or (match != "*" and etag(held[0]) not in _listed(match)):
        raise WrongState("If-Match: the fact has changed, is not there, or is not one")


def _listed(header: str) -> list[str]:
    return [each.strip() for each in header.split(",")]
