"""The prosumer's and the BaaB application: energy, tokens, prices, wishes, consent and one's own data.

D8.1 §2.2.4, §3.1, SPEC 4.12. Who is signed in for a site finds this one and no other.
"""

import io
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from environments.http.access import caller_of, roles
from environments.http.answers import TimedOut, done
from environments.http.console.devices import devices_of, now_s
from environments.http.console.facts import facts, party_of, sayings
from environments.http.console.pages import CONSOLE, html, page, register_entry
from environments.http.console.routes.ledger import judged_measures, movements
from environments.http.console.routes.markets import newest_lights, prices_ahead
from environments.http.console.signing_in import shown_to
from environments.http.console.steering import HEATED
from environments.http.parameters import epoch_of
from environments.http.services import services_of
from ontology.base import Concept
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvUserInput
from ontology.control import UserOverride
from ontology.errors import InvalidInput, Problem, Unavailable, problem
from ontology.ledger import LedgerEntry
from ontology.market import LemResult
from ontology.measurements import IntervalReading
from ontology.ownership import Party
from ontology.performatives import Performative
from ontology.reading import read_struct
from ontology.registration import Consent, ConsentPurpose
from ontology.roles import Role

if TYPE_CHECKING:
    from environments.registry import Registry

__all__ = ["HOUSEHOLD"]

Any_ = Request[Any, Any, State]
PEOPLE = roles(Role.PROSUMER, Role.UI)
BY_HAND = (*HEATED, "lighting")
DAY_S = 86_400
CONSENT_TEXT = "console-1"
"""Which words were agreed to: those of household.html."""

register_entry(f"{CONSOLE}/household", "My home", PEOPLE, "Applications")


class Day(NamedTuple):
    """What a site drew, fed in and moved in tokens over the last day."""

    consumed_wh: int
    produced_wh: int
    tokens: int


@get("/household", opt=shown_to(PEOPLE))
async def households_page(request: Any_) -> Response[str]:
    """Show one's own site; where there are several, the first, with the way to the others."""
    sites = _own_sites(request)
    if not sites:
        raise NotFoundException("your token is for no site of this community")
    return await _shown(request, sites[0])


@get("/household/{site:str}", opt=shown_to(PEOPLE))
async def household_page(request: Any_, site: str) -> Response[str]:
    """Show one of one's own sites.

    Raises: NotFoundException for any other.
    """
    return await _shown(request, _own(request, site))


@post("/household/{site:str}/comfort", opt=shown_to(PEOPLE), status_code=200)
async def set_comfort(request: Any_, site: str) -> Response[str]:
    """Say what is wanted of a device for the next two hours, whatever is planned.

    Raises: NotFoundException for another's site, InvalidInput with everything that is wrong, and what the
        site's agent raises.
    """
    form = await _form(request, site)
    devices = _by_hand(await devices_of(request, site))
    await _say(
        request, site, f"{site}-prosumer", _override(form, devices, now_s(request)), Performative.REQUEST
    )
    return html("<strong>Understood, for two hours.</strong>")


@post("/household/{site:str}/charging", opt=shown_to(PEOPLE), status_code=200)
async def set_charging(request: Any_, site: str) -> Response[str]:
    """Say what the car that is plugged in needs, and by when.

    Raises: NotFoundException for another's site or without a car, InvalidInput with everything that is wrong.
    """
    form = await _form(request, site)
    session = await _session(request, site)
    if session is None:
        raise NotFoundException("no car is plugged in")
    wish = _wish(form, session.session_id, now_s(request))
    await _say(request, site, f"{site}-ev", wish, Performative.INFORM)
    return html("<strong>The charger has been told.</strong>")


@post("/household/{site:str}/consent", opt=shown_to(PEOPLE), status_code=200)
async def set_consent(request: Any_, site: str) -> Response[str]:
    """Agree to a purpose, or withdraw; heeded from the next interval on (GDPR Art. 7).

    Raises: NotFoundException for another's site, InvalidInput with everything that is wrong.
    """
    form = await _form(request, site)
    time_s = int(services_of(request).now_s())
    given = {"yes": True, "no": False}.get(form.get("given", ""), form.get("given", ""))
    said = read_struct(
        Consent, {"subject": site, "time_s": time_s, "purpose": form.get("purpose", ""), "given": given}
    )
    user, actor = _user(request, site), f"token {caller_of(request).token_id}"
    await _registry(request).consent(user, said.purpose, said.given, time_s, actor, CONSENT_TEXT)
    answer = html("")
    answer.headers["HX-Redirect"] = f"{CONSOLE}/household/{site}"
    return answer


@get("/household/{site:str}/export", opt=shown_to(PEOPLE))
async def export_own(request: Any_, site: str, as_zip: bool = False) -> Response[Any]:
    """Return all that is stored about oneself, as JSON or a ZIP file (GDPR Art. 15 and 20).

    Raises: NotFoundException for another's site.
    """
    _own(request, site)
    services, caller = services_of(request), caller_of(request)
    exported = await _registry(request).export(
        _user(request, site),
        int(services.now_s()),
        f"token {caller.token_id}",
        services.repository_of(caller),
    )
    if not as_zip:
        return done(exported)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in exported.items():
            archive.writestr(f"{name}.json", msgspec.json.encode(part))
    named = {"Content-Disposition": f'attachment; filename="{site}.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=named)


async def _shown(request: Any_, site: str) -> Response[str]:
    registry: Registry | None = services_of(request).more.get("registry")
    user = registry.user_of(site) if registry is not None else None
    devices = await devices_of(request, site)
    said = await registry.consents(user) if registry is not None and user else []
    return page(
        request,
        "household.html",
        site=site,
        sites=_own_sites(request),
        day=await _day(request, site),
        lights=await newest_lights(request),
        ahead=await prices_ahead(request),
        judged=[
            each for each in await judged_measures(request) if party_of(request).owns(each.measure.player)
        ][:12],
        devices=devices,
        by_hand=_by_hand(devices),
        session=await _session(request, site),
        consents={purpose: _stands(said, purpose) for purpose in ConsentPurpose} if user else None,
        runs_here=services_of(request).portals is not None,
    )


async def _day(request: Any_, site: str) -> Day:
    since_s = now_s(request) - DAY_S
    read = await facts(request, IntervalReading, (site,), since_s)
    moved = movements(
        await facts(request, LemResult, start_s=since_s), await facts(request, LedgerEntry, start_s=since_s)
    )
    party = party_of(request)
    own = sum(tokens for account, tokens in moved.items() if party.owns(account))
    return Day(sum(each.consumed_wh for each in read), sum(each.produced_wh for each in read), own)


async def _session(request: Any_, site: str) -> EvConnectionEvent | None:
    """Return the car that is plugged in at a site, if one is."""
    kinds = (EvConnectionEvent, EvDisconnectionEvent)
    said = [each.content for each in sayings(request, kinds, site)]
    stored = [each for kind in kinds for each in await facts(request, kind, (f"{site}-ev",))]
    events = sorted((*said, *stored), key=lambda each: each.time_s)
    gone = {each.session_id for each in events if isinstance(each, EvDisconnectionEvent)}
    come = [each for each in events if isinstance(each, EvConnectionEvent) and each.session_id not in gone]
    return come[-1] if come and come[-1].asset_id.startswith(f"{site}-") else None


def _override(form: dict[str, str], devices: list[str], time_s: int) -> UserOverride:
    problems: list[Problem] = []
    asset_id = form.get("asset_id", "")
    if asset_id not in devices:
        problems.append(problem("asset_id", asset_id, f"one of {', '.join(devices) or 'none: nothing here'}"))
    is_heated = asset_id.endswith(HEATED)
    text = form.get("value", "").strip().replace(",", ".")
    low, high, unit = (5, 70, "°C") if is_heated else (0, 100_000, "W")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        problems.append(problem("value", text, f"{low} to {high} {unit}"))
    if problems:
        raise InvalidInput(problems)
    if is_heated:
        return UserOverride(asset_id=asset_id, time_s=time_s, setpoint_degc=value)
    return UserOverride(asset_id=asset_id, time_s=time_s, setpoint_w=int(value))


def _wish(form: dict[str, str], session_id: str, time_s: int) -> EvUserInput:
    problems: list[Problem] = []
    departure = form.get("departure", "").strip()
    zoned = (
        f"{departure}Z"
        if "T" in departure and departure[-1:].isdigit() and "+" not in departure
        else departure
    )
    departure_s = epoch_of("departure", zoned, problems)
    if not problems and departure_s < time_s:
        problems.append(problem("departure", departure, "later than now"))
    energy_kwh = form.get("energy_kwh", "").strip().replace(",", ".")
    if not energy_kwh.replace(".", "", 1).isdecimal() or not 0 <= float(energy_kwh) <= 200:
        problems.append(problem("energy_kwh", energy_kwh, "0 to 200 kWh"))
    if problems:
        raise InvalidInput(problems)
    return EvUserInput(
        session_id=session_id,
        time_s=time_s,
        requested_energy_wh=round(float(energy_kwh) * 1000),
        departure_s=departure_s,
        v2g_allowed=form.get("v2g", "") == "on",
    )


async def _say(request: Any_, site: str, to: str, content: Concept, act: Performative) -> None:
    services = services_of(request)
    if services.portals is None:
        raise Unavailable("no community runs here: nothing can be steered")
    party = Party(caller_of(request).role, (site,))
    try:
        await services.portals.say(party, to, content, act, services.deadline_s)
    except TimeoutError:
        raise TimedOut(f"{to} has not answered within {services.deadline_s:g} s") from None


def _stands(said: list[Consent], purpose: ConsentPurpose) -> Consent | None:
    return next((each for each in reversed(said) if each.purpose is purpose), None)


def _by_hand(devices: list[str]) -> list[str]:
    return [each for each in devices if each.endswith(BY_HAND)]


def _own_sites(request: Any_) -> list[str]:
    sites = {agent.site for agent in services_of(request).more["community"].agents()} - {""}
    return sorted(sites & set(caller_of(request).subjects))


def _own(request: Any_, site: str) -> str:
    """Return a site that is one's own; the audit log will name it."""
    request.scope["about"] = site  # type: ignore[typeddict-unknown-key]
    if site not in _own_sites(request):
        raise NotFoundException(f"no site {site}")
    return site


async def _form(request: Any_, site: str) -> dict[str, str]:
    _own(request, site)
    return {key: str(value) for key, value in (await request.form()).items()}


def _registry(request: Any_) -> "Registry":
    found = services_of(request).more.get("registry")
    if found is None:
        raise Unavailable("no registry of users is served here")
    return cast("Registry", found)


def _user(request: Any_, site: str) -> str:
    found = _registry(request).user_of(site)
    if found is None:
        raise InvalidInput(problem("site", site, "a site of a registered user"))
    return found


HOUSEHOLD = (households_page, household_page, set_comfort, set_charging, set_consent, export_own)
