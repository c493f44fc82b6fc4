"""Selections as SQL: which rows, in which order, from where on."""

import base64
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from behaviours.repository_port import Comparison, Filter, Selection
from environments.repository.fields import OPERATORS, Kind, scalar_fields
from environments.repository.keys import is_timeless
from environments.repository.schema import READINGS, facts, series
from environments.repository.series import LAYOUTS
from ontology.errors import InvalidInput, problem

__all__ = ["Moment", "Source", "moment_of", "pointed_at", "source_of"]


class Moment(NamedTuple):
    """Where a fact stands in the order of its type."""

    time_s: int
    subject: str
    variant: str


class Source(NamedTuple):
    """Where the facts of a message type lie: what to select from, and the columns of the key."""

    entity: str
    tables: sa.FromClause
    market: sa.ColumnElement[str]
    type: sa.ColumnElement[str]
    subject: sa.ColumnElement[str]
    time_s: sa.ColumnElement[int]
    variant: sa.ColumnElement[str]
    values: tuple[sa.ColumnElement[Any], ...]
    """What holds the fact itself: its body, or its columns."""

    def rows(self, market: str, selection: Selection, dialect: str) -> list[sa.ColumnElement[bool]]:
        """Return the conditions that the rows of a (checked) selection meet in a market."""
        conditions = [self.market == market, self.type == self.entity]
        if len(selection.subjects) == 1:
            conditions.append(self.subject == selection.subjects[0])
        elif selection.subjects:
            conditions.append(self.subject.in_(list(dict.fromkeys(selection.subjects))))
        if not is_timeless(self.entity):
            conditions += [self.time_s >= selection.start_s, self.time_s < selection.end_s]
        return conditions + [self._passes(each, dialect) for each in selection.filters]

    def order(self) -> tuple[sa.ColumnElement[Any], ...]:
        """Return what the rows are ordered by."""
        return self.time_s, self.subject, self.variant

    def after(self, moment: Moment) -> list[sa.ColumnElement[bool]]:
        """Return the conditions that rows behind a moment meet; the first lets an index be used."""
        behind = sa.tuple_(*self.order()) > sa.tuple_(*map(sa.literal, moment))
        return [self.time_s >= moment.time_s, behind]

    def _passes(self, given: Filter, dialect: str) -> sa.ColumnElement[bool]:
        column = self._column(given.field, dialect)
        if given.comparison is Comparison.ONE_OF:
            return column.in_(list(given.value))
        passes: sa.ColumnElement[bool] = OPERATORS[given.comparison](column, given.value)
        return passes

    def _column(self, field: str, dialect: str) -> sa.ColumnElement[Any]:
        layout = LAYOUTS.get(self.entity)
        if layout is not None:
            key: dict[str, sa.ColumnElement[Any]] = {
                layout.subject_field: self.subject,
                layout.time_field: self.time_s,
                layout.variant_field: self.variant,
            }
            return key[field] if field in key else READINGS[self.entity].c[field]
        kind = scalar_fields(self.entity)[field].kind
        body = facts.c.body
        if dialect == "sqlite":
            return _inside(sa.type_coerce(body, sa.JSON)[field], kind)
        inside = _inside(sa.cast(body, sa.JSON)[field], kind)
        return inside.collate("C") if kind is Kind.TEXT else inside


def _inside(element: Any, kind: Kind) -> sa.ColumnElement[Any]:
    """Return a field of a JSON body as what it is; numbers as double, which holds all of ours exactly."""
    match kind:
        case Kind.TEXT:
            return element.as_string()  # type: ignore[no-any-return]
        case Kind.TRUTH:
            return element.as_boolean()  # type: ignore[no-any-return]
        case _:
            return element.as_float()  # type: ignore[no-any-return]


def source_of(entity: str) -> Source:
    """Return where the facts of a message type lie."""
    readings = READINGS.get(entity)
    if readings is None:
        c = facts.c
        return Source(entity, facts, c.market, c.entity, c.subject, c.time_s, c.variant, (c.body,))
    joined = series.join(readings, readings.c.series_id == series.c.series_id)
    values = tuple(readings.c[each.name] for each in LAYOUTS[entity].columns)
    s = series.c
    return Source(entity, joined, s.market, s.entity, s.subject, readings.c.time_s, s.variant, values)


def pointed_at(moment: Moment) -> str:
    """Return the cursor that points behind a moment."""
    return base64.urlsafe_b64encode(msgspec.json.encode(tuple(moment))).decode()


def moment_of(cursor: str) -> Moment:
    """Return the moment that a cursor points behind.

    Raises: InvalidInput when it is no cursor.
    """
    try:
        decoded = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        return Moment(*msgspec.json.decode(decoded, type=tuple[int, str, str]))
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(problem("cursor", cursor, "the cursor of a page before")) from error
