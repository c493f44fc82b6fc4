"""Under what a fact is kept: its type, whom or what it is about, when, and which of several at once.

A type without a time of its own (an asset, a model, a segment) is timeless: one fact a subject, found at
any time.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, get_args

from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.discourse import AnyConcept
from ontology.errors import InvalidInput, problem
from ontology.users import User

__all__ = ["ENTITIES", "Key", "entity_of", "is_timeless", "key_of", "require_entity"]

SUBJECT_FIELDS = (
    "subject",
    "player",
    "site",
    "asset_id",
    "segment_id",
    "congestion_point",
    "node_id",
    "zone",
)
"""The first of these that a type has says what its facts are about."""
TIME_FIELDS = ("start_s", "time_s", "execution_time_s", "period_start_s", "valid_from_s", "arrival_s")
"""The first of these that a type has says when its facts hold."""
OTHER_SUBJECTS = {
    "parity:AssetType": "type_id",
    "parity:Building": "building_id",
    "parity:BuildingType": "type_id",
    "parity:EvSocUpdate": "session_id",
    "parity:FlexibilityContract": "contract_id",
    "parity:EvUserInput": "session_id",
    "parity:EvDisconnectionEvent": "session_id",
    "parity:ChargingSchedule": "session_id",
    "parity:ExternalBid": "bid_id",
    "parity:ExternalBidResult": "bid_id",
    "parity:ExternalBidWithdrawal": "bid_id",
    "parity:KpiFeature": "kpi_id",
    "parity:LedgerEntry": "settlement_key",
    "parity:LemParameters": "case",
    "parity:Player": "address",
    "parity:PseudonymRecord": "pseudonym",
    "parity:Sensor": "sensor_id",
    "parity:SensorType": "sensor_type_id",
    "parity:Sla": "sla_id",
    "parity:UsagePoint": "usage_point_id",
    "parity:User": "user_id",
    "parity:UserRole": "role_id",
    "parity:Vpp": "vpp_id",
    "parity:VppPayoff": "vpp_id",
    "parity:Wallet": "pseudonym",
    "s2:InstructionStatus": "instruction_id",
}
NO_SUBJECT = {"oadr:PriceProfile", "uftp:FlexSettlement"}
"""Types that are about the whole community."""
VARIANTS = {
    "oadr:DRSignal": ("signal_id",),
    "parity:AcquiredFlexibility": ("order_reference",),
    "parity:AssetAlarm": ("asset_id", "kind"),
    "parity:EmergencyCall": ("signal_id",),
    "parity:Consent": ("purpose",),
    "parity:EvSession": ("session_id",),
    "parity:Forecast": ("kind",),
    "parity:KpiMeasure": ("kpi_id",),
    "parity:LedgerEntry": ("debit", "credit"),
    "parity:Lem": ("aggregator",),
    "parity:LemResult": ("correction",),
    "parity:Measurement": ("quantity",),
    "s2:Instruction": ("instruction_id",),
    "uftp:FlexOffer": ("request_message_id",),
    "uftp:FlexOrder": ("order_reference",),
    "uftp:FlexReservation": ("contract_id",),
    "uftp:FlexSettlement": ("reference",),
}
"""What tells apart facts of a type about one subject at one time; without it the later replaces the older."""


class Key(NamedTuple):
    """Where a fact is kept; `time_s` is 0 for timeless facts."""

    entity: str
    subject: str
    time_s: int
    variant: str


class _Rule(NamedTuple):
    subject: Callable[[Any], str]
    time_s: Callable[[Any], int]
    variant: Callable[[Any], str]
    timeless: bool


ENTITIES: dict[str, type[Concept]] = {message_type_of(cls): cls for cls in get_args(AnyConcept)}
"""Every type that can be stored."""


def _rule(entity: str, cls: type[Concept]) -> _Rule:
    time = next((field for field in TIME_FIELDS if field in cls.__struct_fields__), None)
    return _Rule(
        _subject(entity, cls),
        attrgetter(time) if time else lambda fact: 0,
        _variant(VARIANTS.get(entity, ())),
        time is None,
    )


def _subject(entity: str, cls: type[Concept]) -> Callable[[Any], str]:
    if cls is User:
        return _nameless
    if entity in NO_SUBJECT:
        return lambda fact: ""
    field = OTHER_SUBJECTS.get(entity) or next(f for f in SUBJECT_FIELDS if f in cls.__struct_fields__)
    return attrgetter(field)


def _nameless(user: User) -> str:
    """Return a user's id; who a person is only the registry keeps, sealed.

    Raises: InvalidInput when the user has a name or an e-mail.
    """
    if user.name or user.email:
        raise InvalidInput(problem("name, email", "…", "nothing: people are registered with the registry"))
    return user.user_id


def _variant(fields: tuple[str, ...]) -> Callable[[Any], str]:
    if not fields:
        return lambda fact: ""
    if len(fields) == 1:
        value = attrgetter(fields[0])
        return lambda fact: str(value(fact))
    values = attrgetter(*fields)
    return lambda fact: " ".join(values(fact))


_RULES = {entity: _rule(entity, cls) for entity, cls in ENTITIES.items()}
_RULES_BY_CLASS = {cls: (entity, *_RULES[entity][:3]) for entity, cls in ENTITIES.items()}


def key_of(fact: Concept) -> Key:
    """Return where a fact is kept.

    Raises: InvalidInput when it is of a type that is not stored.
    """
    rule = _RULES_BY_CLASS.get(type(fact))
    if rule is None:
        raise InvalidInput(problem("item", type(fact).__name__, "a concept that can be stored"))
    entity, subject, time_s, variant = rule
    return Key(entity, subject(fact), time_s(fact), variant(fact))


def entity_of(cls: type[Concept]) -> str:
    """Return under which message type facts of a class are stored.

    Raises: InvalidInput when they are not.
    """
    rule = _RULES_BY_CLASS.get(cls)
    if rule is None:
        raise InvalidInput(problem("item", cls.__name__, "a concept that can be stored"))
    return rule[0]


def is_timeless(entity: str) -> bool:
    """Return whether facts of a type have no time of their own.

    Raises: InvalidInput when the type is not stored.
    """
    require_entity(entity)
    return _RULES[entity].timeless


def require_entity(entity: str) -> None:
    """Check that a type is stored.

    Raises: InvalidInput when it is not.
    """
    if entity not in ENTITIES:
        raise InvalidInput(problem("entity", entity, "a message type that can be stored"))
