"""Plots of power flows: along the feeder at one instant, and extremes over time."""

from typing import TYPE_CHECKING, Any

import numpy as np

from behaviours.decisions.grid import Network
from launch.canvas import INK, MUTED, STATES, canvas, standalone_svg

if TYPE_CHECKING:
    from launch.grid_study import Snapshot, Span

__all__ = ["snapshot_chart", "span_chart"]

COLOURS = ("#2f7fd0", "#e4572e", "#3f9e5a")
PHASES = ("L1", "L2", "L3")
LEVELS_PU = (0.9, 1.1)
"""Of EN 50160, for 95 % of the 10-minute means of a week."""
POINTS = 1_500
"""What a plot shows at most over time; of more instants, the extremes of a few at a time."""
UNBALANCE_LIMIT = 0.02
"""Of EN 50160."""


def snapshot_chart(snapshot: "Snapshot") -> str:
    """Return the plot as an SVG document: voltage, unbalance and loading over the impedance to the busbar."""
    network, flow = snapshot.network, snapshot.flow
    away = _resistance(network)
    with canvas(3, 1, 6.6) as (plot, grid):
        voltage, unbalance, loading = (grid[row, 0] for row in range(3))
        for phase, colour in enumerate(COLOURS):
            _branches(voltage, network, away, flow.voltage_pu[0, :, phase], colour, PHASES[phase])
        voltage.set_ylabel("voltage, p.u.")
        _branches(unbalance, network, away, 100 * flow.unbalance[0], INK, "voltage unbalance")
        unbalance.set_ylabel("unbalance, %")
        _loadings(loading, network, away, flow.line_loading[0], float(flow.transformer_loading[0]))
        return _finished(plot, "resistance from the transformer's busbar, ohm")


def span_chart(span: "Span") -> str:
    """Return the plot as an SVG document: extremes of voltage, unbalance and loading over time (UTC)."""
    first = np.arange(0, len(span.times_s), -(-len(span.times_s) // POINTS))
    times = span.times_s[first].astype("datetime64[s]")

    def highest(values: np.ndarray) -> np.ndarray:
        return np.maximum.reduceat(values, first)

    with canvas(3, 1, 6.6) as (plot, grid):
        voltage, unbalance, loading = (grid[row, 0] for row in range(3))
        low, high = -highest(-span.voltage_min_pu), highest(span.voltage_max_pu)
        voltage.fill_between(times, low, high, color="#2f7fd0", alpha=0.35, linewidth=0.6, label="all nodes")
        _limits(voltage, LEVELS_PU)
        voltage.set_ylabel("voltage, p.u.")
        unbalance.plot(
            times, 100 * highest(span.unbalance), color=INK, linewidth=0.8, label="highest unbalance"
        )
        _limits(unbalance, (100 * UNBALANCE_LIMIT,))
        unbalance.set_ylabel("unbalance, %")
        for values, name, colour in (
            (span.transformer_loading, "transformer", COLOURS[0]),
            (span.line_loading, "highest of the lines", COLOURS[1]),
        ):
            loading.plot(times, 100 * highest(values), color=colour, linewidth=0.8, label=name)
        _limits(loading, (100,))
        loading.set_ylabel("loading, %")
        return _finished(plot, "UTC")


def _branches(
    axes: Any, network: Network, away: np.ndarray, values: np.ndarray, colour: str, label: str
) -> None:
    """Draw every line as a stroke between its ends."""
    ends = np.stack([network.line_from, network.line_to])
    gap = np.full((1, ends.shape[1]), np.nan)
    x, y = (np.concatenate([each[ends], gap]).T.ravel() for each in (away, values))
    axes.plot(x, y, color=colour, linewidth=1, label=label)
    if not ends.size:
        axes.plot(away[1:], values[1:], "o", color=colour)


def _loadings(
    axes: Any, network: Network, away: np.ndarray, line_loading: np.ndarray, transformer: float
) -> None:
    axes.plot(away[network.line_to], 100 * line_loading, ".", markersize=3, color=COLOURS[0], label="lines")
    axes.plot([0], [100 * transformer], "s", markersize=5, color=COLOURS[1], label="transformer")
    axes.set_ylabel("loading, %")
    axes.set_ylim(0, None)


def _resistance(network: Network) -> np.ndarray:
    """Return the resistance in ohm between the busbar and each node; lines lead outwards."""
    away = np.zeros(len(network.nodes))
    for start, end, resistance in zip(
        network.line_from, network.line_to, network.line_resistance, strict=True
    ):
        away[end] = away[start] + resistance
    return away


def _limits(axes: Any, limits: tuple[float, ...]) -> None:
    """Draw limits that what is shown comes near to."""
    low, high = axes.get_ylim()
    for limit in limits:
        if low - (high - low) < limit < high + (high - low):
            axes.axhline(limit, color=STATES["RED"], linewidth=1, linestyle="--")


def _finished(plot: Any, label: str) -> str:
    for axes in plot.axes:
        axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        axes.tick_params(colors=MUTED)
    plot.axes[-1].set_xlabel(label)
    return standalone_svg(plot)
