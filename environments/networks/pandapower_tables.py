"""The tables of a pandapower JSON file, their cells checked when they are read."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import Any

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["Row", "Tables", "tables_of"]


class Row:
    """One element of a table; what is wrong with its cells goes to a list of problems."""

    def __init__(self, table: str, index: int, cells: Mapping[str, Any], problems: list[Problem]) -> None:
        self.table = table
        self.index = index
        self._cells = cells
        self._problems = problems

    def complain(self, column: str, value: object, expected: str) -> None:
        """Note that a cell is wrong."""
        self._problems.append(problem(f"{self.table}[{self.index}].{column}", value, expected))

    def has(self, column: str) -> bool:
        """Return whether the table has a column, be the cell empty or not."""
        return column in self._cells

    def number(
        self,
        column: str,
        default: float | None = None,
        *,
        least: float | None = None,
        above: float | None = None,
    ) -> float:
        """Return a finite number; an empty cell is the default, and a problem where there is none.

        Args:
            column: its name.
            default: what an empty cell or a missing column means.
            least: what it may be at least.
            above: what it must exceed.
        """
        value = self._cells.get(column)
        if _empty(value):
            if default is None:
                self.complain(column, "", "a number")
                return 1.0
            return default
        wanted = _wanted(least, above)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            self.complain(column, value, wanted)
            return 1.0
        if (least is not None and value < least) or (above is not None and value <= above):
            self.complain(column, value, wanted)
            return 1.0
        return float(value)

    def text(self, column: str, default: str = "") -> str:
        """Return a cell as text; an empty one is the default."""
        value = self._cells.get(column)
        return default if _empty(value) or value == "" else str(value)

    def flag(self, column: str, default: bool = True) -> bool:
        """Return a cell as true or false; an empty one is the default."""
        value = self._cells.get(column)
        return default if _empty(value) else bool(value)

    def reference(self, column: str, known: Mapping[int, Any], what: str) -> int | None:
        """Return the index of another element, or None (and a problem) when there is none such in service."""
        value = self._cells.get(column)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value in known:
            return value
        self.complain(column, "" if value is None else value, f"a {what} in service")
        return None


class Tables:
    """The tables of a file by their names."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], name: str, problems: list[Problem]) -> None:
        self._rows = rows
        self.name = name
        self.problems = problems

    def rows(self, table: str) -> Sequence[Row]:
        """Return the elements of a table; none when the file has no such table."""
        return self._rows.get(table, ())

    def in_service(self, table: str) -> list[Row]:
        """Return the elements of a table that are in service."""
        return [row for row in self.rows(table) if row.flag("in_service")]


def tables_of(text: str, path: str) -> Tables:
    """Read a file that pandapower's `to_json` wrote.

    Args:
        text: its content.
        path: its name, for what is wrong with it.

    Raises: InvalidInput when it is no pandapower network or a table cannot be read.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInput(problem(path, str(error), "JSON")) from None
    content = document.get("_object") if isinstance(document, dict) else None
    if not isinstance(content, dict) or document.get("_class") != "pandapowerNet":
        raise InvalidInput(problem(path, text[:60], "a network as pandapower's to_json writes it"))
    problems: list[Problem] = []
    rows = {
        name: _rows(name, table, problems)
        for name, table in content.items()
        if isinstance(table, dict)
        and table.get("_class") == "DataFrame"
        and not name.startswith(("res_", "_"))
    }
    if problems:
        raise InvalidInput(problems)
    return Tables(rows, str(content.get("name") or ""), problems)


def _rows(name: str, table: Mapping[str, Any], problems: list[Problem]) -> list[Row]:
    try:
        frame = table["_object"]
        frame = json.loads(frame) if isinstance(frame, str) else frame
        columns = [str(each) for each in frame["columns"]]
        return [
            Row(name, index, dict(zip(columns, cells, strict=True)), problems)
            for index, cells in zip(frame["index"], frame["data"], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        problems.append(
            problem(name, f"{type(error).__name__}: {error}", "a table split into columns, index and data")
        )
        return []


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _wanted(least: float | None, above: float | None) -> str:
    if above is not None:
        return f"a number above {above:g}"
    return "a number" if least is None else f"a number, {least:g} at least"
