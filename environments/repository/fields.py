"""Which fields of a stored type hold a single value, of what kind, and whether a selection makes sense."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

from msgspec import inspect

from behaviours.repository_port import Comparison, Filter, Selection
from environments.repository.keys import ENTITIES, require_entity
from environments.repository.series import bare
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["MAX_SUBJECTS", "OPERATORS", "Field", "Kind", "checked", "scalar_fields"]

MAX_SUBJECTS = 10_000
"""As many subjects as one selection may name."""

OPERATORS: dict[Comparison, Callable[[Any, Any], Any]] = {
    Comparison.EQUAL: eq,
    Comparison.NOT_EQUAL: ne,
    Comparison.LESS: lt,
    Comparison.AT_MOST: le,
    Comparison.GREATER: gt,
    Comparison.AT_LEAST: ge,
}
"""What compares so: values, and columns of a database."""


class Kind(StrEnum):
    """What sort of single value a field holds."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    TRUTH = "truth"


class Field(NamedTuple):
    """A field with a single value; `choices` are the texts of an enumeration, none: any."""

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    may_be_none: bool = False


@cache
def scalar_fields(entity: str) -> Mapping[str, Field]:
    """Return the fields of a message type that hold a single value, by name."""
    info = bare(inspect.type_info(ENTITIES[entity]))
    assert isinstance(info, inspect.StructType)
    found = (_field(each.name, each.type) for each in info.fields)
    return {each.name: each for each in found if each is not None}


def _field(name: str, of_type: inspect.Type) -> Field | None:
    match bare(of_type):
        case inspect.UnionType(types=types):
            values = [each for each in types if not isinstance(bare(each), inspect.NoneType)]
            found = _field(name, values[0]) if len(values) == 1 else None
            return found and found._replace(may_be_none=True)
        case inspect.EnumType(cls=cls):
            choices = [each.value for each in cls]
            if all(isinstance(each, int) for each in choices):
                return Field(name, Kind.INTEGER)
            return Field(name, Kind.TEXT, tuple(map(str, choices)))
        case inspect.LiteralType(values=values) if all(isinstance(each, str) for each in values):
            return Field(name, Kind.TEXT, tuple(map(str, values)))
        case inspect.StrType():
            return Field(name, Kind.TEXT)
        case inspect.BoolType():
            return Field(name, Kind.TRUTH)
        case inspect.IntType():
            return Field(name, Kind.INTEGER)
        case inspect.FloatType():
            return Field(name, Kind.REAL)
    return None


def checked(selection: Selection) -> Selection:
    """Return a selection whose filters hold values of their fields' kinds.

    Raises: InvalidInput with everything that is wrong with it.
    """
    require_entity(selection.entity)
    problems = list(_range_problems(selection))
    filters = []
    for number, each in enumerate(selection.filters):
        try:
            filters.append(_checked_filter(selection.entity, each, f"filters[{number}]"))
        except InvalidInput as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInput(problems)
    return selection._replace(filters=tuple(filters))


def _range_problems(selection: Selection) -> Iterator[Problem]:
    for name, value in (("start_s", selection.start_s), ("end_s", selection.end_s)):
        if value < 0:
            yield problem(name, value, "epoch seconds, not negative")
    if selection.end_s < selection.start_s:
        yield problem("end_s", selection.end_s, "not before start_s")
    if isinstance(selection.subjects, str):
        yield problem("subjects", selection.subjects, "a sequence of subjects")
    if len(selection.subjects) > MAX_SUBJECTS:
        yield problem("subjects", f"{len(selection.subjects)} of them", f"at most {MAX_SUBJECTS}")


def _checked_filter(entity: str, given: Filter, path: str) -> Filter:
    fields = scalar_fields(entity)
    field = fields.get(given.field)
    if field is None:
        raise InvalidInput(problem(f"{path}.field", given.field, f"one of {', '.join(fields)}"))
    if given.comparison is Comparison.ONE_OF:
        if isinstance(given.value, str) or not isinstance(given.value, Sequence):
            raise InvalidInput(problem(f"{path}.value", given.value, "a sequence of values"))
        if len(given.value) > MAX_SUBJECTS:
            raise InvalidInput(
                problem(f"{path}.value", f"{len(given.value)} of them", f"at most {MAX_SUBJECTS}")
            )
        return given._replace(value=tuple(_value(field, each, path) for each in given.value))
    return given._replace(value=_value(field, given.value, path))


def _value(field: Field, value: object, path: str) -> str | int | float | bool:
    """Return a value as its field holds it."""
    read = _READERS[field.kind](value)
    if read is None:
        raise InvalidInput(problem(f"{path}.value", value, _EXPECTED[field.kind]))
    if field.choices and read not in field.choices:
        raise InvalidInput(problem(f"{path}.value", value, f"one of {', '.join(field.choices)}"))
    return read


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str) and "\x00" not in value else None


def _number(value: object) -> int | float | None:
    """Return an integer where it is one: larger ones than a float can tell apart stay what they are."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    for kind in (int, float):
        try:
            number = kind(value)
        except (ValueError, OverflowError):
            continue
        if number == value or isinstance(value, str):
            return number if abs(number) <= _LARGEST else None
    return None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())


_LARGEST = 1e300
_READERS = {Kind.TEXT: _text, Kind.INTEGER: _number, Kind.REAL: _number, Kind.TRUTH: _truth}
_EXPECTED = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a number",
    Kind.REAL: "a number",
    Kind.TRUTH: "true or false",
}
