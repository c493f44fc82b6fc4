"""Facts as rows: checked against their schema, with their keys, sorted by table."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from environments.repository.keys import ENTITIES, key_of
from environments.repository.series import LAYOUTS
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["SETTLEMENT_TYPES", "Packed", "decoded", "packed"]

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
NUL = "\x00"

_encode = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder(list[dict[str, Any]]).decode
_decoders = {entity: msgspec.json.Decoder(cls) for entity, cls in ENTITIES.items()}
_list_decoders = {entity: msgspec.json.Decoder(list[cls]) for entity, cls in ENTITIES.items()}  # type: ignore[valid-type]

Row = tuple[Any, ...]


class Packed(NamedTuple):
    """What a batch writes: bodies by key into `facts`, and rows of readings by message type."""

    facts: list[Row]
    """Entity, subject, time, variant, body; each key once."""
    readings: dict[str, list[Row]]
    """Subject, time, variant, then the columns; each key once."""

    @property
    def is_settlement(self) -> bool:
        """Whether anything of it is settled by."""
        return any(row[0] in SETTLEMENT_TYPES for row in self.facts)


def packed(items: Sequence[Concept]) -> Packed:
    """Check facts and return them as rows in the order of their keys; of several with one key, the last.

    Raises: InvalidInput with everything that is of no stored type or breaks its schema.
    """
    by_entity: defaultdict[str, list[Concept]] = defaultdict(list)
    keys = []
    problems: list[Problem] = []
    for item in items:
        try:
            key = key_of(item)
        except InvalidInput as error:
            problems.extend(error.problems)
            continue
        by_entity[key.entity].append(item)
        if key.entity not in LAYOUTS:
            keys.append((key, item))
    facts: dict[Row, bytes] = {}
    for key, item in keys:
        facts[key] = _encode(item)
    for entity, its_items in by_entity.items():
        problems.extend(_problems(entity, its_items))
    if problems:
        raise InvalidInput(problems)
    readings = {entity: _rows(entity, by_entity[entity]) for entity in LAYOUTS if entity in by_entity}
    return Packed([(*key, facts[key].decode()) for key in sorted(facts)], readings)


def decoded(entity: str, bodies: Iterable[str]) -> list[Concept]:
    """Return facts of a message type from their bodies; reading them together is quickest."""
    return _list_decoders[entity].decode(f"[{','.join(bodies)}]")


def _rows(entity: str, items: Sequence[Concept]) -> list[Row]:
    rows = {row[:3]: row for row in LAYOUTS[entity].rows(_read(_encode(items)))}
    return [rows[key] for key in sorted(rows)]


def _problems(entity: str, items: Sequence[Concept]) -> Iterator[Problem]:
    """Yield what is wrong with facts of a type; constructors do not validate, so they are read once more."""
    try:
        encoded = _encode(items)
        _list_decoders[entity].decode(encoded)
        if b"\\u0000" not in encoded:
            return
    except (msgspec.ValidationError, UnicodeEncodeError):
        pass
    for item in items:
        try:
            body = _encode(item)
            _decoders[entity].decode(body)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            yield problem(entity, repr(item), str(error))
            continue
        key = key_of(item)
        if NUL in key.subject or NUL in key.variant:
            yield problem(entity, repr(item), "no NUL character in subject and variant")
