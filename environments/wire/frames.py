"""JSON frames of systems outside: read with all that is wrong with them at once, written compactly."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["FRAME_BYTES", "Instant", "Watts", "frame_of", "iso", "read_frame", "seconds_of", "write_frame"]

F = TypeVar("F", bound=msgspec.Struct)

FRAME_BYTES = 65_536
"""A longer frame is not read."""

Instant = Annotated[
    str, Meta(max_length=40, description="ISO 8601 with an offset, such as 2024-01-10T17:00:00Z")
]
Watts = Annotated[float, Meta(ge=-(2**31) + 1, le=2**31 - 1, description="W (or var), consumption positive")]

_AT = re.compile(r" - at `\$(.*)`$")


def read_frame(kind: type[F], raw: bytes) -> F:
    """Return a frame from its JSON.

    Raises: InvalidInput with every field that is missing, unknown or out of its range.
    """
    if len(raw) > FRAME_BYTES:
        raise InvalidInput(problem("", f"{len(raw)} bytes", f"at most {FRAME_BYTES} bytes"))
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(problem("", raw[:60].decode(errors="replace"), f"JSON: {error}")) from None
    return frame_of(kind, content)


def frame_of(kind: type[F], content: object) -> F:
    """Return a frame from decoded JSON.

    Raises: InvalidInput with every field that is missing, unknown or out of its range.
    """
    if not isinstance(content, Mapping):
        raise InvalidInput(problem("", content, "a JSON object"))
    wrong, values = list[Problem](), dict[str, Any]()
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name not in content:
            if field.required:
                wrong.append(problem(name, "missing", "given"))
            continue
        try:
            values[field.name] = msgspec.convert(content[name], field.type)
        except msgspec.ValidationError as error:
            wrong.append(_described(name, content[name], str(error)))
    wrong += _unknown(kind, content)
    if not wrong:
        try:
            return kind(**values)
        except InvalidInput as error:  # a rule between fields
            wrong += error.problems
    raise InvalidInput(wrong)


def write_frame(frame: msgspec.Struct) -> bytes:
    """Return a frame as JSON."""
    return msgspec.json.encode(frame)


def seconds_of(instant: str, path: str = "time") -> int:
    """Return a time in epoch seconds, fractions cut off.

    Raises: InvalidInput when it is none, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.year < 1970:
        raise InvalidInput(problem(path, instant, "ISO 8601 with an offset, such as 2024-01-10T17:00:00Z"))
    return int(moment.timestamp())


def iso(time_s: float) -> str:
    """Return an epoch second as ISO 8601 in UTC."""
    return datetime.fromtimestamp(int(time_s), UTC).isoformat().replace("+00:00", "Z")


def _unknown(kind: type[msgspec.Struct], content: Mapping[str, object]) -> Iterator[Problem]:
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for name in content:
        if name not in known:
            yield problem(str(name), content[name], f"one of {', '.join(sorted(known))}")


def _described(name: str, value: object, message: str) -> Problem:
    """Return what msgspec says of a value, with the place in it."""
    found = _AT.search(message)
    return problem(name + (found.group(1) if found else ""), value, _AT.sub("", message))
