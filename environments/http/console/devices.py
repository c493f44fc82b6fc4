"""The devices of sites as pages show them: which there are, and their course in one chart."""

from collections.abc import Iterable, Mapping
from typing import Any

from litestar import Request

from environments.http.access import caller_of
from environments.http.console.community import Community
from environments.http.console.facts import facts, sayings, sites_of, visible_agents
from environments.http.services import services_of
from environments.repository.letter_archive import MOST_LETTERS
from ontology.assets import Asset
from ontology.base import INTERVAL_S
from ontology.control import Instruction, InstructionBatch
from ontology.flexibility import FlexEnvelope
from ontology.forecasts import Forecast
from ontology.measurements import Measurement, Quantity
from ontology.roles import Role
from ontology.storage import StorageStatus, ThermalStatus

__all__ = [
    "chart",
    "course_of",
    "devices_by_site",
    "devices_of",
    "instructions_for",
    "now_s",
    "site_of",
    "status_of",
]

Any_ = Request[Any, Any, Any]
Curve = dict[int, float]
DAY_S = 86_400
_OWN_MANAGER = (Role.PV, Role.BESS, Role.EV)
"""Roles whose agents manage one device, which is called like the role."""


def now_s(request: Any_) -> int:
    """Return the agents' time."""
    community: Community = services_of(request).more["community"]
    return int(community.now_s())


def site_of(request: Any_, asset_id: str) -> str | None:
    """Return the site of a device, if it is one that the caller may see."""
    return next((site for site in sites_of(request) if asset_id.startswith(f"{site}-")), None)


async def devices_of(request: Any_, site: str) -> list[str]:
    """Return the devices of a site: those registered, reported, foreseen and steered, by name."""
    return _devices_at(site, await _named(request, site))


async def devices_by_site(request: Any_) -> dict[str, list[str]]:
    """Return the devices of every site that the caller may see.

    What letters say is read once for all sites; who is bound to sites has few.
    """
    if caller_of(request).party.is_bound:
        return {site: await devices_of(request, site) for site in sites_of(request)}
    named = await _named(request, "", MOST_LETTERS)
    return {site: _devices_at(site, named) for site in sites_of(request)}


async def _named(request: Any_, site: str, most: int = 50) -> set[str]:
    """Return names of devices, as facts, letters of a site (or of all) and their managers tell them."""
    named = {a.asset_id for a in await facts(request, Asset)}
    named |= {m.subject for m in await facts(request, Measurement, start_s=now_s(request) - DAY_S)}
    said = sayings(request, (FlexEnvelope, Measurement, StorageStatus, ThermalStatus), site, most)
    named |= {str(getattr(each.content, "subject", "") or each.content.asset_id) for each in said}
    told = sayings(request, (InstructionBatch,), site, most)
    named |= {each.asset_id for batch in told for each in batch.content.instructions}
    return named | {
        f"{a.site}-{a.role}" for a in visible_agents(request) if a.role in _OWN_MANAGER and a.site
    }


def _devices_at(site: str, named: Iterable[str]) -> list[str]:
    return sorted(name for name in named if name.startswith(f"{site}-"))


def instructions_for(request: Any_, site: str, asset_id: str = "") -> list[Instruction]:
    """Return what a site's devices were told, the newest first, where letters may be read."""
    told = sayings(request, (InstructionBatch,), site, most=200)
    found = {i.instruction_id: i for each in told for i in each.content.instructions}
    return [each for each in found.values() if asset_id in ("", each.asset_id)]


def status_of(request: Any_, site: str, asset_id: str) -> StorageStatus | ThermalStatus | None:
    """Return what a device reported of itself last, if it does."""
    said = sayings(request, (StorageStatus, ThermalStatus), site, most=200)
    return next((each.content for each in said if each.content.asset_id == asset_id), None)


async def course_of(request: Any_, site: str, asset_id: str, lent: Iterable[Instruction]) -> dict[str, Any]:
    """Return a device's power: measured in the last day, expected and planned ahead, and ordered on loan.

    Args: lent: what the device was told under leases.
    """
    told = instructions_for(request, site, asset_id)
    low, high = await _bounds(request, site, asset_id)
    series: list[tuple[str, Curve, bool]] = [
        ("measured", await _measured(request, site, asset_id), False),
        ("expected", await _expected(request, site, asset_id), True),
        ("planned", _ordered(told), False),
        ("on loan", _ordered(lent), False),
        ("least possible", low, True),
        ("most possible", high, True),
    ]
    return chart(series)


def chart(series: Iterable[tuple[str, Mapping[int, float], bool]], unit: str = "W") -> dict[str, Any]:
    """Return curves as a chart wants them: common times, and a value or none at each."""
    kept = [(label, curve, dashed) for label, curve, dashed in series if curve]
    times = sorted({time_s for _, curve, _ in kept for time_s in curve})
    return {
        "times": times,
        "series": [
            {"label": label, "unit": unit, "values": [curve.get(t) for t in times], "dashed": dashed}
            for label, curve, dashed in kept
        ],
    }


async def _measured(request: Any_, site: str, asset_id: str) -> Curve:
    since_s = now_s(request) - DAY_S
    stored = await facts(request, Measurement, (asset_id,), since_s)
    said = sayings(request, (Measurement, StorageStatus), site, most=400)
    curve: Curve = {}
    for each in (*(said_.content for said_ in reversed(said)), *stored):
        if each.time_s < since_s:
            continue
        if isinstance(each, StorageStatus) and each.asset_id == asset_id:
            curve[_interval(each.time_s)] = float(each.power_w)
        elif isinstance(each, Measurement) and each.subject == asset_id and _is_power(each):
            curve[_interval(each.time_s)] = each.value
    return curve


async def _expected(request: Any_, site: str, asset_id: str) -> Curve:
    stored = await facts(request, Forecast, (asset_id,))
    said = sayings(request, (Forecast, FlexEnvelope), site, most=200)
    ahead = next((each.content for each in said if each.content.subject == asset_id), None)
    if stored and (ahead is None or isinstance(ahead, FlexEnvelope)):
        ahead = stored[-1]
    if ahead is None:
        return {}
    powers = ahead.power_w if isinstance(ahead, Forecast) else ahead.preferred_w
    return {ahead.start_s + i * ahead.step_s: float(power) for i, power in enumerate(powers)}


async def _bounds(request: Any_, site: str, asset_id: str) -> tuple[Curve, Curve]:
    """Return how low and how high a device could go, as it said last."""
    said = sayings(request, (FlexEnvelope,), site, most=200)
    told = next((each.content for each in said if each.content.subject == asset_id), None)
    if told is None:
        return {}, {}
    times = [told.start_s + i * told.step_s for i in range(len(told.power_min_w))]
    low, high = (map(float, powers) for powers in (told.power_min_w, told.power_max_w))
    return dict(zip(times, low, strict=True)), dict(zip(times, high, strict=True))


def _ordered(told: Iterable[Instruction]) -> Curve:
    """Return the set-points of instructions over the intervals that they hold for; the newest prevails."""
    curve: Curve = {}
    for each in told:
        if each.setpoint_w is None:
            continue
        for time_s in range(_interval(each.execution_time_s), each.valid_until_s, INTERVAL_S):
            curve.setdefault(time_s, float(each.setpoint_w))
    return curve


def _is_power(measurement: Measurement) -> bool:
    return measurement.quantity is Quantity.ACTIVE_POWER_W


def _interval(time_s: int) -> int:
    return time_s // INTERVAL_S * INTERVAL_S
