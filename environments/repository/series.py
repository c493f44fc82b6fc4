"""How facts that come in great numbers lie in columns, and how they become facts again.

A meter's readings differ in their numbers only. So subject and variant are written down once, as a series,
and each reading is a short row of numbers under it: an eighth of the room that JSON takes, and twice as fast
to store (docs/repository.md has the measurement).
"""

from collections.abc import Callable, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import inspect

from environments.repository.keys import ENTITIES, SUBJECT_FIELDS, TIME_FIELDS, VARIANTS
from ontology.base import Concept

__all__ = ["LAYOUTS", "Layout", "SeriesColumn", "bare"]

SERIES_TABLES = {
    "parity:IntervalReading": "interval_readings",
    "parity:Measurement": "measurements",
    "parity:GridMeasurement": "grid_measurements",
}
"""The tables of the message types that lie in columns."""


class SeriesColumn(NamedTuple):
    """A column: the field it is of, its type, and which value of the field where that is a list."""

    name: str
    field: str
    type: sa.types.TypeEngine[Any]


class _FieldPlan(NamedTuple):
    """How the columns of a field become its value: `width` columns are a list, 0 is a single value."""

    name: str
    width: int
    read: Callable[[Any], Any] | None
    is_enumeration: bool = False


class Layout:
    """How the facts of one message type lie in a table: key, then one column a value.

    Args:
        entity: the message type.
        table: the name of its table.
    """

    def __init__(self, entity: str, table: str) -> None:
        cls = ENTITIES[entity]
        self.entity, self.table = entity, table
        self._cls = cls
        fields = cls.__struct_fields__
        self.subject_field = next(f for f in SUBJECT_FIELDS if f in fields)
        self.time_field = next(f for f in TIME_FIELDS if f in fields)
        self.variant_field = next(iter(VARIANTS.get(entity, ())), "")
        self._plans = [self._key_plan(f) for f in self._key_fields()]
        self.columns: list[SeriesColumn] = []
        for name, of_type in self._types().items():
            if name not in self._key_fields():
                self._add(name, of_type)
        self._fact = _maker(cls, [plan.name for plan in self._plans])

    def columns_of(self, facts: Sequence[Concept]) -> list[Sequence[Any]]:
        """Return facts, which are valid, as columns: subject, time, variant, then those of the values."""
        columns: list[Sequence[Any]] = []
        for plan in self._plans:
            column = list(map(attrgetter(plan.name), facts))
            if plan.width:
                columns.extend(zip(*column, strict=True))
            else:
                columns.append(list(map(str.__str__, column)) if plan.is_enumeration else column)
        if not self.variant_field:
            columns.insert(2, [""] * len(facts))
        return columns

    def facts(self, rows: Sequence[Sequence[Any]]) -> list[Concept]:
        """Return rows (subject, time, variant, then the columns) as facts."""
        if not rows:
            return []
        columns = iter(zip(*rows, strict=True))
        values: list[Sequence[Any]] = []
        for plan in self._plans:
            if plan.width:
                values.append(list(map(list, zip(*(next(columns) for _ in range(plan.width)), strict=True))))
            else:
                values.append(self._single(plan, next(columns)))
            if plan.name == self.time_field and not self.variant_field:
                next(columns)
        return list(map(self._fact, *values))

    def _key_fields(self) -> tuple[str, ...]:
        key = (self.subject_field, self.time_field)
        return (*key, self.variant_field) if self.variant_field else key

    @staticmethod
    def _single(plan: _FieldPlan, column: Sequence[Any]) -> Sequence[Any]:
        return column if plan.read is None else list(map(plan.read, column))

    def _key_plan(self, name: str) -> _FieldPlan:
        return self._plan(name, self._types()[name])

    @staticmethod
    def _plan(name: str, of_type: inspect.Type) -> _FieldPlan:
        return _FieldPlan(name, 0, _reader(of_type), isinstance(of_type, inspect.EnumType))

    def _types(self) -> dict[str, inspect.Type]:
        info = bare(inspect.type_info(self._cls))
        assert isinstance(info, inspect.StructType)
        return {each.name: bare(each.type) for each in info.fields}

    def _add(self, name: str, of_type: inspect.Type) -> None:
        """Plan a field: a value, or a list of a fixed length with a column for each."""
        if isinstance(of_type, inspect.ListType):
            width = of_type.max_length
            if width is None or width != of_type.min_length:
                raise TypeError(f"{name} is not of a fixed length")
            self._plans.append(_FieldPlan(name, width, None))
            names = [f"{name}_{number}" for number in range(width)]
            self.columns += [
                SeriesColumn(each, name, _column_type(bare(of_type.item_type))) for each in names
            ]
        else:
            self._plans.append(self._plan(name, of_type))
            self.columns.append(SeriesColumn(name, name, _column_type(of_type)))


def _maker(cls: type[Concept], names: Sequence[str]) -> Callable[..., Concept]:
    """Return a function of the fields in order that makes a fact: our concepts take keywords only.

    It is compiled, as a named tuple's constructor is: a dictionary a fact would take twice the time.
    """
    source = f"lambda {', '.join(names)}: cls({', '.join(f'{name}={name}' for name in names)})"
    make: Callable[..., Concept] = eval(source, {"cls": cls})
    return make


def bare(of_type: inspect.Type) -> inspect.Type:
    """Return a type without what only describes it."""
    while isinstance(of_type, inspect.Metadata):
        of_type = of_type.type
    return of_type


def _reader(of_type: inspect.Type) -> Callable[[Any], Any] | None:
    """Return what makes a column's value the field's, where that is not the same."""
    if isinstance(of_type, inspect.EnumType):
        members: dict[Any, Enum] = {each.value: each for each in of_type.cls}
        return members.__getitem__
    return float if isinstance(of_type, inspect.FloatType) else None


def _column_type(of_type: inspect.Type) -> sa.types.TypeEngine[Any]:
    match of_type:
        case inspect.IntType():
            return sa.BigInteger()
        case inspect.FloatType():
            return sa.Double()
        case inspect.StrType() | inspect.EnumType():
            return sa.Text()
        case inspect.BoolType():
            return sa.Boolean()
    raise TypeError(f"no column for {of_type}")


LAYOUTS = {entity: Layout(entity, table) for entity, table in SERIES_TABLES.items()}
"""By message type, those that lie in columns."""
