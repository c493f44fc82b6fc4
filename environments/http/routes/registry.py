"""The registry of users: registration, catalogues, consent, pseudonyms, wallets, export, erasure (D8.1 3.2).

These routes speak with the registry itself and not through agents: names and e-mails never become letters.
What changes for agents, such as a consent, they are told within the next interval.
"""

import io
import zipfile
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Request, Response, Router, delete, get, post, put

from environments.http.access import allowing, caller_of, roles, token_holders
from environments.http.answers import done
from environments.http.services import Services, services_of
from environments.registry.catalogue import KINDS, kind_of
from ontology.base import Concept
from ontology.errors import InvalidInput, NotUnderstood, Refused, Unavailable, problem
from ontology.ownership import as_seen_by
from ontology.reading import read_struct
from ontology.registration import Consent, PersonalDetails, PseudonymRequest, read_form
from ontology.roles import Role

if TYPE_CHECKING:
    from behaviours.ports import Ledger
    from environments.registry import Registry

__all__ = ["REGISTRY"]

Calls = Request[Any, Any, Any]
OPERATOR = roles(Role.MARKET_OPERATOR)
MEMBER = roles(Role.PROSUMER, Role.UI)
_DETAILS = {
    "type": "object",
    "required": ["name", "email"],
    "properties": {"name": {"type": "string"}, "email": {"type": "string"}},
}
_FORM = {
    "type": "object",
    "required": ["name", "email", "role_id"],
    "properties": {
        "name": {"type": "string"},
        "email": {"type": "string"},
        "role_id": {"type": "string"},
    },
    "description": "The fields of Onboarding, with name and email beside them.",
}


# -- users ------------------------------------------------------------------------------------------


@post("/registry/users", opt=allowing(OPERATOR, body=_FORM), status_code=201, summary="Register a user")
async def register(request: Calls) -> Response[bytes]:
    """Register a person with site, equipment and consents; everything that is wrong is named at once."""
    told, details = read_form(await _body(request))
    user = await _registry(request).register(told, _now_s(request), _actor(request), details)
    return done(user, 201)


@get("/registry/users", opt=allowing(OPERATOR), summary="All users")
async def users(request: Calls) -> Response[bytes]:
    """Return everybody, in the order of registration."""
    return done(_registry(request).users())


@get("/registry/users/{user_id:str}", opt=allowing(OPERATOR), summary="A user")
async def user(request: Calls, user_id: str) -> Response[bytes]:
    """Return a user; one who was erased has neither name nor e-mail."""
    found = _registry(request).user(user_id)
    if found is None:
        raise InvalidInput(problem("user_id", user_id, "a user that is or was registered"))
    return done(found)


@put(
    "/registry/users/{user_id:str}/details",
    opt=allowing(OPERATOR, body=_DETAILS),
    summary="Put a user's name and e-mail right",
)
async def correct(request: Calls, user_id: str) -> Response[bytes]:
    """Replace name and e-mail (GDPR Art. 16)."""
    details = read_struct(PersonalDetails, await _body(request))
    return done(_registry(request).correct(user_id, details, _now_s(request), _actor(request)))


@delete("/registry/users/{user_id:str}", opt=allowing(OPERATOR), status_code=200, summary="Erase a user")
async def erase(request: Calls, user_id: str) -> Response[bytes]:
    """Forget for good who a user was, with all that is known of the site (GDPR Art. 17)."""
    services = services_of(request)
    await _registry(request).erase(user_id, _now_s(request), _actor(request), services.repository)
    return done({"erased": user_id})


@get(
    "/registry/users/{user_id:str}/export", opt=allowing(OPERATOR), summary="All that is stored about a user"
)
async def export(request: Calls, user_id: str, as_zip: bool = False) -> Response[bytes]:
    """Return everything as JSON, or with `as_zip` as a ZIP file with one for each part (GDPR Art. 15, 20)."""
    return await _exported(request, user_id, as_zip)


# -- what a member may do for itself ------------------------------------------------------------------


@get("/registry/sites/{site:str}/export", opt=allowing(MEMBER), summary="All that is stored about oneself")
async def own_export(request: Calls, site: str, as_zip: bool = False) -> Response[bytes]:
    """Return everything as JSON, or with `as_zip` as a ZIP file with one for each part (GDPR Art. 15, 20)."""
    return await _exported(request, _own_user(request, site), as_zip)


@get("/registry/sites/{site:str}/consents", opt=allowing(MEMBER), summary="What one agreed to and withdrew")
async def consents(request: Calls, site: str) -> Response[bytes]:
    """Return the history in order; of each purpose the newest holds."""
    return done(await _registry(request).consents(_own_user(request, site)))


@post(
    "/registry/sites/{site:str}/consents",
    opt=allowing(MEMBER, body=Consent),
    status_code=201,
    summary="Give or withdraw consent",
)
async def consent(request: Calls, site: str) -> Response[bytes]:
    """Write down that one agrees or does not any more; heeded from the next interval on (GDPR Art. 7)."""
    now_s, data = _now_s(request), await _body(request)
    plain = {**data, "subject": site, "time_s": now_s} if isinstance(data, dict) else data
    said = read_struct(Consent, plain)
    user_id, actor = _own_user(request, site), _actor(request)
    kept = await _registry(request).consent(
        user_id, said.purpose, said.given, now_s, actor, said.text_version
    )
    return done(kept, 201)


@get("/registry/sites/{site:str}/wallet", opt=allowing(MEMBER), summary="What one holds, and how it moved")
async def wallet(request: Calls, site: str) -> Response[bytes]:
    """Return the balance of each of one's accounts on the ledger, and what was settled and paid."""
    ledger = services_of(request).more.get("ledger")
    if ledger is None:
        raise Unavailable("no ledger is served here")
    accounts = _registry(request).accounts(_own_user(request, site))
    balances: dict[str, int] = {}
    for account in accounts:
        try:
            balances |= await cast("Ledger", ledger).balances([account])
        except InvalidInput:  # an epoch in which the user did not play
            continue
    entries = await _registry(request).settled(accounts, services_of(request).repository)
    return done({"balance_tokens": sum(balances.values()), "accounts": balances, "entries": entries})


# -- pseudonyms -------------------------------------------------------------------------------------


@post(
    "/pseudonyms",
    opt=allowing(roles(Role.ORACLE, Role.BLOCKCHAIN), body=PseudonymRequest),
    status_code=200,
    summary="The pseudonym of one's own site",
)
async def pseudonym(request: Calls) -> Response[bytes]:
    """Return what a site is called in a scope at a time; asked too often it is refused."""
    asked = read_struct(PseudonymRequest, await _body(request))
    caller = caller_of(request)
    if asked.identity not in caller.subjects:
        raise Refused("a pseudonym is told to those who work for its site")
    issued = await _registry(request).pseudonyms.issue(
        asked.identity, asked.scope, asked.time_s, services_of(request).now_s(), _actor(request)
    )
    return done(issued)


# -- catalogues -------------------------------------------------------------------------------------


@get("/catalogues", opt=allowing(token_holders()), summary="The catalogues")
async def catalogues(request: Calls) -> Response[bytes]:
    """Return what catalogues there are, with the type of their entries."""
    return done({name: kind.entity for name, kind in KINDS.items()})


@get("/catalogues/{kind:str}", opt=allowing(token_holders()), summary="The entries of a catalogue")
async def entries(request: Calls, kind: str) -> Response[bytes]:
    """Return the entries that the caller may see, by name."""
    party = caller_of(request).party
    found = await _registry(request).catalogue.entries(kind)
    return done([each for each in found if as_seen_by(party, each) is not None])


@get("/catalogues/{kind:str}/{name:str}", opt=allowing(token_holders()), summary="An entry of a catalogue")
async def entry(request: Calls, kind: str, name: str) -> Response[bytes]:
    """Return an entry that the caller may see; `data` is null where there is none."""
    found = await _registry(request).catalogue.get(kind, name)
    return done(None if found is None else as_seen_by(caller_of(request).party, found))


@put(
    "/catalogues/{kind:str}/{name:str}",
    opt=allowing(OPERATOR, body={"type": "object"}),
    summary="Enter or replace an entry",
)
async def enter(request: Calls, kind: str, name: str) -> Response[bytes]:
    """Enter an entry under its name; what it refers to must be there."""
    described, data = kind_of(kind), await _body(request)
    plain = {**data, described.key: name} if isinstance(data, dict) else data
    made: Concept = read_struct(described.concept, plain)
    await _registry(request).catalogue.put(made)
    return done(made)


@delete(
    "/catalogues/{kind:str}/{name:str}",
    opt=allowing(OPERATOR),
    status_code=200,
    summary="Remove an entry that no other refers to",
)
async def remove(request: Calls, kind: str, name: str) -> Response[bytes]:
    """Remove an entry, and return whether there was one."""
    return done({"removed": await _registry(request).catalogue.remove(kind, name)})


REGISTRY = Router(
    "/api/v1",
    route_handlers=[
        register,
        users,
        user,
        correct,
        erase,
        export,
        own_export,
        consents,
        consent,
        wallet,
        pseudonym,
        catalogues,
        entries,
        entry,
        enter,
        remove,
    ],
)
"""What is served beside the other routes where there is a registry."""


def _registry(request: Calls) -> "Registry":
    """Return the registry that is served here.

    Raises: Unavailable when there is none.
    """
    found = services_of(request).more.get("registry")
    if found is None:
        raise Unavailable("no registry of users is served here")
    return cast("Registry", found)


def _own_user(request: Calls, site: str) -> str:
    """Return the user at one's own site.

    Raises: Refused for another's, InvalidInput when nobody is registered there.
    """
    request.scope["about"] = site  # type: ignore[typeddict-unknown-key]
    if site not in caller_of(request).subjects:
        raise Refused(f"{site} is not yours")
    found = _registry(request).user_of(site)
    if found is None:
        raise InvalidInput(problem("site", site, "a site of a registered user"))
    return found


async def _exported(request: Calls, user_id: str, as_zip: bool) -> Response[bytes]:
    services: Services = services_of(request)
    exported = await _registry(request).export(
        user_id, _now_s(request), _actor(request), services.repository_of(caller_of(request))
    )
    if not as_zip:
        return done(exported)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in exported.items():
            archive.writestr(f"{name}.json", msgspec.json.encode(part))
    return Response(packed.getvalue(), media_type="application/zip")


async def _body(request: Calls) -> Any:
    """Return the body as plain data.

    Raises: NotUnderstood when it is no JSON; what stands in it is not shown, it may be personal.
    """
    try:
        return msgspec.json.decode(await request.body())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotUnderstood(problem("body", "…", "JSON")) from None


def _actor(request: Calls) -> str:
    return f"token {caller_of(request).token_id}"


def _now_s(request: Calls) -> int:
    return int(services_of(request).now_s())
