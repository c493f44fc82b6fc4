"""A YAML document read safely: plain values, and for each of them the line that it stands on."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ontology.errors import Problem

__all__ = ["Document", "parse_document", "parse_value", "read_document"]

MAX_BYTES = 64_000_000
MAX_VALUES = 5_000_000
MAX_DEPTH = 30


class Document:
    """The values of a file by key, their places by path, and what was wrong with the notation."""

    def __init__(self, source: str) -> None:
        """Start an empty document that came from a source (a file's name)."""
        self.source = source
        self.data: dict[str, Any] = {}
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []

    def complain(self, path: str, value: object, expected: str, place: str = "") -> None:
        """Note a problem; the place is that of the path unless given."""
        if place:
            self.places.setdefault(path, place)
        self.problems.append(Problem(path=path, value=shown(value), expected=expected))

    def place_of(self, path: str) -> str:
        """Return where a path (or the nearest one around it) stands, such as `line 12`."""
        while path and path not in self.places:
            path = re.sub(r"(\.[^.\[]*|\[[^\[]*\]|^[^.\[]+)$", "", path)
        return self.places.get(path, "")


def shown(value: object) -> str:
    """Return a value as one short line."""
    text = "" if value is None else value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's core schema: no dates, no sexagesimal numbers, and `no` is a word, not a false."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9][0-9_]*$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^(?:[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
    ("tag:yaml.org,2002:merge", r"^<<$", ["<"]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping; problems are noted in the document, not raised."""
    document = Document(str(path))
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        document.complain("", str(path), "not found")
        return document
    except IsADirectoryError:
        document.complain("", str(path), "must be a file, not a folder")
        return document
    except OSError as error:
        document.complain("", str(path), f"cannot be read: {error.strerror}")
        return document
    if len(raw) > MAX_BYTES:
        document.complain("", f"{len(raw)} bytes", f"must be at most {MAX_BYTES // 1_000_000} MB")
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.complain("", f"byte {error.start}", "must be a text file in UTF-8")
        return document
    return parse_document(text, document.source)


def parse_document(text: str, source: str = "scenario") -> Document:
    """Parse YAML text whose top is a mapping; problems are noted in the document, not raised."""
    document = Document(source)
    if not text.strip():
        document.complain("", "", "is empty; `parity-mas init` prints a scenario to start from")
        return document
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _Reader(document, loader).read_top(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        _complain_of_syntax(document, error)
    except RecursionError:
        document.complain("", "", f"is nested more than {MAX_DEPTH} deep")
    return document


def parse_value(text: str) -> Any:
    """Return a value written as in YAML (`3`, `true`, `[1, 2]`); what is not YAML is a string."""
    if len(text) > 100_000:
        return text
    document = parse_document("value: " + text)
    return document.data.get("value") if not document.problems else text


def _complain_of_syntax(document: Document, error: yaml.YAMLError) -> None:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    context = getattr(error, "context", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    document.places[""] = place
    document.complain("", "", f"is not YAML: {what}" + (f" ({context})" if context else ""))


class _Reader:
    """Turns YAML nodes into plain values and notes places, doubled keys and what is out of bounds."""

    def __init__(self, document: Document, loader: Any) -> None:
        self.document = document
        self.loader = loader
        self.count = 0

    def read_top(self, node: yaml.Node | None) -> None:
        if not isinstance(node, yaml.MappingNode):
            found = {yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}.get(
                type(node), "nothing"
            )
            self.document.complain("", found, "must be a mapping (`key: value` lines)")
            return
        self.document.data = self.mapping(node, "", 0)

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or depth > MAX_DEPTH:
            raise yaml.YAMLError(f"more than {MAX_VALUES} values or {MAX_DEPTH} levels")
        self.document.places.setdefault(path, f"line {node.start_mark.line + 1}")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(node.value)]
        return self.scalar(node, path)

    def scalar(self, node: yaml.Node, path: str) -> Any:
        try:
            if node.tag == "tag:yaml.org,2002:int":
                return int(node.value.replace("_", ""))
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self.document.complain(path, node.value, f"must be a plain value, not {node.tag}")
            return None

    def mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = {**self.merged(value_node, path, depth), **merged}
                continue
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            below = f"{path}.{key}" if path else key
            if key in own:
                line = f"line {key_node.start_mark.line + 1}"
                self.document.complain(below, line, f"is there twice; first on {self.document.places[below]}")
                continue
            self.document.places[below] = f"line {key_node.start_mark.line + 1}"
            own[key] = self.value(value_node, below, depth + 1)
        return {**merged, **own}

    def merged(self, node: yaml.Node, path: str, depth: int) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self.document.complain(path, "<<", "must merge a mapping")
                continue
            if depth > MAX_DEPTH:
                raise yaml.YAMLError(f"more than {MAX_DEPTH} levels")
            result = {**self.mapping(source, path, depth + 1), **result}
        return result


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set a value by path (`grid.transformer_kva`, `sites[0].pv.kwp`), making sections on the way.

    Raises: KeyError when the path leads through a value or beyond a list.
    """
    steps = re.findall(r"[^.\[\]]+|\[\d+\]", path)
    here: Any = data
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if step.startswith("["):
            index = int(step[1:-1])
            if not isinstance(here, list) or index >= len(here):
                raise KeyError(path)
            if following is None:
                here[index] = value
            else:
                here = here[index]
            continue
        if not isinstance(here, dict):
            raise KeyError(path)
        if following is None:
            here[step] = value
        else:
            if here.get(step) is None:
                here[step] = {}
            here = here[step]


def plain(value: Any) -> Any:
    """Return a copy of nested mappings and sequences made of dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
