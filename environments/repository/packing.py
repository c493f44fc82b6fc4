"""Facts as rows: checked against their schema, with their keys, sorted by table."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
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


def packed(items: Sequence[Concept], *, are_valid: bool = False) -> Packed:
    """Check facts and return them as rows and columns; of several with one key, the last counts.

    Args:
        items: the facts.
        are_valid: that they have been checked against their schemas when they were read.

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
            valid = its_items if are_valid else _valid(entity, its_items)
            if entity in LAYOUTS:
                readings[entity] = LAYOUTS[entity].columns_of(valid)
                _check_names(entity, {*readings[entity][0], *readings[entity][2]})
            else:
                bodies = {key_of(item): _encode(item).decode() for item in valid}
                _check_names(entity, {name for key in bodies for name in (key.subject, key.variant)})
                facts |= bodies
        except InvalidInput as error:
            problems.extend(error.problems)
        except UnicodeEncodeError as error:
            problems.append(problem("text", ascii(error.object), "Unicode, without halves of characters"))
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
        return _list_decoders[entity].decode(_encode(items))
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise InvalidInput(_problems(entity, items)) from None


def _check_names(entity: str, names: Collection[str]) -> None:
    """Check that subjects and variants can stand in every database.

    Raises: InvalidInput or UnicodeEncodeError when one cannot.
    """
    "".join(names).encode()
    problems = [problem(entity, name, NO_NUL) for name in names if NUL in name]
    if problems:
        raise InvalidInput(problems)


def _problems(entity: str, items: Sequence[Concept]) -> Iterator[Problem]:
    for item in items:
        try:
            _decoders[entity].decode(_encode(item))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            yield problem(entity, repr(item), str(error))
