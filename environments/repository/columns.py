"""Facts given as columns: a field each, as spreadsheets, CSV and Parquet files have them."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from environments.repository.fields import scalar_fields
from environments.repository.keys import ENTITIES, require_entity
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["MAX_PROBLEMS", "facts_from_columns", "facts_from_rows"]

MAX_PROBLEMS = 100
"""More are not told: who sends so many has another problem."""


def facts_from_columns(entity: str, columns: Mapping[str, Any]) -> list[Concept]:
    """Return facts of a message type from columns: sequences or arrays of equal lengths, by field.

    A missing column, like a missing value, leaves the field's default.

    Raises: InvalidInput naming columns that are no field or differ in length, and rows that break the schema.
    """
    require_entity(entity)
    names = list(columns.column_names) if hasattr(columns, "column_names") else list(columns)
    problems = [problem("columns", name, _expected(entity)) for name in names if not _is_field(entity, name)]
    if problems:
        raise InvalidInput(problems)
    values = [_plain(columns[name]) for name in names]
    lengths = {name: len(column) for name, column in zip(names, values, strict=True)}
    if len(set(lengths.values())) > 1:
        raise InvalidInput(problem("columns", lengths, "of equal lengths"))
    return facts_from_rows(entity, [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)])


def facts_from_rows(entity: str, rows: Sequence[dict[str, Any]], first: int = 0) -> list[Concept]:
    """Return facts of a message type from rows of plain values by field; None leaves the default.

    Args:
        entity: their message type.
        rows: the values.
        first: which number the first row has in errors.

    Raises: InvalidInput naming rows and fields that break the schema.
    """
    require_entity(entity)
    cls = ENTITIES[entity]
    nested = set(cls.__struct_fields__) - set(scalar_fields(entity))
    rows = [_complete(row, nested) for row in rows]
    try:
        return msgspec.convert(rows, list[cls])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        raise InvalidInput(islice(_problems(cls, rows, first), MAX_PROBLEMS)) from None


def _is_field(entity: str, name: str) -> bool:
    return name == "type" or name in ENTITIES[entity].__struct_fields__


def _expected(entity: str) -> str:
    return f"a field of {entity}: {', '.join(ENTITIES[entity].__struct_fields__)}"


def _plain(column: Any) -> list[Any]:
    """Return the values of a column, of whatever make, as Python's own."""
    for name in ("to_pylist", "tolist"):
        convert = getattr(column, name, None)
        if convert is not None:
            return list(convert())
    return list(column)


def _complete(row: dict[str, Any], nested: Collection[str]) -> dict[str, Any]:
    """Return a row without what is missing, and with lists and objects that came as JSON text read."""
    if None in row.values():
        row = {name: value for name, value in row.items() if value is not None}
    for name in nested:
        if isinstance(row.get(name), str):
            row = {**row, name: _json(row[name])}
    return row


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _problems(cls: type[Concept], rows: Sequence[dict[str, Any]], first: int) -> Iterator[Problem]:
    for number, row in enumerate(rows, first):
        try:
            msgspec.convert(row, cls)
        except msgspec.ValidationError as error:
            yield problem(f"rows[{number}]", row, str(error))
