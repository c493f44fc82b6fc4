"""Reading plain data as a struct, with everything that is wrong with it at once."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import inspect

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["read_struct"]

T = TypeVar("T", bound=msgspec.Struct)
_MISSING = object()


def read_struct(cls: type[T], data: object) -> T:
    """Return the struct that plain data (as decoded from JSON) describes.

    Raises: InvalidInput with every problem: unknown, missing and unfit fields by their path.
    """
    problems: list[Problem] = []
    _check_struct(inspect.type_info(cls), data, "", problems)
    if problems:
        raise InvalidInput(problems)
    try:
        return msgspec.convert(data, cls)
    except msgspec.ValidationError as error:
        raise InvalidInput(problem("", "", str(error))) from error


def _check_struct(kind: Any, data: object, path: str, problems: list[Problem]) -> None:
    if not isinstance(data, Mapping):
        problems.append(problem(path, data, "an object"))
        return
    fields = {field.encode_name: field for field in kind.fields}
    known = {*fields, *([kind.tag_field] if kind.tag_field else [])}
    for name in data:
        if name not in known:
            problems.append(
                problem(_below(path, str(name)), data[name], f"no such field; {', '.join(fields)}")
            )
    for name, field in fields.items():
        value = data.get(name, _MISSING)
        if value is not _MISSING:
            _check(field.type, value, _below(path, name), problems)
        elif field.required:
            problems.append(problem(_below(path, name), "", f"is missing: {_wanted(field.type)}"))


def _check(kind: Any, value: object, path: str, problems: list[Problem]) -> None:
    bare = _bare(kind, value)
    if isinstance(bare, inspect.StructType):
        _check_struct(bare, value, path, problems)
    elif isinstance(bare, inspect.ListType) and isinstance(value, list):
        for i, item in enumerate(value):
            _check(bare.item_type, item, f"{path}[{i}]", problems)
        if bare.max_length is not None and len(value) > bare.max_length:
            problems.append(problem(path, len(value), f"at most {bare.max_length} items"))
    else:
        _check_leaf(kind, value, path, problems)


def _check_leaf(kind: Any, value: object, path: str, problems: list[Problem]) -> None:
    try:
        msgspec.convert({"value": value}, _holder(kind))
    except msgspec.ValidationError:
        problems.append(problem(path, value, _wanted(kind)))


def _bare(kind: Any, value: object) -> Any:
    """Return the type without its description, and of an optional one that of what is there."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType) and value is not None:
        return next(_bare(t, value) for t in kind.types if not isinstance(t, inspect.NoneType))
    return kind


def _holder(kind: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Holder", [("value", _annotation(kind))])


def _annotation(kind: Any) -> Any:
    """Return the annotation that a leaf's description stands for."""
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(kind, inspect.EnumType):
        return kind.cls
    if isinstance(kind, inspect.UnionType):
        annotations = [_annotation(t) for t in kind.types]
        joined: Any = annotations[0]
        for each in annotations[1:]:
            joined = joined | each
        return joined
    if isinstance(kind, inspect.NoneType):
        return None
    base: dict[Any, type] = {
        inspect.BoolType: bool,
        inspect.IntType: int,
        inspect.FloatType: float,
        inspect.StrType: str,
    }
    bounds = {
        name: getattr(kind, name)
        for name in ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
        if getattr(kind, name, None) is not None
    }
    plain = base.get(type(kind), Any)
    return Annotated[plain, msgspec.Meta(**bounds)] if bounds else plain


def _wanted(kind: Any) -> str:
    """Say what would be right, in words."""
    description = ""
    while isinstance(kind, inspect.Metadata):
        description = description or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    if description:
        return str(description)
    if isinstance(kind, inspect.UnionType):
        return _wanted(next(t for t in kind.types if not isinstance(t, inspect.NoneType)))
    if isinstance(kind, inspect.EnumType):
        return "one of " + ", ".join(str(member.value) for member in kind.cls)
    words: dict[Any, str] = {
        inspect.StrType: "a text",
        inspect.IntType: "a whole number",
        inspect.FloatType: "a number",
        inspect.BoolType: "true or false",
        inspect.StructType: "an object",
        inspect.ListType: "a list",
    }
    said = [words.get(type(kind), "a value")]
    for name, phrase in (
        ("ge", "at least"),
        ("le", "at most"),
        ("min_length", "of at least"),
        ("pattern", "like"),
    ):
        bound = getattr(kind, name, None)
        if bound is not None:
            said.append(f"{phrase} {bound}")
    return " ".join(said)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
