"""The market's management: users, kinds of things, sites, participants, and the state that markets are in.

D8.1's LEM/LFM management application (§3.2, Table 3). Its forms are made from the ontology's JSON Schema.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from behaviours.decisions.market_activity import Market, active_markets
from environments.http.access import caller_of, roles
from environments.http.console.forms import form_data, form_of, unplaced
from environments.http.console.pages import CONSOLE, fragment, html, page, register_entry
from environments.http.console.routes.agents import community_of
from environments.http.console.routes.markets import newest_lights
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from environments.registry.catalogue import KINDS, Kind, kind_of
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, Unavailable, problem
from ontology.reading import read_struct
from ontology.registration import Onboarding, PersonalDetails, read_form
from ontology.roles import Role

if TYPE_CHECKING:
    from environments.registry import Registry

__all__ = ["REGISTRY_PAGES"]

Any_ = Request[Any, Any, State]
OPERATOR = roles(Role.MARKET_OPERATOR)
FORM_FAULTS = {"x-form-faults": "1"}
"""Tells the page's script that an answer with faults is the form itself, to be shown in its place."""

register_entry(f"{CONSOLE}/management", "Management", OPERATOR, "Applications")


@get("/management", opt=shown_to(OPERATOR))
async def management_page(request: Any_) -> Response[str]:
    """Show participants, the last state of the grid, and which markets it leaves active (Table 3, test 1)."""
    registry = services_of(request).more.get("registry")
    lights = await newest_lights(request)
    sites = {agent.site for agent in community_of(request).agents()} - {""}
    return page(
        request,
        "management.html",
        lights=lights,
        markets=list(Market),
        active={light.segment_id: active_markets(light.state) for light in lights},
        sites=sorted(sites),
        users=registry.users() if registry is not None else None,
        portfolio=registry.portfolio() if registry is not None else [],
        kinds=list(KINDS),
    )


# -- users ------------------------------------------------------------------------------------------


@get("/management/users/new", opt=shown_to(OPERATOR))
async def new_user_page(request: Any_) -> Response[str]:
    """Show the form by which a user is registered."""
    groups = await _user_form(request, {}, ())
    return page(request, "form.html", title="Register a user", groups=groups, rest=[], action="users")


@post("/management/users", opt=shown_to(OPERATOR), status_code=200)
async def register_user(request: Any_) -> Response[str]:
    """Register a user; with faults the form comes back, each beside its field (Table 3, test 2)."""
    typed = await _typed(request)
    data = form_data(PersonalDetails, typed) | form_data(Onboarding, typed)
    try:
        told, details = read_form(data)
        user = await _registry(request).register(told, _now_s(request), _actor(request), details)
    except InvalidInput as error:
        groups = await _user_form(request, data, error.problems)
        return _form_again("Register a user", groups, error.problems, "users")
    return _gone_to(f"{CONSOLE}/management/users/{user.user_id}")


@get("/management/users/{user_id:str}", opt=shown_to(OPERATOR))
async def user_page(request: Any_, user_id: str) -> Response[str]:
    """Show one user, with what was registered for the site.

    Raises: NotFoundException when there never was one.
    """
    user = _registry(request).user(user_id)
    if user is None:
        raise NotFoundException(f"no user {user_id}")
    consents = await _registry(request).consents(user_id) if user.status != "ERASED" else []
    plain = msgspec.json.format(msgspec.json.encode(user), indent=2).decode()
    return page(request, "user.html", user=user, consents=consents, plain=plain)


@post("/management/users/{user_id:str}/details", opt=shown_to(OPERATOR), status_code=200)
async def correct_user(request: Any_, user_id: str) -> Response[str]:
    """Put name and e-mail right (GDPR Art. 16).

    Raises: InvalidInput with everything that is wrong.
    """
    details = read_struct(PersonalDetails, form_data(PersonalDetails, await _typed(request)))
    _registry(request).correct(user_id, details, _now_s(request), _actor(request))
    return _gone_to(f"{CONSOLE}/management/users/{user_id}")


@post("/management/users/{user_id:str}/erase", opt=shown_to(OPERATOR), status_code=200)
async def erase_user(request: Any_, user_id: str) -> Response[str]:
    """Forget for good who a user was, after the id was typed (GDPR Art. 17).

    Raises: InvalidInput when it was not typed, or there never was such a user.
    """
    await _require_typed(request, user_id)
    repository = services_of(request).repository
    await _registry(request).erase(user_id, _now_s(request), _actor(request), repository)
    return _gone_to(f"{CONSOLE}/management")


# -- kinds of users, buildings, equipment and sensors, and what there is of them ------------------------


@get("/management/catalogues/{kind:str}", opt=shown_to(OPERATOR))
async def catalogue_page(request: Any_, kind: str) -> Response[str]:
    """Show the entries of a catalogue.

    Raises: NotFoundException when there is no such catalogue.
    """
    described = _kind(kind)
    entries = await _registry(request).catalogue.entries(kind)
    fields = described.concept.__struct_fields__
    return page(
        request,
        "catalogue.html",
        kind=kind,
        key=described.key,
        fields=fields,
        items=entries,
        kinds=list(KINDS),
    )


@get("/management/catalogues/{kind:str}/entry", opt=shown_to(OPERATOR))
async def entry_page(request: Any_, kind: str, name: str = "") -> Response[str]:
    """Show the form of an entry, or of a new one.

    Raises: NotFoundException when there is no such catalogue, or no such entry.
    """
    described = _kind(kind)
    found = await _registry(request).catalogue.get(kind, name) if name else None
    if name and found is None:
        raise NotFoundException(f"no {name} among {kind}")
    data = msgspec.to_builtins(found) if found is not None else {}
    groups = form_of(described.concept, data, options=await _choices(request, described))
    title = f"{name or 'A new entry'}: {kind}"
    return page(request, "form.html", title=title, groups=groups, rest=[], action=f"catalogues/{kind}")


@post("/management/catalogues/{kind:str}", opt=shown_to(OPERATOR), status_code=200)
async def enter_entry(request: Any_, kind: str) -> Response[str]:
    """Enter or replace an entry; with faults the form comes back, each beside its field."""
    described = _kind(kind)
    data = form_data(described.concept, await _typed(request))
    try:
        entry: Concept = read_struct(described.concept, data)
        await _registry(request).catalogue.put(entry)
    except InvalidInput as error:
        options = await _choices(request, described)
        groups = form_of(described.concept, data, error.problems, options=options)
        return _form_again(kind, groups, error.problems, f"catalogues/{kind}")
    return _gone_to(f"{CONSOLE}/management/catalogues/{kind}")


@post("/management/catalogues/{kind:str}/remove", opt=shown_to(OPERATOR), status_code=200)
async def remove_entry(request: Any_, kind: str, name: str) -> Response[str]:
    """Remove an entry that no other refers to, after its name was typed.

    Raises: InvalidInput when it was not typed, Conflict when others refer to it.
    """
    _kind(kind)
    await _require_typed(request, name)
    await _registry(request).catalogue.remove(kind, name)
    return _gone_to(f"{CONSOLE}/management/catalogues/{kind}")


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise NotFoundException(f"no catalogue {name}")
    return kind_of(name)


async def _user_form(request: Any_, data: dict[str, Any], problems: Iterable[Problem]) -> list[Any]:
    problems = list(problems)
    catalogue = _registry(request).catalogue
    options = {
        "role_id": await catalogue.names(KINDS["roles"]),
        "sensor_type_id": await catalogue.names(KINDS["sensor-types"]),
    }
    buildings = {"type_id": await catalogue.names(KINDS["building-types"])}
    assets = {"type_id": await catalogue.names(KINDS["asset-types"])}
    person = form_of(PersonalDetails, data, problems)
    home = form_of(
        Onboarding,
        data,
        problems,
        options=options | buildings,
        without=("details_sealed", "assets", "sensors"),
    )
    things = form_of(
        Onboarding,
        data,
        problems,
        options=options | assets,
        without=set(Onboarding.__struct_fields__) - {"assets", "sensors"},
    )
    return [*person, *home, *things]


async def _choices(request: Any_, kind: Kind) -> dict[str, Any]:
    """Return what the fields of an entry that refer to other catalogues can be."""
    catalogue = _registry(request).catalogue
    return {field: await catalogue.names(KINDS[other]) for field, other in kind.refers.items()}


def _form_again(title: str, groups: list[Any], problems: Iterable[Problem], action: str) -> Response[str]:
    rest = unplaced(groups, problems)
    answer = html(fragment("form_body.html", title=title, groups=groups, rest=rest, action=action))
    answer.status_code = 422
    answer.headers.update(FORM_FAULTS)
    return answer


def _gone_to(path: str) -> Response[str]:
    answer = html("")
    answer.headers["HX-Redirect"] = path
    return answer


async def _typed(request: Any_) -> dict[str, list[str]]:
    form = await request.form()
    return {key: [str(each) for each in form.getall(key)] for key in form}


async def _require_typed(request: Any_, name: str) -> None:
    typed = (await _typed(request)).get("confirmation", [""])[0].strip()
    if typed != name:
        raise InvalidInput(problem("confirmation", typed, f"{name}, typed"))


def _registry(request: Any_) -> "Registry":
    """Return the registry that is served here.

    Raises: Unavailable when there is none.
    """
    found = services_of(request).more.get("registry")
    if found is None:
        raise Unavailable("no registry of users is served here")
    return cast("Registry", found)


def _now_s(request: Any_) -> int:
    return int(services_of(request).now_s())


def _actor(request: Any_) -> str:
    return f"token {caller_of(request).token_id}"


REGISTRY_PAGES = (
    management_page,
    new_user_page,
    register_user,
    user_page,
    correct_user,
    erase_user,
    catalogue_page,
    entry_page,
    enter_entry,
    remove_entry,
)
