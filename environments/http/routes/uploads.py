"""Uploads of any length: JSON lines, CSV and Parquet, read piece by piece so that memory stays bounded.

Each piece of 2,000 facts is stored, all or none, before the next is read. Facts are kept by their keys: an
upload that broke off is sent again as it is, and nothing is counted twice.
"""

import csv
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any, BinaryIO

import msgspec
from litestar import Request, Response, post

from environments.http.access import allowing, caller_of, writing
from environments.http.answers import done, failed
from environments.http.entities import class_of
from environments.http.routes.facts import FINAL, Entity, about, require_own
from environments.http.services import services_of
from environments.repository.columns import facts_from_columns
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, Refused, problem
from ontology.validation import problems_in

__all__ = ["UPLOADS"]

Calls = Request[Any, Any, Any]

PIECE = 2_000
"""Facts stored at once."""
LONGEST_LINE_BYTES = 1_000_000
LONGEST_UPLOAD_BYTES = 4_000_000_000
LARGEST_GROUP_BYTES = 256_000_000
"""Of a Parquet file: a row group is unpacked as a whole."""
MOST_PROBLEMS = 100


class Unsupported(InvalidInput):
    """The content type is none that is read here (415)."""


@post(
    "/uploads/{entity:str}",
    opt=allowing(writing(), body="upload"),
    request_max_body_size=None,
    summary="Store any number of facts of a type",
)
async def upload(request: Calls, entity: Entity) -> Response[bytes]:
    """Store facts from JSON lines, CSV (first line: fields, one fact a line) or Parquet (a column a field).

    Raises: InvalidInput naming rows and fields that break the schema; pieces before them are stored.
    """
    named, caller = about(request, entity, ""), caller_of(request)
    if named in FINAL:
        raise Refused(f"{named} is settlement: store it fact by fact, under /api/v1/facts")
    repository = services_of(request).repository_of(caller)
    stored = 0
    try:
        async for facts in _pieces(named, request):
            require_own(caller.party, facts)
            await repository.store(facts)
            stored += len(facts)
    except Unsupported as error:
        return failed(415, error.problems)
    except InvalidInput as error:
        return failed(422, error.problems, data={"stored": stored})
    return done({"stored": stored}, 201)


UPLOADS = [upload]


def _pieces(entity: str, request: Calls) -> AsyncIterator[list[Concept]]:
    """Return the facts of a body, piece by piece, read as its content type says.

    Raises: Unsupported when there is no way to read it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/x-ndjson", "application/jsonl"):
        return _from_json_lines(entity, request)
    if kind == "text/csv":
        return _from_csv(entity, request)
    if kind in ("application/vnd.apache.parquet", "application/x-parquet"):
        return _from_parquet(entity, request)
    expected = "application/x-ndjson, text/csv or application/vnd.apache.parquet"
    raise Unsupported(problem("Content-Type", kind or "missing", expected))


async def _from_json_lines(entity: str, request: Calls) -> AsyncIterator[list[Concept]]:
    cls = class_of(entity)
    decode = msgspec.json.Decoder(cls).decode
    piece: list[Concept] = []
    async for number, line in _lines(request):
        if not line.strip():
            continue
        try:
            piece.append(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise InvalidInput(_faults(cls, _json(line), number)) from None
        if len(piece) == PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


async def _from_csv(entity: str, request: Calls) -> AsyncIterator[list[Concept]]:
    cls = class_of(entity)
    names: list[str] = []
    piece: list[Concept] = []
    async for number, line in _lines(request):
        try:
            cells = next(csv.reader([line.decode("utf-8-sig" if number == 1 else "utf-8")]), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidInput(
                problem(f"line {number}", line[:80].decode(errors="replace"), str(error))
            ) from None
        if not cells:
            continue
        if not names:
            names = _header(cls, cells, number)
            continue
        piece.append(_from_cells(cls, names, cells, number))
        if len(piece) == PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


async def _from_parquet(entity: str, request: Calls) -> AsyncIterator[list[Concept]]:
    """Parquet is read from its end, so the body goes to a file first."""
    with tempfile.TemporaryFile(prefix="parity-upload-") as file:
        length = 0
        async for chunk in request.stream():
            length += len(chunk)
            _require_length(length)
            file.write(chunk)
        file.seek(0)
        for piece in _parquet_pieces(entity, file):
            yield piece


def _parquet_pieces(entity: str, file: BinaryIO) -> Iterator[list[Concept]]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.ParquetFile(file)
    except (arrow.ArrowException, OSError) as error:
        raise InvalidInput(problem("body", type(error).__name__, "a Parquet file")) from None
    groups = [table.metadata.row_group(i).total_byte_size for i in range(table.metadata.num_row_groups)]
    if groups and max(groups) > LARGEST_GROUP_BYTES:
        limit = f"row groups of at most {LARGEST_GROUP_BYTES} bytes"
        raise InvalidInput(problem("body", f"{max(groups)} bytes", limit))
    done_rows = 0
    try:
        for batch in table.iter_batches(batch_size=PIECE):
            yield _numbered(entity, arrow.Table.from_batches([batch]), done_rows)
            done_rows += batch.num_rows
    except (arrow.ArrowException, OSError) as error:
        raise InvalidInput(problem(f"row {done_rows}", type(error).__name__, "readable Parquet")) from None


def _numbered(entity: str, table: Any, before: int) -> list[Concept]:
    """Return the facts of a piece.

    Raises: InvalidInput whose rows are counted from the beginning of the file.
    """
    try:
        return facts_from_columns(entity, table)
    except InvalidInput as error:
        raise InvalidInput(
            Problem(f"from row {before}: {each.path}", each.value, each.expected) for each in error.problems
        ) from None


async def _lines(request: Calls) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the lines of a body with their numbers, never more than one and a chunk in memory."""
    rest, number, length = b"", 0, 0
    async for chunk in request.stream():
        length += len(chunk)
        _require_length(length)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            yield number, line
        if len(rest) > LONGEST_LINE_BYTES:
            limit = f"lines of at most {LONGEST_LINE_BYTES} bytes"
            raise InvalidInput(problem(f"line {number + 1}", f"over {len(rest)} bytes", limit))
    if rest:
        yield number + 1, rest


def _require_length(length: int) -> None:
    if length > LONGEST_UPLOAD_BYTES:
        raise InvalidInput(problem("body", f"over {length} bytes", f"at most {LONGEST_UPLOAD_BYTES} bytes"))


def _header(cls: type[Concept], cells: list[str], number: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    known = {*cls.__struct_fields__, "type"}
    found = [
        problem(f"line {number}", name, f"a field: {', '.join(cls.__struct_fields__)}")
        for name in names
        if name not in known
    ]
    required = [field.encode_name for field in msgspec.structs.fields(cls) if field.required]
    found += [
        problem(f"line {number}", "missing", f"the field {name}") for name in required if name not in names
    ]
    if found:
        raise InvalidInput(found)
    return names


def _from_cells(cls: type[Concept], names: list[str], cells: list[str], number: int) -> Concept:
    """Return the fact of a line; an empty cell leaves the default, lists and objects are JSON."""
    if len(cells) != len(names):
        raise InvalidInput(problem(f"line {number}", f"{len(cells)} cells", f"{len(names)} cells"))
    row: dict[str, Any] = {
        name: _json(cell.encode()) if cell[:1] in ("[", "{") else cell
        for name, cell in zip(names, cells, strict=True)
        if cell != ""
    }
    try:
        return msgspec.convert(row, cls, strict=False)
    except msgspec.ValidationError:
        raise InvalidInput(
            _faults(cls, {name: _plain(value) for name, value in row.items()}, number)
        ) from None


def _plain(value: Any) -> Any:
    """Return a cell as the number or truth that it spells, for a message about the others."""
    read = _json(value.encode()) if isinstance(value, str) else value
    return read if isinstance(read, int | float | list | dict) else value


def _json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text.decode(errors="replace")


def _faults(cls: type[Concept], data: Any, number: int) -> list[Problem]:
    found = problems_in(cls, data)[:MOST_PROBLEMS]
    if not found:
        found = [problem("body", data, f"a {cls.__name__}")]
    return [Problem(f"line {number}: {each.path}", each.value, each.expected) for each in found]
