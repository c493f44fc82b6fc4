"""`python -m benchmarks [NAME …]`: one table for each benchmark module, or for those named.

A benchmark is a module of this package with a function `rows()` that returns dictionaries, one a
row, all with the same keys. Its first docstring line is the table's title.
"""

import argparse
import importlib
import pkgutil
import sys
import traceback

from rich.console import Console
from rich.table import Table

import benchmarks


def names() -> list[str]:
    """Return the names of all benchmark modules."""
    return sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"
    )


def table_of(name: str) -> Table | None:
    """Measure and return a benchmark's table, or None when the module is no benchmark."""
    module = importlib.import_module(f"benchmarks.{name}")
    if not hasattr(module, "rows"):
        return None
    rows = module.rows()
    title = (module.__doc__ or name).strip().split("\n")[0]
    table = Table(title=f"{name}: {title}", title_justify="left", title_style="bold")
    for column, value in (rows[0] if rows else {}).items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(shown(value) for value in row.values()))
    return table


def shown(value: object) -> str:
    """Return a cell as text: large numbers grouped, fractions with three digits that count."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if isinstance(value, float):
        return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def main() -> int:
    """Print the tables; a benchmark that fails is reported and the others go on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory, as tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}")
    chosen = parser.parse_args().names
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    failed = 0
    for name in chosen or names():
        try:
            table = table_of(name)
        except Exception:
            failed += 1
            print(f"{name}: failed", file=sys.stderr)
            traceback.print_exc()
            continue
        if table is not None:
            console.print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
