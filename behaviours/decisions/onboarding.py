"""Whether somebody can be registered as told: every problem at once (SPEC 4.2)."""

import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from ontology.assets import AssetCode
from ontology.errors import Problem, problem
from ontology.registration import Onboarding
from ontology.users import UserRoleCode

__all__ = ["Catalogues", "onboarding_problems"]

SITE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
STORES = (AssetCode.BESS, AssetCode.EVSE)
"""Equipment that has a capacity; of a charging point it may be unknown."""


class Catalogues(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to choose from, and what is taken."""

    roles: Mapping[str, UserRoleCode]
    building_types: Collection[str]
    asset_types: Mapping[str, AssetCode]
    sensor_types: Collection[str]
    taken_sites: Collection[str] = ()
    has_email: bool = False
    """Whether somebody is registered under the e-mail already."""


def onboarding_problems(told: Onboarding, known: Catalogues) -> Iterator[Problem]:
    """Yield everything that keeps a person from being registered as told."""
    yield from _choice("role_id", told.role_id, known.roles)
    if known.has_email:
        yield problem("email", "…", "an e-mail that nobody is registered under")
    if known.roles.get(told.role_id) is UserRoleCode.PROSUMER:
        yield from _site(told)
    if told.site and not SITE.fullmatch(told.site):
        yield problem("site", told.site, "up to 40 lower-case letters, digits and hyphens")
    if told.site in known.taken_sites:
        yield problem("site", told.site, "a site that is nobody's yet")
    if told.building is not None:
        yield from _choice("building.type_id", told.building.type_id, known.building_types)
    yield from _equipment(told, known)


def _site(told: Onboarding) -> Iterator[Problem]:
    """A prosumer is metered somewhere."""
    for field in ("site", "segment_id", "building", "usage_point"):
        if not getattr(told, field):
            yield problem(field, "", "is missing: a prosumer has one")


def _equipment(told: Onboarding, known: Catalogues) -> Iterator[Problem]:
    if told.assets and told.usage_point is None:
        yield problem("usage_point", "", "is missing: equipment is connected somewhere")
    if (told.assets or told.building) and not told.site:
        yield problem("site", "", "is missing: buildings and equipment stand somewhere")
    for i, asset in enumerate(told.assets):
        yield from _choice(f"assets[{i}].type_id", asset.type_id, known.asset_types)
        if known.asset_types.get(asset.type_id) is AssetCode.BESS and asset.capacity_wh == 0:
            yield problem(f"assets[{i}].capacity_wh", 0, "positive: a battery stores something")
        elif asset.capacity_wh and known.asset_types.get(asset.type_id) not in (*STORES, None):
            yield problem(f"assets[{i}].capacity_wh", asset.capacity_wh, "0: it stores nothing")
    for i, sensor in enumerate(told.sensors):
        yield from _choice(f"sensors[{i}].sensor_type_id", sensor.sensor_type_id, known.sensor_types)
        if sensor.asset is not None and sensor.asset >= len(told.assets):
            yield problem(f"sensors[{i}].asset", sensor.asset, f"below {len(told.assets)}, a place in assets")
        elif sensor.asset is None and told.building is None:
            yield problem(f"sensors[{i}].asset", "", "a place in assets, as there is no building")


def _choice(path: str, value: str, known: Collection[str]) -> Iterator[Problem]:
    if value not in known:
        yield problem(path, value, "one of " + ", ".join(sorted(known)))
