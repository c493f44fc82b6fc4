"""Facts into files and out of them: Parquet, CSV and JSON lines, written whole or not at all.

A column is a field. Lists and objects stand as JSON text in it, so that every type fits into every format;
times stay epoch seconds. What was written can be read back.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec

from environments.repository.columns import facts_from_rows
from environments.repository.fields import Kind, scalar_fields
from environments.repository.keys import ENTITIES, require_entity
from ontology.base import Concept
from ontology.errors import InvalidInput, problem

__all__ = ["FORMATS", "format_of", "read_facts", "write_facts"]

BATCH = 10_000
"""So many facts are in memory at a time."""
FORMATS = ("parquet", "csv", "json")

Row = dict[str, Any]


def format_of(path: Path, given: str = "") -> str:
    """Return the format that is given, or that a file's name ends in.

    Raises: InvalidInput when it is none of ours.
    """
    chosen = given or {".jsonl": "json", ".ndjson": "json"}.get(path.suffix, path.suffix.removeprefix("."))
    if chosen not in FORMATS:
        raise InvalidInput(problem("format", chosen or str(path), f"one of {', '.join(FORMATS)}"))
    return chosen


def write_facts(path: Path, entity: str, facts: Iterable[Sequence[Concept]], file_format: str) -> int:
    """Write facts of a message type, piece by piece, and return how many they were.

    A file that is there is replaced once the new one is whole.

    Raises: OSError when the disk does not take it.
    """
    require_entity(entity)
    unfinished = path.with_name(f".{path.name}.part")
    number = 0
    try:
        with _WRITERS[file_format](unfinished, entity) as write:
            for piece in facts:
                write(list(map(_flat, piece)))
                number += len(piece)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return number


def read_facts(path: Path, entity: str, file_format: str) -> Iterator[list[Concept]]:
    """Yield the facts of a file, a batch at a time.

    Raises: InvalidInput naming rows (from 0) and fields that break the schema, or a file that cannot be read.
    """
    require_entity(entity)
    try:
        yield from _batches(_READERS[file_format](path, entity), entity)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(problem(str(path), "unreadable", str(error))) from error


def _batches(rows: Iterator[Row], entity: str) -> Iterator[list[Concept]]:
    first = 0
    while batch := list(islice(rows, BATCH)):
        yield facts_from_rows(entity, batch, first)
        first += len(batch)


def _flat(fact: Concept) -> Row:
    row = msgspec.to_builtins(fact)
    del row["type"]
    return {name: json.dumps(v) if isinstance(v, (list, dict)) else v for name, v in row.items()}


# -- writing ------------------------------------------------------------------------------------

Write = Callable[[list[Row]], None]


@contextmanager
def _parquet_writer(path: Path, entity: str) -> Iterator[Write]:
    import pyarrow
    from pyarrow import parquet

    kinds = {Kind.INTEGER: pyarrow.int64(), Kind.REAL: pyarrow.float64(), Kind.TRUTH: pyarrow.bool_()}
    fields = scalar_fields(entity)
    columns = {name: pyarrow.string() for name in ENTITIES[entity].__struct_fields__}
    columns |= {name: kinds[field.kind] for name, field in fields.items() if field.kind in kinds}
    schema = pyarrow.schema(list(columns.items()))
    with parquet.ParquetWriter(path, schema) as writer:
        yield lambda rows: writer.write_table(pyarrow.Table.from_pylist(rows, schema))


@contextmanager
def _csv_writer(path: Path, entity: str) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ENTITIES[entity].__struct_fields__)
        writer.writeheader()
        yield writer.writerows


@contextmanager
def _json_writer(path: Path, entity: str) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda rows: file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


_WRITERS = {"parquet": _parquet_writer, "csv": _csv_writer, "json": _json_writer}


# -- reading ------------------------------------------------------------------------------------


def _parquet_rows(path: Path, entity: str) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise InvalidInput(problem(str(path), "unreadable", f"a Parquet file ({error})")) from error


def _csv_rows(path: Path, entity: str) -> Iterator[Row]:
    """Yield rows with numbers read as such; an empty cell is a missing value, where it cannot be text."""
    read = {name: _CELLS.get(field.kind, str) for name, field in scalar_fields(entity).items()}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            yield {
                name: read.get(name, str)(cell)
                for name, cell in row.items()
                if cell or (cell == "" and _can_be_empty(entity, name))
            }


def _can_be_empty(entity: str, name: str) -> bool:
    field = scalar_fields(entity).get(name)
    return field is not None and field.kind is Kind.TEXT and not field.choices and not field.may_be_none


def _number(cell: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _truth(cell: str) -> bool | str:
    return {"true": True, "false": False}.get(cell.lower(), cell)


_CELLS: dict[Kind, Callable[[str], Any]] = {Kind.INTEGER: _number, Kind.REAL: _number, Kind.TRUTH: _truth}


def _json_rows(path: Path, entity: str) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(_lines(file)):
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                raise InvalidInput(problem(f"rows[{number}]", line, f"a JSON object ({error})")) from error
            yield row


def _lines(file: TextIO) -> Iterator[str]:
    return (line for line in file if line.strip())


_READERS = {"parquet": _parquet_rows, "csv": _csv_rows, "json": _json_rows}
