"""Facts as rows: checked against their schema, with their keys, sorted by table."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from environments.repository.keys import ENTITIES, Key, entity_of, key_of
from environments.repository.series import LAYOUTS
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["SETTLEMENT_TYPES", "Columns", "Packed", "Row", "decoded", "packed"]

SETTLEMENT_TYPES = frozenset(
    (
        "parity:KpiMeasure",
        "parity:LedgerEntry",
        "parity:Lem",
        "parity:LemDataset",
        "parity:LemResult",
        "parity:PseudonymRecord",
        "parity:Sla",
        "parity:VppPayoff",
        "parity:Wallet",
        "uftp:FlexOrder",
        "uftp:FlexSettlement",
    )
)
"""What is settled by, and cannot be had again from anywhere: on the disk before it is acknowledged."""
NUL, NO_NUL = "\x00", "no NUL character in subject and variant: PostgreSQL's text cannot hold it"

_encode = msgspec.json.Encoder().encode
_decoders = {entity: msgspec.json.Decoder(cls) for entity, cls in ENTITIES.items()}
_list_decoders = {entity: msgspec.json.Decoder(list[cls]) for entity, cls in ENTITIES.items()}  # type: ignore[valid-type]

Row = tuple[Any, ...]
Columns = list[Sequence[Any]]


class Packed(NamedTuple):
    """What a batch writes: bodies by key into `facts`, and columns of readings by message type."""

    facts: list[Row]
    """Entity, subject, time, variant, body; ascending, each key once."""
    readings: dict[str, Columns]
    """Subject, time, variant, then the values; as they came."""

    @property
    def is_settlement(self) -> bool:
        """Whether anything of it is settled by."""
        return any(row[0] in SETTLEMENT_TYPES for row in self.facts)


def packed(items: Sequence[Concept]) -> Packed:
    """Check facts and return them as rows and columns; of several with one key, the last counts.

    Raises: InvalidInput with everything that is of no stored type or breaks its schema.
    """
    by_class: defaultdict[type[Concept], list[Concept]] = defaultdict(list)
    for item in items:
        by_class[type(item)].append(item)
    facts: dict[Key, str] = {}
    readings: dict[str, Columns] = {}
    problems: list[Problem] = []
    for cls, its_items in by_class.items():
        try:
            entity = entity_of(cls)
            valid = _valid(entity, its_items)
            if entity in LAYOUTS:
                readings[entity] = LAYOUTS[entity].columns_of(valid)
            else:
                facts |= {key_of(item): _encode(item).decode() for item in valid}
        except InvalidInput as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInput(problems)
    return Packed([(*key, facts[key]) for key in sorted(facts)], readings)


def decoded(entity: str, bodies: Iterable[str]) -> list[Concept]:
    """Return facts of a message type from their bodies; reading them together is quickest."""
    return _list_decoders[entity].decode(f"[{','.join(bodies)}]")


def _valid(entity: str, items: Sequence[Concept]) -> list[Concept]:
    """Return facts as they come back from JSON: constructors do not validate, reading does.

    Raises: InvalidInput with what is wrong with each.
    """
    try:
        encoded = _encode(items)
        valid = _list_decoders[entity].decode(encoded)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise InvalidInput(_problems(entity, items)) from None
    if b"\\u0000" in encoded:
        problems = [problem(entity, repr(item), NO_NUL) for item in valid if NUL in _names(item)]
        if problems:
            raise InvalidInput(problems)
    return valid


def _names(item: Concept) -> str:
    key = key_of(item)
    return key.subject + key.variant


def _problems(entity: str, items: Sequence[Concept]) -> Iterator[Problem]:
    for item in items:
        try:
            _decoders[entity].decode(_encode(item))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            yield problem(entity, repr(item), str(error))
