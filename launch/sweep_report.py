"""The plots of a sweep: each headline number over each setting that was varied."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from launch.canvas import canvas, svg_text

__all__ = ["render_sweep"]

METRICS = (
    ("bought_locally_kwh", "traded locally, kWh"),
    ("imported_kwh", "imported, kWh"),
    ("self_consumption", "self-consumption, 0..1"),
    ("self_sufficiency", "self-sufficiency, 0..1"),
    ("buy_eur_per_kwh_mean", "mean buying price, EUR/kWh"),
    ("loading_max", "highest loading, 0..1"),
)
DOTS, LINE = "#2f7fd0", "#e4572e"


def render_sweep(name: str, rows: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> str:
    """Return the sweep's page as HTML text: plots over every setting, and the table."""
    import jinja2

    from launch.report import TEMPLATES

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    good = [row for row in rows if not row["error"]]
    figures = (
        [(path, _figure(good, path, index)) for index, path in enumerate(varied or ["seed"])] if good else []
    )
    shown = list(dict.fromkeys([*varied, "seed", *(metric for metric, _ in METRICS), "error"]))
    table = [[_text(row.get(column)) for column in shown] for row in rows]
    return environment.get_template("sweep.html").render(
        name=name, figures=figures, columns=shown, table=table, runs=len(rows), failed=len(rows) - len(good)
    )


def _figure(rows: Sequence[Mapping[str, Any]], path: str, index: int) -> str:
    values = [row[path] for row in rows]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    levels = sorted(set(values)) if numeric else list(dict.fromkeys(map(str, values)))
    at = [value if numeric else levels.index(str(value)) for value in values]
    with canvas(2, 3, 4.6) as (plot, grid):
        for axes, (metric, label) in zip(grid.flat, METRICS, strict=True):
            found = np.asarray([row.get(metric, np.nan) for row in rows], dtype=float)
            axes.plot(at, found, "o", color=DOTS, alpha=0.55, markersize=4)
            places = sorted(set(at))
            means = [_mean(found[np.asarray(at) == place]) for place in places]
            axes.plot(places, means, color=LINE, linewidth=1.2)
            axes.set_ylabel(label)
            if not numeric:
                axes.set_xticks(range(len(levels)), levels)
        for axes in grid[-1]:
            axes.set_xlabel(path)
        return svg_text(plot, f"sweep{index}")


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
