"""Networks that engineers know by name, from files of facts, and the parametric street feeder."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import MAX_SITES, Transformer, radial_feeder
from behaviours.decisions.grid.power_flow import own_phase
from environments.networks.case import NetworkCase
from environments.networks.tree import Branch, Supply, network_of, tree_from
from ontology.errors import InvalidInput, problem

__all__ = ["FEEDERS", "NAMES", "STREET", "built_in", "source_of"]

NAMES: Mapping[str, tuple[str, ...]] = {"ieee-european-lv": ("566", "1", "1440"), "cigre-lv": ("peak",)}
"""Built-in networks and their snapshots, the usual one first."""
FEEDERS = ("ieee-european-lv", "cigre-lv-residential", "cigre-lv-industrial", "cigre-lv-commercial")
"""Feeders of built-in networks, each with one transformer."""
STREET = "street-"
STREET_SITE_W = 2_000.0
"""What every house of the street draws, at the power factor below, unless loads are given."""
STREET_POWER_FACTOR = 0.95


class _Lines(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    start: list[int]
    end: list[int]
    length_m: list[float]
    code: list[str]


class _Sites(msgspec.Struct, frozen=True):
    id: list[str]
    node: list[int]
    phase: list[int]
    power_factor: list[float]


class _Feeder(msgspec.Struct, frozen=True):
    """Line codes are positive and zero sequence R and X in ohm/km, and the rating in A."""

    segment_id: str
    medium_voltage_v: float
    low_voltage_v: float
    source_pu: float
    short_circuit_va: float
    short_circuit_rx: float
    transformer: Transformer
    nodes: list[str]
    line_codes: dict[str, tuple[float, float, float, float, float]]
    lines: _Lines
    sites: _Sites
    snapshots: dict[str, list[float]]


class _Facts(msgspec.Struct, frozen=True):
    source: str
    feeders: list[_Feeder]


def built_in(name: str) -> list[NetworkCase]:
    """Return the networks of a built-in name, with a snapshot's loads: `NAME` or `NAME@SNAPSHOT`.

    Raises: InvalidInput when there is no such network or snapshot.
    """
    network, _, snapshot = name.partition("@")
    if network.startswith(STREET):
        return [_street(name)]
    known = NAMES.get(network)
    if known is None:
        raise InvalidInput(problem("NETWORK", name, f"one of {', '.join(NAMES)}"))
    chosen = snapshot or known[0]
    if chosen not in known:
        raise InvalidInput(problem("NETWORK", name, f"{network}@ and one of {', '.join(known)}"))
    return [_case(feeder, chosen) for feeder in _facts(network).feeders]


def source_of(name: str) -> str:
    """Return where the facts of a built-in network come from; empty for others."""
    network = name.partition("@")[0]
    return _facts(network).source if network in NAMES else ""


@cache
def _facts(network: str) -> _Facts:
    content = (files("environments.networks") / "data" / f"{network}.json").read_bytes()
    return msgspec.json.decode(content, type=_Facts)


def _case(feeder: _Feeder, snapshot: str) -> NetworkCase:
    branches = _branches(feeder)
    tree = tree_from(1, branches)
    supply = Supply(
        feeder.transformer,
        feeder.medium_voltage_v,
        feeder.low_voltage_v,
        feeder.source_pu,
        feeder.short_circuit_va,
        feeder.short_circuit_rx,
    )
    sites = feeder.sites
    network = network_of(
        feeder.segment_id,
        supply,
        tree,
        branches,
        [feeder.nodes[0], *(feeder.nodes[each.node] for each in tree.nodes)],
        sites.id,
        sites.node,
        sites.phase,
    )
    power_w = np.array(feeder.snapshots[snapshot])[:, None] * own_phase(network.site_phase)
    return NetworkCase(network, power_w, power_w * reactive_share(sites.power_factor)[:, None])


def _branches(feeder: _Feeder) -> list[Branch]:
    lines = feeder.lines
    found = []
    for start, end, length_m, code in zip(lines.start, lines.end, lines.length_m, lines.code, strict=True):
        r1, x1, r0, x0, rated_a = feeder.line_codes[code]
        km = length_m / 1000
        name = f"{feeder.nodes[start]}-{feeder.nodes[end]}"
        found.append(Branch(name, start, end, length_m, km * r1, km * x1, km * r0, km * x0, rated_a))
    return found


def _street(name: str) -> NetworkCase:
    text = name.removeprefix(STREET)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SITES:
        raise InvalidInput(problem("NETWORK", name, f"{STREET}1 to {STREET}{MAX_SITES}: so many houses"))
    network = radial_feeder(name, [f"h{number:03d}" for number in range(1, int(text) + 1)])
    power_w = STREET_SITE_W * own_phase(network.site_phase)
    return NetworkCase(network, power_w, power_w * reactive_share([STREET_POWER_FACTOR]))


def reactive_share(power_factor: Sequence[float]) -> NDArray[np.float64]:
    """Return var per W of inductive loads of given power factors."""
    shares: NDArray[np.float64] = np.tan(np.arccos(np.array(power_factor)))
    return shares
