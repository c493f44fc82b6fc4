"""Forms made from the ontology's JSON Schema: a field for each leaf, with what is wrong beside it.

Names of fields are paths, as those of problems: `building.geo_zone`, `assets[1].type_id`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from ontology.errors import Problem

__all__ = ["FormField", "FormGroup", "form_data", "form_of", "unplaced"]

Schema = Mapping[str, Any]
BLANK_ROWS = 2
"""Rows of a list that stand empty, to be filled in."""


class FormField(NamedTuple):
    """One field: its path, how it is typed in, and what stands in it."""

    path: str
    label: str
    kind: str
    """`text`, `number`, `choice`, `choices`, `truth` or `words`, a list parted by commas."""
    hint: str
    required: bool
    options: tuple[str, ...]
    value: Any
    faults: tuple[str, ...]


class FormGroup(NamedTuple):
    """Fields that belong together: those of a nested object, or of a row of a list."""

    title: str
    fields: tuple[FormField, ...]


def form_of(
    cls: type[msgspec.Struct],
    data: Mapping[str, Any],
    problems: Iterable[Problem] = (),
    *,
    options: Mapping[str, Iterable[str]] | None = None,
    without: Iterable[str] = (),
) -> list[FormGroup]:
    """Return the form of a struct, in groups.

    Args:
        cls: the struct.
        data: what stands in it already, as plain data.
        problems: what is wrong with that.
        options: by the last name of a path, what can be chosen, such as entries of a catalogue.
        without: fields that are not asked for.
    """
    schema = msgspec.json.schema(cls)
    parts = _Parts(schema["$defs"], problems, {k: tuple(v) for k, v in (options or {}).items()})
    root = parts.resolved(schema)
    kept = {n: each for n, each in root["properties"].items() if n not in {"type", *without}}
    return parts.groups("", "", kept, frozenset(root.get("required", ())), data)


def form_data(cls: type[msgspec.Struct], form: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what was typed into the form of a struct, as plain data; what was left empty is left out.

    What is no number where one is wanted stays as it was typed, to be complained about with the rest.
    """
    schema = msgspec.json.schema(cls)
    parts = _Parts(schema["$defs"], (), {})
    found = parts.read(parts.resolved(schema), "", form)
    return found if isinstance(found, dict) else {}


def unplaced(groups: Iterable[FormGroup], problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that stand beside no field of a form."""
    placed = {field.path for group in groups for field in group.fields}
    return [each for each in problems if each.path not in placed]


class _Parts:
    """The pieces of a schema, and how they become fields."""

    def __init__(
        self, definitions: Schema, problems: Iterable[Problem], options: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._definitions = definitions
        self._options = options
        self._faults: dict[str, list[str]] = {}
        for each in problems:
            self._faults.setdefault(each.path, []).append(each.expected)

    def resolved(self, schema: Schema) -> Schema:
        """Return what a schema refers to, of an optional one what it may be besides null."""
        while "$ref" in schema or "anyOf" in schema:
            if "$ref" in schema:
                schema = self._definitions[schema["$ref"].rpartition("/")[2]]
            else:
                schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
        return schema

    def groups(
        self, prefix: str, title: str, fields: Schema, required: frozenset[str], data: Mapping[str, Any]
    ) -> list[FormGroup]:
        """Return the fields of an object as a group, and those nested in it as groups after it."""
        own: list[FormField] = []
        nested: list[FormGroup] = []
        for name, schema in fields.items():
            bare, path = self.resolved(schema), f"{prefix}{name}"
            if bare.get("type") == "object":
                nested += self._nested(path, _words(name), bare, data.get(name))
            elif bare.get("type") == "array" and self.resolved(bare["items"]).get("type") == "object":
                nested += self._rows(path, name, self.resolved(bare["items"]), data.get(name) or [])
            else:
                own.append(self._field(path, name, schema, name in required, data.get(name)))
        return [*([FormGroup(title, tuple(own))] if own else []), *nested]

    def _nested(self, path: str, title: str, schema: Schema, data: Any) -> list[FormGroup]:
        given = data if isinstance(data, Mapping) else {}
        properties = {name: each for name, each in schema["properties"].items() if name != "type"}
        return self.groups(f"{path}.", title, properties, frozenset(), given)

    def _rows(self, path: str, name: str, schema: Schema, data: list[Any]) -> list[FormGroup]:
        rows = [*data, *({} for _ in range(BLANK_ROWS))]
        title = _words(name).removesuffix("s")
        return [
            group
            for place, row in enumerate(rows)
            for group in self._nested(f"{path}[{place}]", f"{title} {place + 1}", schema, row)
        ]

    def _field(self, path: str, name: str, schema: Schema, required: bool, value: Any) -> FormField:
        bare = self.resolved(schema)
        kind, options = self._kind(name, bare)
        hint = "" if options else schema.get("description") or bare.get("description", "")
        shown = ", ".join(map(str, value)) if kind == "words" and isinstance(value, list) else value
        if shown is None and kind in ("choice", "truth"):
            shown = bare.get("default", schema.get("default"))
        faults = tuple(self._faults.get(path, ()))
        return FormField(path, _words(name), kind, hint, required, options, shown, faults)

    def _kind(self, name: str, schema: Schema) -> tuple[str, tuple[str, ...]]:
        if name in self._options:
            return "choice", self._options[name]
        if "enum" in schema:
            return "choice", tuple(map(str, schema["enum"]))
        if schema.get("type") == "array":
            items = self.resolved(schema["items"])
            return ("choices", tuple(map(str, items["enum"]))) if "enum" in items else ("words", ())
        kinds = {"integer": "number", "number": "number", "boolean": "truth"}
        return kinds.get(str(schema.get("type")), "text"), ()

    def read(self, schema: Schema, path: str, form: Mapping[str, list[str]]) -> Any:
        """Return what was typed in below a path; None where nothing was."""
        bare = self.resolved(schema)
        if bare.get("type") == "object":
            below = {
                name: self.read(each, f"{path}.{name}" if path else name, form)
                for name, each in bare["properties"].items()
                if name != "type"
            }
            return {name: value for name, value in below.items() if value is not None} or None
        if bare.get("type") == "array":
            return self._read_list(bare, path, form)
        text = (form.get(path) or [""])[0].strip()
        return _value(text, str(bare.get("type"))) if text else None

    def _read_list(self, schema: Schema, path: str, form: Mapping[str, list[str]]) -> list[Any] | None:
        items = self.resolved(schema["items"])
        if items.get("type") == "object":
            count = _rows_of(path, form)
            rows = [self.read(items, f"{path}[{place}]", form) for place in range(count)]
            return [row for row in rows if row is not None] or None
        typed = form.get(path) or []
        if "enum" not in items:
            typed = [word.strip() for text in typed for word in text.split(",")]
        return [each for each in typed if each] or None


def _rows_of(path: str, form: Mapping[str, list[str]]) -> int:
    """Return how many rows of a list a form has, at most a hundred."""
    places = [key[len(path) + 1 :].partition("]")[0] for key in form if key.startswith(f"{path}[")]
    return min(100, max((int(each) + 1 for each in places if each.isdecimal()), default=0))


def _value(text: str, kind: str) -> Any:
    """Return a text as the value that it stands for, or as it is."""
    if kind == "boolean":
        return text in ("on", "true", "yes")
    try:
        return {"integer": int, "number": float}.get(kind, str)(text)
    except ValueError:
        return text


def _words(name: str) -> str:
    return name.replace("_", " ")
