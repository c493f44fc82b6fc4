"""What every concept of the ontology shares: immutability, strictness, quantities and time base."""

from collections.abc import Sequence
from operator import gt
from typing import Annotated

import msgspec
from msgspec import Meta

from ontology.errors import InvalidInput, problem

__all__ = [
    "INTERVALS_A_DAY",
    "INTERVAL_S",
    "MAX_MEMBERS",
    "MAX_STEPS",
    "ONTOLOGY",
    "TICKS_PER_CURRENCY",
    "Address",
    "Amperes",
    "Concept",
    "Count",
    "DegreesCelsius",
    "Duration",
    "Energy",
    "EpochSeconds",
    "Factor",
    "Fraction",
    "Hash",
    "Identifier",
    "IntervalStart",
    "Label",
    "Magnitude",
    "Part",
    "Power",
    "PowerMagnitude",
    "Real",
    "SignedEnergy",
    "Steps",
    "Text",
    "Ticks",
    "Tokens",
    "Volts",
    "require",
    "require_aligned",
    "require_ordered",
]

ONTOLOGY = "parity/1.0"
INTERVAL_S = 900
INTERVALS_A_DAY = 96
TICKS_PER_CURRENCY = 10_000
"""Price ticks in one unit of currency: prices are integers of 10⁻⁴ EUR (SPEC 1.3)."""
MAX_STEPS = 200
"""Longest series in one body: 48 hours of intervals, a day of 25 hours included (SPEC 1.2, 4.6)."""
MAX_MEMBERS = 1000

_INT32 = 2**31 - 1
_INT53 = 2**53 - 1
_YEAR_9999 = 253_402_300_799

Identifier = Annotated[str, Meta(min_length=1, max_length=256, description="id or pseudonym")]
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Label = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=4096)]
Address = Annotated[str, Meta(min_length=1, max_length=512, description="bare JID, name@domain")]

EpochSeconds = Annotated[int, Meta(ge=0, le=_YEAR_9999, description="epoch seconds, UTC")]
IntervalStart = Annotated[
    int,
    Meta(ge=0, le=_YEAR_9999, multiple_of=INTERVAL_S, description="epoch seconds, UTC, start of an interval"),
]
Duration = Annotated[int, Meta(ge=1, le=_INT32, description="s")]

Power = Annotated[int, Meta(ge=-_INT32, le=_INT32, description="W (or var), positive is consumption")]
PowerMagnitude = Annotated[int, Meta(ge=0, le=_INT32, description="W (or VA), never negative")]
Energy = Annotated[int, Meta(ge=0, le=_INT53, description="Wh, never negative")]
SignedEnergy = Annotated[int, Meta(ge=-_INT53, le=_INT53, description="Wh, positive is consumption")]
Volts = Annotated[float, Meta(ge=0, le=1e6, description="V")]
Amperes = Annotated[float, Meta(ge=0, le=1e6, description="A")]
DegreesCelsius = Annotated[float, Meta(ge=-273.15, le=1000, description="degC")]
Magnitude = Annotated[float, Meta(ge=0, le=1e15, description="never negative")]
Real = Annotated[float, Meta(ge=-1e15, le=1e15)]
Fraction = Annotated[float, Meta(ge=0, le=1, description="0 to 1")]
Factor = Annotated[float, Meta(ge=0, le=1e6, description="ratio, may exceed 1")]
Count = Annotated[int, Meta(ge=0, le=_INT32)]
Ticks = Annotated[int, Meta(ge=-_INT53, le=_INT53, description="10⁻⁴ of the currency")]
Tokens = Annotated[int, Meta(ge=-_INT53, le=_INT53, description="whole tokens")]

Steps = Meta(max_length=MAX_STEPS)
"""Bounds a series: `Annotated[list[Power], Steps]`."""


class Concept(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", gc=False
):
    """Something that agents talk about; a subclass sets its wire tag, such as `parity:Lem`."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A piece of a concept that is never a letter by itself and has no wire tag."""


def require(condition: bool, path: str, value: object, expected: str) -> None:
    """Check a rule between fields.

    Raises: InvalidInput with path, value and expectation when the condition does not hold.
    """
    if not condition:
        raise InvalidInput(problem(path, value, expected))


def require_aligned(concept: msgspec.Struct, *fields: str, optional: Sequence[str] = ()) -> None:
    """Check that the series of a concept have equal lengths; an optional one may be empty.

    Raises: InvalidInput naming the first series that differs.
    """
    steps = len(getattr(concept, fields[0]))
    for field in fields[1:]:
        length = len(getattr(concept, field))
        require(length == steps, field, length, f"{steps} values, as many as {fields[0]}")
    for field in optional:
        length = len(getattr(concept, field))
        require(length in (0, steps), field, length, f"no values, or {steps}, as many as {fields[0]}")


def require_ordered(concept: msgspec.Struct, lower: str, upper: str) -> None:
    """Check that one series of a concept is nowhere above another.

    Raises: InvalidInput naming the first step that breaks the order.
    """
    low, high = getattr(concept, lower), getattr(concept, upper)
    if any(map(gt, low, high)):
        step = next(i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a > b)
        raise InvalidInput(problem(f"{lower}[{step}]", low[step], f"at most {upper}[{step}] = {high[step]}"))
