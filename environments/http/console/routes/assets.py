"""Devices: measurement, forecast and plan in one chart; control on loan, with preview and confirmation."""

from typing import Any, cast

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from environments.http.access import caller_of, reading, roles
from environments.http.answers import done
from environments.http.console.control_leases import Lease, LeaseState, LeaseStore
from environments.http.console.devices import (
    course_of,
    devices_by_site,
    instructions_for,
    now_s,
    site_of,
    status_of,
)
from environments.http.console.pages import fragment, html, page, register_entry
from environments.http.console.signing_in import shown_to
from environments.http.console.steering import Way, asked_for, freed, lease_of, send, way_to
from environments.http.services import services_of
from ontology.codec import message_type_of
from ontology.control import Instruction
from ontology.errors import InvalidInput, Refused, problem
from ontology.measurements import Measurement
from ontology.roles import Role

__all__ = ["ASSETS", "lease_store"]

Any_ = Request[Any, Any, State]
MAY_LOOK = reading(message_type_of(Measurement))
MAY_STEER = roles(Role.PROSUMER, Role.UI, Role.AGGREGATOR)
SHOWN = 12

register_entry("/console/assets", "Devices", MAY_LOOK, "Community")


@get("/assets", opt=shown_to(MAY_LOOK))
async def assets_page(request: Any_) -> Response[str]:
    """Show the devices that the caller may see, site by site."""
    return page(request, "assets.html", by_site=await devices_by_site(request))


@get("/assets/{asset_id:str}", opt=shown_to(MAY_LOOK))
async def asset_page(request: Any_, asset_id: str) -> Response[str]:
    """Show one device: its course, what it reports and is told, and who has it on loan.

    Raises: NotFoundException when there is none that the caller may see.
    """
    site = _require_site(request, asset_id)
    return page(
        request,
        "asset.html",
        asset_id=asset_id,
        site=site,
        reported=status_of(request, site, asset_id),
        told=instructions_for(request, site, asset_id)[:SHOWN],
        way=way_to(caller_of(request), site, asset_id),
        leases=_shown_leases(request, asset_id),
        audit=_audit(request, asset_id),
    )


@get("/assets/{asset_id:str}/course", opt=shown_to(MAY_LOOK))
async def asset_course(request: Any_, asset_id: str) -> Response[bytes]:
    """Return what a device did, will do and could do, as series of a chart.

    Raises: NotFoundException when there is none that the caller may see.
    """
    site = _require_site(request, asset_id)
    held = (LeaseState.HELD, LeaseState.OVER)
    leases = lease_store(request).of(asset_id, now_s(request))
    lent = [each.told for each in leases if each.state in held]
    return done(await course_of(request, site, asset_id, lent))


@post("/assets/{asset_id:str}/leases/preview", opt=shown_to(MAY_STEER), status_code=200)
async def preview_lease(request: Any_, asset_id: str) -> Response[str]:
    """Show what would be told and until when, and ask to confirm it by typing the device's name.

    Raises: InvalidInput with everything that is wrong, Refused for who may not steer it.
    """
    site, way = _require_way(request, asset_id)
    told = asked_for(way, asset_id, await _form(request), now_s(request))
    overrides = instructions_for(request, site, asset_id)[:1]
    return html(fragment("lease_preview.html", told=told, way=way, overrides=overrides))


@post("/assets/{asset_id:str}/leases", opt=shown_to(MAY_STEER), status_code=200)
async def take_lease(request: Any_, asset_id: str) -> Response[str]:
    """Take a device on loan, after its name was typed, and say what became of it.

    Raises: InvalidInput with everything that is wrong, Refused for who may not steer it, Conflict when it is
        on loan already.
    """
    site, way = _require_way(request, asset_id)
    form = await _form(request)
    told = asked_for(way, asset_id, form, now_s(request))
    if form.get("confirmation", "").strip() != asset_id:
        raise InvalidInput(problem("confirmation", form.get("confirmation", ""), f"{asset_id}, typed"))
    store, services, caller = lease_store(request), services_of(request), caller_of(request)
    lease = store.take(lease_of(told, caller))
    state, outcome = await send(services, caller, site, way, told)
    store.settle(lease.lease_id, state, outcome)
    return _leases(request, asset_id)


@post("/assets/{asset_id:str}/leases/{lease_id:str}/end", opt=shown_to(MAY_STEER), status_code=200)
async def end_lease(request: Any_, asset_id: str, lease_id: str) -> Response[str]:
    """Give a device back before its time.

    Raises: NotFoundException when there is no such lease, Refused for who may not steer it.
    """
    site, way = _require_way(request, asset_id)
    lease = _open_lease(request, asset_id, lease_id)
    state, outcome = await send(services_of(request), caller_of(request), site, way, _back(request, lease))
    if state is LeaseState.HELD:
        lease_store(request).settle(lease_id, LeaseState.GIVEN_BACK, outcome)
    else:
        lease_store(request).settle(lease_id, lease.state, f"not given back: {outcome}")
    return _leases(request, asset_id)


def lease_store(request: Any_) -> LeaseStore:
    """Return where leases are written down."""
    return services_of(request).leases


def _back(request: Any_, lease: Lease) -> Instruction:
    return freed(lease.told, now_s(request))


def _leases(request: Any_, asset_id: str) -> Response[str]:
    leases = _shown_leases(request, asset_id)
    return html(fragment("leases.html", leases=leases, asset_id=asset_id, may_end=True, now_s=now_s(request)))


def _shown_leases(request: Any_, asset_id: str) -> list[Lease]:
    return list(lease_store(request).of(asset_id, now_s(request), SHOWN))


def _open_lease(request: Any_, asset_id: str, lease_id: str) -> Lease:
    found = [each for each in _shown_leases(request, asset_id) if each.lease_id == lease_id and each.is_open]
    if not found:
        raise NotFoundException("no lease that is still open")
    if found[0].token_id != caller_of(request).token_id:
        raise Refused(f"{found[0].holder} has it on loan")
    return found[0]


def _audit(request: Any_, asset_id: str) -> list[dict[str, Any]]:
    """Return what the caller's token changed at a device, the newest first, as the audit log has it."""
    log, caller = services_of(request).audit, caller_of(request)
    about = log.name(asset_id)
    rows = log.last(200, caller.token_id)
    return [row for row in rows if row["about"] == about and row["method"] == "POST"][:SHOWN]


def _require_site(request: Any_, asset_id: str) -> str:
    site = site_of(request, asset_id)
    if site is None:
        raise NotFoundException(f"no device {asset_id}")
    return site


def _require_way(request: Any_, asset_id: str) -> tuple[str, Way]:
    """Return site and way to a device that the caller may steer; the audit log will name the device."""
    scope = cast("dict[str, Any]", request.scope)
    scope["about"], scope["entity"] = asset_id, message_type_of(Instruction)
    site = _require_site(request, asset_id)
    way = way_to(caller_of(request), site, asset_id)
    if way is None:
        raise Refused(f"{asset_id} is steered by the people of {site} only")
    return site, way


async def _form(request: Any_) -> dict[str, str]:
    return {key: str(value) for key, value in (await request.form()).items()}


ASSETS = (assets_page, asset_page, asset_course, preview_lease, take_lease, end_lease)
