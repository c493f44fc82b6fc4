"""The reference pages of the documentation, generated from the structs and tables that they describe.

`python -m launch.reference` writes them; a test keeps them equal to what is written here.
"""

from pathlib import Path
from typing import Any

from msgspec import inspect

from launch.schema import SHORT_FORMS, Scenario
from launch.tables import TABLES

__all__ = ["GENERATED", "results_reference", "scenario_reference", "with_generated"]

BEGIN, END = "<!-- generated: python -m launch.reference -->", "<!-- end of what is generated -->"


def scenario_reference() -> str:
    """Return the keys of a scenario as Markdown, one table a section."""
    parts: list[str] = []
    named: dict[type, str] = {}

    def describe(kind: inspect.StructType, title: str) -> None:
        below: list[tuple[inspect.StructType, str]] = []
        rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
        for field in kind.fields:
            wanted, said, section = _type(field.type)
            path = f"{title}.{field.encode_name}" if title != "scenario" else field.encode_name
            if section is not None and section.cls in named:
                said += f"; keys as in `{named[section.cls]}`"
            elif section is not None:
                named[section.cls] = path
                below.append((section, f"{path}[]" if wanted.startswith("list") else path))
            rows.append(f"| `{field.encode_name}` | {wanted} | {_default(field)} | {said} |")
        heading = "The scenario" if title == "scenario" else f"`{title}`"
        doc = (kind.cls.__doc__ or "").strip().split("\n")[0]
        parts.append(f"### {heading}\n\n{doc}\n\n" + "\n".join(rows))
        for section, path in below:
            describe(section, path)

    describe(_struct(inspect.type_info(Scenario)), "scenario")
    return "\n\n".join(parts)


def results_reference() -> str:
    """Return the tables of a run folder as Markdown."""
    parts = []
    for name, (keys, columns) in TABLES.items():
        rows = ["| column | type | unit | meaning |", "|---|---|---|---|"]
        for column in columns:
            said = column.meaning + ("; may be empty" if column.optional and column.kind == "float64" else "")
            rows.append(f"| `{column.name}` | {column.kind} | {column.unit} | {said} |")
        order = " and ".join(f"`{key}`" for key in keys)
        parts.append(f"### {name}.parquet\n\nOne row for each {order}, in that order.\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


def with_generated(page: str, generated: str) -> str:
    """Return a page with its generated part replaced."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


GENERATED = {"scenarios.md": scenario_reference, "results.md": results_reference}


def _struct(kind: Any) -> inspect.StructType:
    assert isinstance(kind, inspect.StructType)
    return kind


def _type(kind: Any) -> tuple[str, str, inspect.StructType | None]:
    """Return a type in words with its bounds, what is said about it, and the section below it."""
    said = ""
    while isinstance(kind, inspect.Metadata):
        said = said or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        inner = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        wanted, said_below, section = _type(inner)
        return wanted, said or said_below, section
    if isinstance(kind, inspect.StructType):
        forms = [f"or its `{key}`" for key in SHORT_FORMS.get(kind.cls, {}).values()]
        return " ".join(["section", *forms]), said, kind
    if isinstance(kind, inspect.VarTupleType):
        return "list of sections", said, _type(kind.item_type)[2]
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values), said, None
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        word = "whole number" if isinstance(kind, inspect.IntType) else "number"
        return f"{word}{_range(kind)}", said, None
    return ("true or false" if isinstance(kind, inspect.BoolType) else "text"), said, None


def _range(kind: Any) -> str:
    low = f"> {kind.gt:g}" if kind.gt is not None else f"≥ {kind.ge:g}" if kind.ge is not None else ""
    high = f"< {kind.lt:g}" if kind.lt is not None else f"≤ {kind.le:g}" if kind.le is not None else ""
    both = ", ".join(filter(None, (low, high)))
    return f", {both}" if both else ""


def _default(field: inspect.Field) -> str:
    if field.required:
        return "**needed**"
    value = field.default
    if not value and (value is None or isinstance(value, tuple)):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:g}`" if value < 1e5 else f"`{value}`"
    return f"`{value}`" if isinstance(value, str) else "see below"


def main() -> None:
    """Write the generated parts of the pages."""
    docs = Path(__file__).parents[1] / "docs"
    for name, generate in GENERATED.items():
        page = docs / name
        page.write_text(with_generated(page.read_text(encoding="utf-8"), generate()), encoding="utf-8")


if __name__ == "__main__":
    main()
