"""Everything that is wrong with plain data that is to be a concept, named at once.

The codec stops at the first problem, which is quick and enough between agents; who fills in a form or
writes a program wants to know all.
"""

import re
from typing import Any

import msgspec

from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["concept_of", "problems_in"]

_AT = re.compile(r"^(?P<expected>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_MISSING = "missing"


def concept_of(cls: type[Concept], data: Any, path: str = "") -> Concept:
    """Return the concept that plain data describe.

    Raises: InvalidInput with every missing, unknown and invalid field, each path below `path`.
    """
    problems = problems_in(cls, data, path)
    if problems:
        raise InvalidInput(problems)
    return msgspec.convert(data, type=cls)


def problems_in(cls: type[Concept], data: Any, path: str = "") -> list[Problem]:
    """Return all that keeps plain data from being a concept; rules between fields once each field is good."""
    if not isinstance(data, dict):
        return [problem(path or "body", data, f"a JSON object, as of {cls.__name__}")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(cls)}
    tag = cls.__struct_config__.tag
    found = [
        problem(_below(path, name), value, "no such field")
        for name, value in data.items()
        if name not in fields and name != "type"
    ]
    if data.get("type", tag) != tag:
        found.append(problem(_below(path, "type"), data["type"], str(tag)))
    for name, field in fields.items():
        if name in data:
            found.extend(_faults(data[name], field.type, _below(path, name)))
        elif field.required:
            found.append(problem(_below(path, name), _MISSING, _wanted(field.type)))
    return found or _faults(data, cls, path)


def _faults(value: Any, kind: Any, path: str) -> list[Problem]:
    try:
        msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InvalidInput):
            return [
                Problem(_below(path, each.path), each.value, each.expected)
                for each in error.__cause__.problems
            ]
        match = _AT.match(str(error))
        inner = (match["path"] or "") if match else ""
        return [problem(path + inner or "body", _shown(value, inner), match["expected"] if match else "")]
    except (OverflowError, RecursionError, UnicodeError) as error:
        return [problem(path or "body", value, str(error))]
    return []


def _shown(value: Any, inner: str) -> Any:
    """Return what stands at an inner path such as `[3].player`, or nothing when it is absent."""
    try:
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", inner):
            value = value[int(index)] if index else value[name]
    except (KeyError, IndexError, TypeError):
        return ""
    return value


def _wanted(kind: Any) -> str:
    """Say what belongs under a missing field."""
    schema = msgspec.json.schema(kind)
    word = schema.get("type", "a value") if isinstance(schema.get("type"), str) else "a value"
    note = schema.get("description", "")
    return f"{word} ({note})" if note else str(word)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
