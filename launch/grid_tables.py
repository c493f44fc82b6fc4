"""What `parity-mas grid` prints: a network's state at one instant, or its extremes over many."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from rich.table import Table

from behaviours.decisions.grid import Network
from environments.simulation.dso_systems import DsoSystems
from launch.console import console
from launch.grid_chart import LEVELS_PU, UNBALANCE_LIMIT
from launch.grid_run import Extreme, FeederSpan
from launch.grid_study import PHASE_NAMES, Snapshot, Span

__all__ = ["print_feeders", "print_snapshots", "print_spans", "print_systems"]

SITES_SHOWN = 12
Row = tuple[str, str, str]


def print_snapshots(snapshots: Sequence[Snapshot]) -> None:
    """Print a summary of each network, and its sites that are farthest from the rated voltage."""
    for each in snapshots:
        _print(each.network, _summary(each))
        if each.network.sites:
            console().print(_sites(each))


def print_spans(spans: Sequence[Span]) -> None:
    """Print the extremes of each network."""
    for each in spans:
        _print(each.network, _extremes(each))


def print_feeders(name: str, feeders: Sequence[FeederSpan]) -> None:
    """Print a row for each feeder of a run."""
    table = Table(
        title=f"{name}: {len(feeders)} feeders, {feeders[0].intervals} intervals",
        title_justify="left",
        title_style="bold",
        caption="worst values with the start of their interval (month-day, UTC), and how many intervals leave"
        " EN 50160's ±10 % of the voltage and 2 % of unbalance; N: current in the neutral at the busbar",
        caption_justify="left",
    )
    table.add_column("feeder", no_wrap=True)
    for column in ("lowest p.u.", "highest p.u.", "unbal. %", "loading %", "N, A", "kWh", "light"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in feeders:
        table.add_row(*_feeder(each))
    console().print(table)


def _feeder(feeder: FeederSpan) -> Iterator[str]:
    yield feeder.segment_id
    yield _worst(feeder.voltage_min_pu, "{:.4f}") + _beyond(feeder.beyond_voltage)
    yield _worst(feeder.voltage_max_pu, "{:.4f}")
    yield _worst(feeder.unbalance, "{:.2f}", 100) + _beyond(feeder.beyond_unbalance)
    yield _worst(feeder.loading, "{:.1f}", 100)
    yield _worst(feeder.neutral_a, "{:.1f}")
    into, out, lost = (wh / 1000 for wh in (feeder.imported_wh, feeder.exported_wh, feeder.losses_wh))
    yield f"in {into:.1f}\nout {out:.1f}\nlost {lost:.1f}"
    yield "\n".join(f"{state} {feeder.states.get(state, 0)}" for state in ("GREEN", "YELLOW", "RED"))


def _worst(extreme: Extreme, form: str, scale: float = 1) -> str:
    if np.isnan(extreme.value):
        return ""
    return f"{form.format(scale * extreme.value)}\n{datetime.fromtimestamp(extreme.time_s, UTC):%m-%d %H:%M}"


def _beyond(share: float) -> str:
    return f"\n{100 * share:.1f} % beyond" if share else ""


def print_systems(systems: DsoSystems) -> None:
    """Print what a grid operator's systems answer and publish, and where."""
    for place in systems.places():
        print(place, flush=True)


def _print(network: Network, rows: Iterator[Row]) -> None:
    title = (
        f"{network.segment_id}: {len(network.nodes)} nodes, {len(network.line_to)} lines, "
        f"{len(network.sites)} sites, transformer {network.transformer.rated_va / 1000:g} kVA, "
        f"{network.low_voltage_v:.0f} V"
    )
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _summary(snapshot: Snapshot) -> Iterator[Row]:
    network, flow = snapshot.network, snapshot.flow
    yield "Load", f"{snapshot.power_w.sum() / 1000:.2f} kW", _by_phase(snapshot.power_w.sum(axis=0) / 1000)
    yield "Losses", f"{flow.losses_w[0] / 1000:.3f} kW", "lines and transformer"
    voltage = flow.voltage_pu[0, 1:]
    for name, at in (("Lowest voltage", voltage.argmin()), ("Highest voltage", voltage.argmax())):
        node, phase = np.unravel_index(at, voltage.shape)
        yield (
            name,
            f"{voltage[node, phase]:.4f} p.u.",
            f"node {network.nodes[node + 1]}, {PHASE_NAMES[phase]}",
        )
    unbalance = flow.unbalance[0, 1:]
    worst = int(unbalance.argmax())
    yield "Highest unbalance", f"{100 * unbalance[worst]:.2f} %", f"node {network.nodes[worst + 1]}"
    worst = int(snapshot.neutral_v.argmax())
    neutral = f"node {network.nodes[worst]}, earthed at the transformer only"
    yield "Highest neutral voltage", f"{snapshot.neutral_v[worst]:.2f} V", neutral
    yield "Transformer loading", f"{100 * flow.transformer_loading[0]:.1f} %", "of its rating"
    if len(network.line_to):
        line = int(flow.line_loading[0].argmax())
        yield "Highest line loading", f"{100 * flow.line_loading[0, line]:.1f} %", _line(network, line)
    *phases, returned = flow.busbar_current_a()[0]
    yield "Currents at the busbar", f"{max(phases):.1f} A", f"{_by_phase(np.array(phases))}, N {returned:.1f}"


def _sites(snapshot: Snapshot) -> Table:
    network, flow = snapshot.network, snapshot.flow
    voltage = flow.voltage_pu[0, network.site_node]
    order = np.argsort(-np.abs(voltage - 1).max(axis=1), kind="stable")[:SITES_SHOWN]
    more = f", {SITES_SHOWN} of {len(network.sites)}" if len(network.sites) > SITES_SHOWN else ""
    table = Table(
        title=f"sites farthest from the rated voltage{more}", title_justify="left", title_style="bold"
    )
    for column in ("site", "node"):
        table.add_column(column)
    for column in ("kW", *(f"{phase}, p.u." for phase in PHASE_NAMES), "unbalance, %"):
        table.add_column(column, justify="right")
    for site in order:
        node = network.site_node[site]
        table.add_row(
            network.sites[site],
            network.nodes[node],
            f"{snapshot.power_w[site].sum() / 1000:.3f}",
            *(f"{value:.4f}" for value in voltage[site]),
            f"{100 * flow.unbalance[0, node]:.2f}",
        )
    return table


def _extremes(span: Span) -> Iterator[Row]:
    network, hours = span.network, span.step_h
    yield "Instants", f"{len(span.times_s)}", f"{_when(span, 0)} to {_when(span, -1)}"
    load_kwh, lost_kwh = (each.sum() * hours / 1000 for each in (span.load_w, span.losses_w))
    yield "Load", f"{load_kwh:.1f} kWh", f"highest {span.load_w.max() / 1000:.2f} kW"
    yield "Losses", f"{lost_kwh:.2f} kWh", f"highest {span.losses_w.max() / 1000:.3f} kW"
    low, high = int(span.voltage_min_pu.argmin()), int(span.voltage_max_pu.argmax())
    lowest = network.nodes[1 + int(span.node_min_pu[1:].min(axis=1).argmin())]
    highest = network.nodes[1 + int(span.node_max_pu[1:].max(axis=1).argmax())]
    yield "Lowest voltage", f"{span.voltage_min_pu[low]:.4f} p.u.", f"node {lowest}, {_when(span, low)}"
    yield "Highest voltage", f"{span.voltage_max_pu[high]:.4f} p.u.", f"node {highest}, {_when(span, high)}"
    outside = (span.voltage_min_pu < LEVELS_PU[0]) | (span.voltage_max_pu > LEVELS_PU[1])
    yield "Voltage beyond ±10 %", f"{100 * outside.mean():.1f} %", "of the instants, at any node"
    worst = int(span.unbalance.argmax())
    node = network.nodes[1 + int(span.node_unbalance[1:].argmax())]
    yield "Highest unbalance", f"{100 * span.unbalance[worst]:.2f} %", f"node {node}, {_when(span, worst)}"
    beyond = 100 * (span.unbalance > UNBALANCE_LIMIT).mean()
    yield "Unbalance beyond 2 %", f"{beyond:.1f} %", "of the instants, at any node"
    at = int(span.transformer_loading.argmax())
    yield "Transformer loading", f"{100 * span.transformer_loading[at]:.1f} %", f"highest, {_when(span, at)}"
    if len(network.line_to):
        line, at = int(span.line_loading_max.argmax()), int(span.line_loading.argmax())
        where = f"{_line(network, line)}, {_when(span, at)}"
        yield "Highest line loading", f"{100 * span.line_loading[at]:.1f} %", where


def _by_phase(values: np.ndarray) -> str:
    return ", ".join(f"{phase} {value:.1f}" for phase, value in zip(PHASE_NAMES, values, strict=True))


def _line(network: Network, line: int) -> str:
    return f"from {network.nodes[network.line_from[line]]} to {network.nodes[network.line_to[line]]}"


def _when(span: Span, index: int) -> str:
    return f"{datetime.fromtimestamp(int(span.times_s[index]), UTC):%Y-%m-%d %H:%M}Z"
