"""Power flows of known or imported networks: what a user asked for, solved and reduced to tables."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from behaviours.decisions.grid import FlowResult, FourWire, Network, PowerFlow
from behaviours.decisions.grid.power_flow import own_phase
from environments.networks import load_cases, load_series
from environments.networks.loads_csv import read_series, read_snapshot
from ontology.errors import InvalidInput, problem

__all__ = ["PHASE_NAMES", "Snapshot", "Span", "reported", "solved", "write_snapshots", "write_spans"]

PHASE_NAMES = ("L1", "L2", "L3")


@dataclass(frozen=True)
class Snapshot:
    """A network at one instant: loads (sites, 3) in W and what they lead to."""

    network: Network
    power_w: np.ndarray
    flow: FlowResult
    neutral_v: np.ndarray
    """(nodes,) V: of the neutral against the transformer's earth; 0 at medium voltage"""


@dataclass(frozen=True)
class Span:
    """A network over T instants, reduced: a value each instant (T,), and extremes of each node or line."""

    network: Network
    times_s: np.ndarray
    load_w: np.ndarray
    losses_w: np.ndarray
    voltage_min_pu: np.ndarray
    voltage_max_pu: np.ndarray
    unbalance: np.ndarray
    transformer_loading: np.ndarray
    line_loading: np.ndarray
    node_min_pu: np.ndarray
    """(nodes, 3)"""
    node_max_pu: np.ndarray
    """(nodes, 3)"""
    node_unbalance: np.ndarray
    """(nodes,): greatest"""
    line_loading_max: np.ndarray
    """(lines,)"""

    @property
    def step_h(self) -> float:
        """The usual time between instants; an hour when there is only one."""
        return float(np.median(np.diff(self.times_s))) / 3600 if len(self.times_s) > 1 else 1.0


def solved(name: str, loads: Path | None, power_factor: float) -> list[Snapshot]:
    """Solve the networks of a name or file at one instant.

    Args:
        name: a built-in network, perhaps with its snapshot, or a file.
        loads: what sites draw; without it the network's own loads.
        power_factor: of loads whose reactive power is not given.

    Raises: InvalidInput naming everything that is wrong, Failed when the flow does not converge.
    """
    reactive = _reactive_per_w(power_factor)
    cases = load_cases(name)
    networks = [each.network for each in cases]
    power_w = np.concatenate([each.power_w for each in cases])
    reactive_var = np.concatenate([each.reactive_var for each in cases])
    if loads is not None:
        power = read_snapshot(loads, networks, reactive)
        power_w, reactive_var = power.real, power.imag
    flows = PowerFlow(networks).solve(power_w[None], reactive_var[None])
    return [
        Snapshot(network, power_w[sites], flow, _neutral_v(network, power_w[sites], reactive_var[sites]))
        for network, sites, flow in zip(networks, _slices(networks), flows, strict=True)
    ]


def reported(name: str, loads: Path | None, power_factor: float) -> list[Span]:
    """Solve the networks of a name or file at every instant of its loads.

    Args:
        name: a built-in network, a file, or a grid of SimBench.
        loads: what sites draw over time; without it what the network knows of that itself.
        power_factor: of loads whose reactive power is not given.

    Raises: InvalidInput naming everything that is wrong, Failed when a flow does not converge.
    """
    reactive = _reactive_per_w(power_factor)
    networks = [each.network for each in load_cases(name)]
    series = load_series(name) if loads is None else read_series(loads, networks)
    share = np.concatenate([own_phase(each.site_phase) for each in networks])
    parts: list[list[Span]] = [[] for _ in networks]
    flow = PowerFlow(networks)
    for chosen in flow.chunks(len(series.times_s)):
        power_w = series.power_w[chosen, :, None] * share
        known_var = series.reactive_var
        reactive_var = reactive * power_w if known_var is None else known_var[chosen, :, None] * share
        results = flow.solve(power_w, reactive_var)
        for part, network, sites, result in zip(parts, networks, _slices(networks), results, strict=True):
            part.append(_reduced(network, series.times_s[chosen], power_w[:, sites], result))
    return [_joined(each) for each in parts]


def write_snapshots(folder: Path, snapshots: Sequence[Snapshot]) -> list[Path]:
    """Write nodes, lines and a plot of each network into a folder."""
    from launch.grid_chart import snapshot_chart

    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _table(folder / "nodes.csv", [row for each in snapshots for row in _node_rows(each)]),
        _table(folder / "lines.csv", [row for each in snapshots for row in _line_rows(each)]),
    ]
    for each in snapshots:
        written.append(folder / f"{each.network.segment_id}.svg")
        written[-1].write_text(snapshot_chart(each), encoding="utf-8")
    return written


def write_spans(folder: Path, spans: Sequence[Span]) -> list[Path]:
    """Write instants, nodes, lines and a plot of each network into a folder."""
    from launch.grid_chart import span_chart

    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _table(folder / "instants.csv", [row for each in spans for row in _instant_rows(each)]),
        _table(folder / "nodes.csv", [row for each in spans for row in _extreme_rows(each)]),
        _table(folder / "lines.csv", [row for each in spans for row in _loading_rows(each)]),
    ]
    for each in spans:
        written.append(folder / f"{each.network.segment_id}.svg")
        written[-1].write_text(span_chart(each), encoding="utf-8")
    return written


def _reactive_per_w(power_factor: float) -> float:
    if not 0.5 <= power_factor <= 1:
        raise InvalidInput(problem("--power-factor", power_factor, "0.5 to 1, inductive"))
    return float(np.tan(np.arccos(power_factor)))


def _neutral_v(network: Network, power_w: np.ndarray, reactive_var: np.ndarray) -> np.ndarray:
    """Return how far the neutral is from the transformer's earth at each node, in V."""
    wires = FourWire(network)
    return np.append(0.0, np.abs(wires.nodes(wires.solve(power_w[None], reactive_var[None]))[0, :, 3]))


def _slices(networks: Sequence[Network]) -> list[slice]:
    ends = np.cumsum([len(each.sites) for each in networks]).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _reduced(network: Network, times_s: np.ndarray, power_w: np.ndarray, flow: FlowResult) -> Span:
    return Span(
        network,
        times_s,
        power_w.sum(axis=(1, 2)),
        flow.losses_w,
        flow.voltage_min_pu,
        flow.voltage_max_pu,
        flow.unbalance_max,
        flow.transformer_loading,
        flow.line_loading.max(axis=1, initial=0.0),
        flow.voltage_pu.min(axis=0),
        flow.voltage_pu.max(axis=0),
        flow.unbalance.max(axis=0),
        flow.line_loading.max(axis=0),
    )


def _joined(parts: Sequence[Span]) -> Span:
    def row(name: str) -> np.ndarray:
        return np.concatenate([getattr(each, name) for each in parts])

    def most(name: str) -> np.ndarray:
        return np.max([getattr(each, name) for each in parts], axis=0)  # type: ignore[no-any-return]

    return Span(
        parts[0].network,
        row("times_s"),
        row("load_w"),
        row("losses_w"),
        row("voltage_min_pu"),
        row("voltage_max_pu"),
        row("unbalance"),
        row("transformer_loading"),
        row("line_loading"),
        np.min([each.node_min_pu for each in parts], axis=0),
        most("node_max_pu"),
        most("node_unbalance"),
        most("line_loading_max"),
    )


def _node_rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    network, flow = snapshot.network, snapshot.flow
    for index, node in enumerate(network.nodes):
        level = network.low_voltage_v if index else network.medium_voltage_v
        volts = flow.voltage_pu[0, index] * level / 3**0.5
        yield {
            "network": network.segment_id,
            "node": node,
            **{f"{phase.lower()}_v": round(float(v), 4) for phase, v in zip(PHASE_NAMES, volts, strict=True)},
            "neutral_v": round(float(snapshot.neutral_v[index]), 4),
            "unbalance": f"{flow.unbalance[0, index]:.3g}",
        }


def _line_rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    flow = snapshot.flow
    for line, ends in enumerate(_ends(snapshot.network)):
        currents = zip(PHASE_NAMES, flow.line_current_a[0, line], strict=True)
        yield {
            **ends,
            **{f"{phase.lower()}_a": round(float(a), 4) for phase, a in currents},
            "loading": round(float(flow.line_loading[0, line]), 5),
        }


def _instant_rows(span: Span) -> Iterator[dict[str, Any]]:
    for index, time_s in enumerate(span.times_s.tolist()):
        yield {
            "network": span.network.segment_id,
            "time_s": time_s,
            "load_w": round(float(span.load_w[index]), 1),
            "losses_w": round(float(span.losses_w[index]), 1),
            "voltage_min_pu": round(float(span.voltage_min_pu[index]), 6),
            "voltage_max_pu": round(float(span.voltage_max_pu[index]), 6),
            "unbalance": round(float(span.unbalance[index]), 6),
            "transformer_loading": round(float(span.transformer_loading[index]), 5),
            "line_loading": round(float(span.line_loading[index]), 5),
        }


def _extreme_rows(span: Span) -> Iterator[dict[str, Any]]:
    for index, node in enumerate(span.network.nodes):
        yield {
            "network": span.network.segment_id,
            "node": node,
            "voltage_min_pu": round(float(span.node_min_pu[index].min()), 6),
            "voltage_max_pu": round(float(span.node_max_pu[index].max()), 6),
            "unbalance_max": round(float(span.node_unbalance[index]), 6),
        }


def _loading_rows(span: Span) -> Iterator[dict[str, Any]]:
    for ends, loading in zip(_ends(span.network), span.line_loading_max, strict=True):
        yield {**ends, "loading_max": round(float(loading), 5)}


def _ends(network: Network) -> Iterator[dict[str, Any]]:
    for start, end in zip(network.line_from, network.line_to, strict=True):
        yield {"network": network.segment_id, "from": network.nodes[start], "to": network.nodes[end]}


def _table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["network"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
