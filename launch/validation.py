"""Values against structs: builds one from plain data and notes everything that does not fit."""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import inspect

from launch.document import Document

__all__ = ["build"]

T = TypeVar("T")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_PATTERNS = {
    r"^[a-z0-9][a-z0-9-]{0,39}$": "must be up to 40 lower-case letters, digits and hyphens",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "must be up to 64 letters, digits and . _ -",
    r"^[^@/\s]+$": "must be a domain name",
    r"^[^@/\s\"&':<>]+@[^@/\s]+$": "must be an address such as `name@domain`",
}


def build(document: Document, struct: type[T], short_forms: Mapping[type, Mapping[type, str]]) -> T:
    """Return the struct that a document describes; what is wrong is noted in the document.

    Where a problem was noted the default stands instead, or else the least value allowed (an empty
    text), so that the rest can be checked too.
    """
    built: T = _Builder(document, short_forms).struct(document.data, inspect.type_info(struct), "")
    return built


class _Builder:
    def __init__(self, document: Document, short_forms: Mapping[type, Mapping[type, str]]) -> None:
        self.document = document
        self.short_forms = short_forms

    def bad(self, path: str, value: object, expected: str, kind: Any = None) -> Any:
        """Note a problem and return a stand-in."""
        self.document.complain(path, value, expected)
        return _stand_in(kind)

    def value(self, value: Any, kind: Any, path: str) -> Any:
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        if isinstance(kind, inspect.UnionType):
            if value is None:
                return None
            kind = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
            return self.value(value, kind, path)
        if isinstance(kind, inspect.StructType):
            return self.struct(value, kind, path)
        if isinstance(kind, inspect.VarTupleType | inspect.ListType):
            return self.sequence(value, kind, path)
        if isinstance(kind, inspect.LiteralType):
            if value in kind.values and not isinstance(value, bool):
                return value
            expected = "must be " + _alternatives(kind.values) + _hint(value, kind.values)
            return self.bad(path, value, expected, kind)
        if isinstance(kind, inspect.BoolType):
            return value if isinstance(value, bool) else self.bad(path, value, "must be true or false", kind)
        if isinstance(kind, inspect.StrType):
            return self.text(value, kind, path)
        if isinstance(kind, inspect.IntType | inspect.FloatType):
            return self.number(value, kind, path)
        raise TypeError(f"{path}: {kind} is not checked")  # a programming error in the schema

    def struct(self, value: Any, kind: Any, path: str) -> Any:
        if not isinstance(value, dict):
            key = self.short_forms.get(kind.cls, {}).get(type(value))
            if key is None:
                names = ", ".join(field.encode_name for field in kind.fields[:3])
                return self.bad(path, value, f"must be a section with keys such as {names}", kind)
            value = {key: value}
        fields = {field.encode_name: field for field in kind.fields}
        for name in value:
            if name not in fields:
                self.bad(_below(path, name), value[name], "is not a known key" + _hint(name, fields))
        built: dict[str, Any] = {}
        for name, field in fields.items():
            below = _below(path, name)
            if name in value and not (value[name] is None and not field.required):
                good = len(self.document.problems)
                built[field.name] = self.value(value[name], field.type, below)
                if self.document.problems[good:] and self.document.problems[good].path == below:
                    built = self.without(built, field)
            elif field.required:
                built[field.name] = self.bad(below, "", "is missing: " + _wanted(field.type), field.type)
        return kind.cls(**built)

    def without(self, built: dict[str, Any], field: inspect.Field) -> dict[str, Any]:
        """Let the default stand where there is one."""
        return built if field.required else {name: built[name] for name in built if name != field.name}

    def sequence(self, value: Any, kind: Any, path: str) -> Any:
        if not isinstance(value, list):
            return self.bad(path, value, "must be a list (`- ` lines)", kind)
        items = [self.value(item, kind.item_type, f"{path}[{i}]") for i, item in enumerate(value)]
        return tuple(items) if isinstance(kind, inspect.VarTupleType) else items

    def text(self, value: Any, kind: inspect.StrType, path: str) -> Any:
        if not isinstance(value, str):
            hint = "; put quotes around it" if isinstance(value, int | float) else ""
            return self.bad(path, value, "must be a text" + hint, kind)
        if kind.pattern and not re.search(kind.pattern, value):
            return self.bad(path, value, _PATTERNS.get(kind.pattern, f"must match {kind.pattern}"), kind)
        return value if value else self.bad(path, value, "must not be empty", kind)

    def number(self, value: Any, kind: Any, path: str) -> Any:
        whole = isinstance(kind, inspect.IntType)
        if whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return self.bad(path, value, "must be " + _WORDS[int if whole else float], kind)
        if not math.isfinite(value):
            return self.bad(path, value, "must be finite", kind)
        if (
            (kind.gt is not None and value <= kind.gt)
            or (kind.ge is not None and value < kind.ge)
            or (kind.lt is not None and value >= kind.lt)
            or (kind.le is not None and value > kind.le)
        ):
            return self.bad(path, value, f"must be {_bounds(kind)}", kind)
        return value if whole else float(value)


def _stand_in(kind: Any) -> Any:
    """Return something of a type that the rest of a check can go on with."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.StructType):
        needed = {f.name: _stand_in(f.type) for f in kind.fields if f.required}
        return kind.cls(**needed)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        low = kind.ge if kind.ge is not None else kind.gt
        return (low or 0) + (1 if kind.gt is not None else 0)
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.VarTupleType):
        return ()
    return "" if isinstance(kind, inspect.StrType) else False if isinstance(kind, inspect.BoolType) else None


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _bounds(kind: Any) -> str:
    """Say a number's bounds in words: `positive, at most 60`."""
    low = {
        kind.ge is not None: f"at least {_number(kind.ge)}",
        kind.gt is not None: "positive" if kind.gt == 0 else f"above {_number(kind.gt)}",
    }.get(True, "")
    high = {
        kind.le is not None: f"at most {_number(kind.le)}",
        kind.lt is not None: f"below {_number(kind.lt)}",
    }.get(True, "")
    if kind.ge is not None and kind.le is not None:
        return f"between {_number(kind.ge)} and {_number(kind.le)}"
    return " and ".join(filter(None, (low, high)))


def _number(value: Any) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{int(value)}"


def _wanted(kind: Any) -> str:
    """Say what belongs under a missing key."""
    description = ""
    while isinstance(kind, inspect.Metadata):
        description = description or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    words: dict[type, str] = {
        inspect.StrType: "a text",
        inspect.IntType: "a whole number",
        inspect.FloatType: "a number",
        inspect.BoolType: "true or false",
        inspect.StructType: "a section",
    }
    word = words.get(type(kind), "a value")
    bounds = _bounds(kind) if isinstance(kind, inspect.IntType | inspect.FloatType) else ""
    return " ".join(filter(None, (word, bounds, f"({description})" if description else "")))


def _alternatives(values: Any) -> str:
    return ", ".join(map(str, values[:-1])) + f" or {values[-1]}"


def _hint(value: object, known: Any) -> str:
    near = difflib.get_close_matches(str(value), list(map(str, known)), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
