"""Whose facts are whose: rights on single facts, beside the rights on types in `ontology/policy.py`.

A role may read a type; a member that is bound to a site reads of that type what is public, and what is
about its own site. Who is bound and has no site reads what is public. Operators are not bound.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from ontology.assets import AssetType, BuildingType
from ontology.base import Concept
from ontology.coalition import VppPayoff
from ontology.codec import message_type_of
from ontology.flexibility_trading import DRSignal
from ontology.grid import GridConstraint, GridStatusEvent
from ontology.ledger import LedgerEntry
from ontology.market import Lem, LemParameters, LemResult, PriceProfile
from ontology.measurements import SensorType
from ontology.policy import may_read, may_write
from ontology.privacy import PseudonymRecord
from ontology.roles import Role
from ontology.service_level import KpiFeature, KpiMeasure, Sla
from ontology.users import UserRole
from ontology.vpp import Vpp
from ontology.weather import WeatherForecast, WeatherObservation

__all__ = ["PUBLIC", "Party", "as_seen_by", "is_own", "may_ask_about", "may_store", "names_in"]

C = TypeVar("C", bound=Concept)

_AT_A_SITE = frozenset({Role.PROSUMER, Role.GATEWAY, Role.PV, Role.BESS, Role.EV, Role.P2H, Role.UI})
"""Roles that serve one site, or a few, and see nothing of others."""
_AT_A_NODE = frozenset({Role.ORACLE, Role.BLOCKCHAIN})
"""Roles that serve a site where they have one; those of operators have none and serve everybody."""


def _types(*classes: type[Concept]) -> frozenset[str]:
    return frozenset(map(message_type_of, classes))


PUBLIC = _types(
    AssetType,
    BuildingType,
    DRSignal,
    GridConstraint,
    GridStatusEvent,
    LemParameters,
    PriceProfile,
    SensorType,
    UserRole,
    WeatherForecast,
    WeatherObservation,
)
"""Types that say nothing of anyone in particular: prices, grid, weather, catalogues."""

_OF_SEVERAL = _types(KpiFeature, KpiMeasure, LedgerEntry, Lem, LemResult, Sla, Vpp, VppPayoff)
"""Types whose facts are about several at once: whoever may read them may ask, and is shown its own."""

_SEALED = _types(PseudonymRecord)

_OWNED_BY = (
    "subject",
    "player",
    "site",
    "asset_id",
    "owner",
    "session_id",
    "instruction_id",
    "sensor_id",
    "building_id",
    "usage_point_id",
    "user_id",
    "pseudonym",
    "address",
    "debit",
    "credit",
)
"""Fields that name whom or what a fact is about."""


class Party(NamedTuple):
    """Somebody who reads and writes: a role, and the sites and pseudonyms that are its own."""

    role: Role
    subjects: tuple[str, ...] = ()

    @property
    def is_bound(self) -> bool:
        """Whether it is confined to its own; an operator is not."""
        return self.role in _AT_A_SITE or (self.role in _AT_A_NODE and bool(self.subjects))

    def owns(self, name: str) -> bool:
        """Whether a name is its own: a site, something of a site (`h001-bess`), an address, a pseudonym."""
        local = name.partition("@")[0]
        return any(own in (name, local) or local.startswith(f"{own}-") for own in self.subjects)

    def sees_all(self, entity: str) -> bool:
        """Whether every fact of a type is shown as it is; a node finds its own pseudonyms itself."""
        if not self.is_bound or entity in PUBLIC:
            return True
        return self.role in _AT_A_NODE and entity in _OF_SEVERAL | _SEALED


def may_ask_about(party: Party, entity: str, subjects: Sequence[str]) -> bool:
    """Whether somebody may ask for facts of a type about subjects; none named means all.

    What comes out of it is still to be passed through `as_seen_by`, fact by fact.
    """
    if not may_read(party.role, entity):
        return False
    if party.sees_all(entity) or entity in _OF_SEVERAL:
        return True
    return bool(subjects) and all(party.owns(each) for each in subjects)


def is_own(party: Party, fact: Concept) -> bool:
    """Whether a fact is about somebody, or something of its sites, among others or alone."""
    return any(party.owns(name) for name in names_in(fact))


def as_seen_by(party: Party, fact: C) -> C | None:
    """Return a fact as somebody may see it: as it is, without others in it, or not at all."""
    entity = message_type_of(type(fact))
    if not may_read(party.role, entity):
        return None
    if party.sees_all(entity):
        return fact
    if entity in _OF_SEVERAL:
        fact = _own_part(party, fact)
    return fact if isinstance(fact, Lem | LemResult) or is_own(party, fact) else None


def may_store(party: Party, fact: Concept) -> bool:
    """Whether somebody may write a fact: its type, and everything that it names must be one's own."""
    if not may_write(party.role, message_type_of(type(fact))):
        return False
    if not party.is_bound:
        return True
    names = list(names_in(fact))
    return bool(names) and all(party.owns(name) for name in names)


def _own_part(party: Party, fact: C) -> C:
    """Return a fact without the others that it names."""
    kept: dict[str, list[object]] = {
        field: [each for each in members if party.owns(_name_of(each))] for field, members in _lists_in(fact)
    }
    changes: dict[str, object] = dict(kept)
    if isinstance(fact, VppPayoff):  # what is left must still add up: it is what is paid to one's own
        own = [each for each in fact.members if party.owns(each.member)]
        changes |= {
            "paid_ticks": sum(each.cost_ticks + each.surplus_ticks for each in own),
            "initiator_ticks": 0,
        }
    return msgspec.structs.replace(fact, **changes) if changes else fact


def _lists_in(fact: Concept) -> Iterable[tuple[str, list[object]]]:
    for field in ("rows", "players", "absent", "members", "parties"):
        members = getattr(fact, field, None)
        if isinstance(members, list):
            yield field, members


def _name_of(member: object) -> str:
    """Return whom a row, a member or a plain name is about."""
    if isinstance(member, str):
        return member
    return str(getattr(member, "player", "") or getattr(member, "agent", "") or getattr(member, "member", ""))


def names_in(fact: Concept) -> Iterable[str]:
    """Yield whom and what a fact names."""
    fields = type(fact).__struct_fields__
    yield from (name for field in _OWNED_BY if field in fields and (name := getattr(fact, field)))
    for _, members in _lists_in(fact):
        yield from map(_name_of, members)
