"""Drawing on SVG that follows the page's light or dark colours: axes over time, steps, stacks, bands."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from launch.series import Series

__all__ = [
    "INK",
    "MUTED",
    "STATES",
    "band",
    "canvas",
    "finish",
    "light",
    "percentiles",
    "stack",
    "standalone_svg",
    "steps",
    "svg_text",
]

INK, MUTED, FAINT = "#010203", "#040506", "#070809"
"""Stand-ins that the finished SVG replaces with the page's own colours."""

STATES = {"GREEN": "#3f9e5a", "YELLOW": "#f2c200", "RED": "#d62839"}
PERCENTILES = (5, 25, 50, 75, 95)


@contextmanager
def canvas(rows: int, columns: int, height: float, share_x: bool = True) -> Iterator[tuple[Any, Any]]:
    """Open a figure of panels (height in inches) in our style; usually they share the horizontal axis."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Plot

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "parity",
        "font.size": 9,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.columnspacing": 1.1,
        "legend.handlelength": 1.3,
        "legend.handletextpad": 0.5,
        "lines.linewidth": 1.5,
        "hatch.linewidth": 0.5,
    }
    with matplotlib.rc_context(style):
        plot = Plot(figsize=(9.2, height), layout="constrained")
        FigureCanvasSVG(plot)
        yield plot, plot.subplots(rows, columns, squeeze=False, sharex=share_x)


def svg_text(plot: Any, name: str) -> str:
    """Return a figure as SVG for inlining: no prolog, no metadata, own ids, the page's colours and font."""
    buffer = io.StringIO()
    plot.patch.set_alpha(0)
    for axes in plot.axes:
        axes.patch.set_alpha(0)
    plot.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\s(xmlns(:xlink)?|version)="[^"]*"', "", text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*pt"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*pt"', r"\1", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    for stand_in, variable in ((INK, "--ink"), (MUTED, "--muted"), (FAINT, "--faint")):
        text = text.replace(stand_in, f"var({variable})")
    return text.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)


def standalone_svg(plot: Any) -> str:
    """Return a figure as an SVG document of its own, dark on white."""
    buffer = io.StringIO()
    plot.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    for stand_in, colour in ((INK, "#1d2430"), (MUTED, "#6b7482"), (FAINT, "#dde1e8")):
        text = text.replace(stand_in, colour)
    return text


def time_axis(series: Series, axes: Any) -> None:
    """Label the axis in local time."""
    import matplotlib.dates as dates

    end = series.times[-1] + series.width
    axes.set_xlim(series.times[0], end)
    locator = dates.AutoDateLocator(minticks=4, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    hours = (end - series.times[0]) / np.timedelta64(1, "h")
    if hours <= 50:
        axes.xaxis.set_major_locator(dates.HourLocator(interval=3 if hours <= 25 else 6))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    else:
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.set_xlabel(f"local time ({series.result.scenario.zone})")


def finish(series: Series, plot: Any, grid: Any) -> None:
    """Put the time axis below and the legends above the panels."""
    for axes in grid[-1]:
        time_axis(series, axes)
    for axes in plot.axes:
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            axes.legend(
                handles,
                labels,
                ncols=min(8, len(labels)),
                loc="lower left",
                bbox_to_anchor=(0, 1),
                borderaxespad=0.2,
            )


def steps(series: Series, axes: Any, values: np.ndarray, **style: Any) -> None:
    """Draw values that hold for a whole interval each."""
    edges = np.append(series.times, series.times[-1] + series.width)
    axes.step(edges, np.append(values, values[-1]), where="post", **style)


def stack(
    series: Series, axes: Any, layers: Sequence[tuple[str, str, np.ndarray]], edge: bool = False
) -> None:
    """Stack positive values upwards and negative ones downwards."""
    edges = np.append(series.times, series.times[-1] + series.width)
    above, below = np.zeros(len(series.times)), np.zeros(len(series.times))
    for label, colour, values in layers:
        values = np.nan_to_num(values)
        up, down = above + values.clip(min=0), below + values.clip(max=0)
        for base, top, name in ((above, up, label), (below, down, "")):
            if np.allclose(base, top) and not name:
                continue
            axes.fill_between(
                edges,
                np.append(base, base[-1]),
                np.append(top, top[-1]),
                step="post",
                color=colour,
                linewidth=0,
                label=name or None,
            )
        above, below = up, down
    axes.axhline(0, color=MUTED, linewidth=0.8)


def light(series: Series, axes: Any) -> None:
    """Shade the background by traffic light."""
    edges = np.append(series.times, series.times[-1] + series.width)
    begin = 0
    for i in range(1, len(series.states) + 1):
        if i == len(series.states) or series.states[i] != series.states[begin]:
            state = series.states[begin]
            axes.axvspan(
                edges[begin],
                edges[i],
                color=STATES[state],
                alpha=0.10 if state == "GREEN" else 0.28,
                linewidth=0,
            )
            begin = i


def band(series: Series, axes: Any, matrix: np.ndarray, colour: str, label: str) -> None:
    """Draw the median and percentile bands of the rows."""
    low, lower, middle, upper, high = percentiles(matrix)
    axes.fill_between(
        series.times, low, high, color=colour, alpha=0.18, linewidth=0, label=f"{label}, 5–95 %"
    )
    axes.fill_between(series.times, lower, upper, color=colour, alpha=0.3, linewidth=0, label="25–75 %")
    axes.plot(series.times, middle, color=colour, label="median")


def percentiles(matrix: np.ndarray) -> np.ndarray:
    """Return the 5th, 25th, 50th, 75th and 95th percentile of each column."""
    known = ~np.isnan(matrix).all(axis=0)
    result = np.full((len(PERCENTILES), matrix.shape[1]), np.nan)
    if known.any():
        result[:, known] = np.nanpercentile(matrix[:, known], PERCENTILES, axis=0)
    return result
