"""The catalogues: kinds of users, buildings, equipment and sensors, and what there is of each.

An entry that others refer to cannot be removed, and one that refers to what there is not cannot be entered.
"""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from behaviours.repository_port import Repository, Selection
from environments.registry.catalogue_entries import CATALOGUES
from ontology.assets import Asset, AssetType, Building, BuildingType, UsagePoint
from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.errors import Conflict, InvalidInput, Problem, problem
from ontology.measurements import Sensor, SensorType
from ontology.users import UserRole

__all__ = ["KINDS", "Catalogue", "Kind"]


class Kind(NamedTuple):
    """A kind of entries: its concept, the field that names an entry, and what its fields refer to."""

    concept: type[Concept]
    key: str
    refers: Mapping[str, str] = {}

    @property
    def entity(self) -> str:
        """The message type."""
        return message_type_of(self.concept)


KINDS: Mapping[str, Kind] = {
    "roles": Kind(UserRole, "role_id"),
    "building-types": Kind(BuildingType, "type_id"),
    "asset-types": Kind(AssetType, "type_id"),
    "sensor-types": Kind(SensorType, "sensor_type_id"),
    "usage-points": Kind(UsagePoint, "usage_point_id"),
    "buildings": Kind(
        Building, "building_id", {"type_id": "building-types", "usage_point_id": "usage-points"}
    ),
    "assets": Kind(Asset, "asset_id", {"type_id": "asset-types", "usage_point_id": "usage-points"}),
    "sensors": Kind(
        Sensor,
        "sensor_id",
        {"sensor_type_id": "sensor-types", "asset_id": "assets", "building_id": "buildings"},
    ),
}
"""By the name that commands and addresses call them."""


class Catalogue:
    """Entries of every kind, kept as facts."""

    def __init__(self, facts: Repository) -> None:
        """Keep entries in a repository."""
        self._facts = facts

    async def seed(self) -> None:
        """Enter what there is to choose from at first; what is there already stays as it is."""
        held = {(kind.entity, name) for kind in KINDS.values() for name in await self.names(kind)}
        kinds = {kind.concept: kind for kind in KINDS.values()}
        fresh = [
            each
            for each in CATALOGUES
            if (kinds[type(each)].entity, getattr(each, kinds[type(each)].key)) not in held
        ]
        await self._facts.store(fresh)

    async def entries(self, kind: str) -> list[Concept]:
        """Return all entries of a kind, by name.

        Raises: InvalidInput when there is no such kind.
        """
        return list(await self._facts.query(kind_of(kind).entity, "", 0, 1))

    async def get(self, kind: str, name: str) -> Concept | None:
        """Return an entry, if there is one."""
        found = await self._facts.query(kind_of(kind).entity, name, 0, 1)
        return found[0] if found else None

    async def put(self, *entries: Concept) -> None:
        """Enter or replace entries, all or none; they may refer to each other.

        Raises: InvalidInput with every reference to what there is not.
        """
        own = {(named(each), getattr(each, KINDS[named(each)].key)) for each in entries}
        problems = [found for each in entries async for found in self._lost_references(each, own)]
        if problems:
            raise InvalidInput(problems)
        await self._facts.store(entries)

    async def remove(self, kind: str, name: str) -> bool:
        """Remove an entry, and tell whether there was one.

        Raises: Conflict when others refer to it.
        """
        by = [f"{other} {user}" async for other, user in self._users(kind, name)]
        if by:
            raise Conflict(f"{kind} {name} is in use by {', '.join(by[:5])}")
        return await self._facts.delete(Selection(kind_of(kind).entity, (name,))) > 0

    async def names(self, kind: Kind) -> list[str]:
        """Return what the entries of a kind are called."""
        return [getattr(each, kind.key) for each in await self._facts.query(kind.entity, "", 0, 1)]

    async def _lost_references(self, entry: Concept, own: set[tuple[str, str]]) -> AsyncIterator[Problem]:
        kind = KINDS[named(entry)]
        for field, target in kind.refers.items():
            name = getattr(entry, field)
            if name and (target, name) not in own and await self.get(target, name) is None:
                yield problem(f"{getattr(entry, kind.key)}.{field}", name, f"one of {target}")

    async def _users(self, kind: str, name: str) -> AsyncIterator[tuple[str, str]]:
        for other, described in KINDS.items():
            fields = [field for field, target in described.refers.items() if target == kind]
            for entry in await self.entries(other) if fields else ():
                if any(getattr(entry, field) == name for field in fields):
                    yield other, getattr(entry, described.key)


def kind_of(name: str) -> Kind:
    """Return a kind by its name.

    Raises: InvalidInput when there is none.
    """
    if name not in KINDS:
        raise InvalidInput(problem("kind", name, "one of " + ", ".join(KINDS)))
    return KINDS[name]


def named(entry: Concept) -> str:
    """Return what the kind of an entry is called.

    Raises: InvalidInput when it belongs into no catalogue.
    """
    found = next((name for name, kind in KINDS.items() if isinstance(entry, kind.concept)), None)
    if found is None:
        raise InvalidInput(problem("entry", type(entry).__name__, "one of " + ", ".join(KINDS)))
    return found
