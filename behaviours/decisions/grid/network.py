"""A radial three-phase four-wire low-voltage feeder as arrays: transformer, cables, nodes and sites."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ontology.assets import Phases
from ontology.errors import InvalidInput, problem

__all__ = [
    "MAIN_CABLE",
    "MAX_SITES",
    "SERVICE_CABLE",
    "SINGLE_PHASE_MOST_W",
    "Cable",
    "Network",
    "Transformer",
    "connect_sites",
    "joint_of",
    "phase_index",
    "radial_feeder",
    "standard_transformer",
]

MAX_SITES = 60
"""Sites on one low-voltage feeder at most."""

LINE_VOLTAGE_V = 400.0
MEDIUM_VOLTAGE_V = 20_000.0
SHORT_CIRCUIT_VA = 200e6
SHORT_CIRCUIT_RX = 0.1
THREE_PHASE = 3
"""Phase index of a site that is connected to all three phases."""

SINGLE_PHASE_MOST_W = 4_600.0
"""What equipment draws at most from a single phase; what is larger has all three (VDE-AR-N 4100)."""

SITES_A_BRANCH = 20
SITES_A_JOINT = 2
FIRST_JOINT_M = 50.0
JOINT_SPACING_M = 35.0
SERVICE_M = 15.0
SOURCE_PU = 1.01


@dataclass(frozen=True)
class Cable:
    """A four-core cable per kilometre; the neutral has the cross-section of a phase."""

    name: str
    resistance_ohm_per_km: float
    reactance_ohm_per_km: float
    rated_a: float
    zero_to_positive: float = 4.0
    """Zero over positive sequence impedance: the return through an equal neutral counts three times more."""


MAIN_CABLE = Cable("NAYY 4x150", 0.206, 0.080, 270.0)
SERVICE_CABLE = Cable("NAYY 4x50", 0.642, 0.083, 142.0)


@dataclass(frozen=True)
class Transformer:
    """A distribution transformer, delta to grounded star; turns ratio (tap included) as voltages in V.

    `clock` is the hours by which the low voltage lags: 5 for Dyn5.
    """

    rated_va: int
    load_loss_w: float
    no_load_loss_w: float
    short_circuit_voltage: float = 0.04
    no_load_current: float = 0.005
    high_v: float = MEDIUM_VOLTAGE_V
    low_v: float = LINE_VOLTAGE_V
    clock: int = 5


TRANSFORMERS = (
    Transformer(50_000, 1_100, 90),
    Transformer(100_000, 1_750, 145),
    Transformer(160_000, 2_350, 210),
    Transformer(250_000, 3_250, 300),
    Transformer(400_000, 4_600, 430),
    Transformer(630_000, 6_500, 600),
    Transformer(1_000_000, 10_500, 770, 0.06),
)
"""Losses as European ecodesign tier 1 (EU 548/2014) allows."""


def standard_transformer(rated_va: int) -> Transformer:
    """Return a transformer of a rating in VA, its losses scaled from the next standard size.

    Raises: InvalidInput when the rating is not positive.
    """
    if rated_va <= 0:
        raise InvalidInput(problem("transformer_va", rated_va, "must be positive"))
    for standard in TRANSFORMERS:
        if standard.rated_va == rated_va:
            return standard
    nearest = min(TRANSFORMERS, key=lambda each: abs(each.rated_va - rated_va))
    scale = (rated_va / nearest.rated_va) ** 0.75
    return Transformer(
        rated_va,
        round(nearest.load_loss_w * scale),
        round(nearest.no_load_loss_w * scale),
        nearest.short_circuit_voltage,
        nearest.no_load_current,
    )


def transformer_for(sites: int) -> Transformer:
    """Return the standard transformer that a utility would set for a number of detached houses."""
    for limit, rated_va in ((8, 100_000), (20, 160_000), (40, 250_000), (MAX_SITES, 400_000)):
        if sites <= limit:
            return standard_transformer(rated_va)
    return standard_transformer(630_000)


@dataclass(frozen=True)
class Network:
    """A feeder: node 0 is the medium-voltage busbar, node 1 the low-voltage one; lines lead outwards.

    `site_phase` is 0, 1 or 2 for one phase and 3 for all three; impedances are in ohm, currents in A,
    rated voltages in V between phases.
    """

    segment_id: str
    transformer: Transformer
    source_pu: float
    nodes: tuple[str, ...]
    line_from: NDArray[np.int64]
    line_to: NDArray[np.int64]
    line_resistance: NDArray[np.float64]
    line_reactance: NDArray[np.float64]
    line_zero_resistance: NDArray[np.float64]
    line_zero_reactance: NDArray[np.float64]
    line_rated_a: NDArray[np.float64]
    sites: tuple[str, ...]
    site_node: NDArray[np.int64]
    site_phase: NDArray[np.int64]
    compensator_nodes: tuple[int, ...]
    """Where D-STATCOMs stand; as laid out one, at the joint farthest from the transformer."""
    medium_voltage_v: float = MEDIUM_VOLTAGE_V
    low_voltage_v: float = LINE_VOLTAGE_V
    short_circuit_va: float = SHORT_CIRCUIT_VA
    """Of the grid above, at the medium-voltage busbar."""
    short_circuit_rx: float = SHORT_CIRCUIT_RX
    """Resistance over reactance of the grid above."""
    site_three_phase_w: NDArray[np.float64] | None = None
    """(sites, 2) W: what the three-phase equipment of a site draws at least (negative: feeds in) and at most,
    by a register; None where there is none"""

    @property
    def three_phase_range_w(self) -> NDArray[np.float64]:
        """Return `site_three_phase_w`, and (sites, 2) without bounds where there is no register."""
        if self.site_three_phase_w is not None:
            return self.site_three_phase_w
        return np.tile([-np.inf, np.inf], (len(self.sites), 1))


def joint_of(network: Network, site: str) -> int:
    """Return the node in the street that a site's service cable comes from.

    Raises: InvalidInput when the site is not on the network.
    """
    if site not in network.sites:
        raise InvalidInput(problem("site", site, f"a site of {network.segment_id}"))
    node = network.site_node[network.sites.index(site)]
    return int(network.line_from[np.flatnonzero(network.line_to == node)[0]])


def phase_index(phases: Phases | str, position: int) -> int:
    """Return 0, 1, 2 or 3 (all three) for named phases; unnamed ones alternate, every fourth has three."""
    if phases == "":
        return position % 4
    try:
        return {Phases.L1: 0, Phases.L2: 1, Phases.L3: 2, Phases.THREE: THREE_PHASE}[Phases(phases)]
    except ValueError as error:
        raise InvalidInput(problem("phases", phases, "L1, L2, L3, 3P or nothing")) from error


def radial_feeder(
    segment_id: str,
    sites: Sequence[str],
    *,
    phases: Sequence[Phases | str] | None = None,
    transformer_va: int | None = None,
    source_pu: float = SOURCE_PU,
    main_cable: Cable = MAIN_CABLE,
    service_cable: Cable = SERVICE_CABLE,
    joint_spacing_m: float = JOINT_SPACING_M,
) -> Network:
    """Lay out a feeder: main cables of at most 20 sites, a joint for every two, a service cable each.

    Args:
        segment_id: names the feeder and, as a prefix, its nodes.
        sites: identifiers of 1 to 60 sites, in the order of the street.
        phases: the phases of each site; without them they alternate and every fourth has all three.
        transformer_va: rating; without it the standard size for the number of sites.
        source_pu: voltage of the medium-voltage busbar.
        main_cable: the cable in the street.
        service_cable: the cable from the street to the house.
        joint_spacing_m: distance between joints.

    Raises: InvalidInput when there are no sites, too many, or they are named twice.
    """
    _check(segment_id, sites, phases)
    count = len(sites)
    branches = ceil(count / SITES_A_BRANCH)
    per_branch = ceil(count / branches)
    nodes = [f"{segment_id}-mv", f"{segment_id}-busbar"]
    lines: list[tuple[int, int, Cable, float]] = []
    site_node: list[int] = []
    far_node, far_m = 1, 0.0
    for first in range(0, count, per_branch):
        node, distance_m = 1, 0.0
        members = range(first, min(first + per_branch, count))
        for position in members:
            if (position - first) % SITES_A_JOINT == 0:
                length_m = FIRST_JOINT_M if node == 1 else joint_spacing_m
                nodes.append(f"{segment_id}-j{len(nodes):03d}")
                lines.append((node, len(nodes) - 1, main_cable, length_m))
                node, distance_m = len(nodes) - 1, distance_m + length_m
            nodes.append(f"{segment_id}-{sites[position]}")
            lines.append((node, len(nodes) - 1, service_cable, SERVICE_M))
            site_node.append(len(nodes) - 1)
        if distance_m > far_m:
            far_node, far_m = node, distance_m
    km = np.array([length_m / 1000 for *_, length_m in lines])
    resistance = km * np.array([cable.resistance_ohm_per_km for _, _, cable, _ in lines])
    reactance = km * np.array([cable.reactance_ohm_per_km for _, _, cable, _ in lines])
    zero_ratio = np.array([cable.zero_to_positive for _, _, cable, _ in lines])
    chosen = list(phases) if phases is not None else [""] * count
    return Network(
        segment_id=segment_id,
        transformer=standard_transformer(transformer_va) if transformer_va else transformer_for(count),
        source_pu=source_pu,
        nodes=tuple(nodes),
        line_from=np.array([start for start, *_ in lines]),
        line_to=np.array([end for _, end, *_ in lines]),
        line_resistance=resistance,
        line_reactance=reactance,
        line_zero_resistance=resistance * zero_ratio,
        line_zero_reactance=reactance * zero_ratio,
        line_rated_a=np.array([cable.rated_a for _, _, cable, _ in lines]),
        sites=tuple(sites),
        site_node=np.array(site_node),
        site_phase=np.array([phase_index(each, position) for position, each in enumerate(chosen)]),
        compensator_nodes=(far_node,),
    )


def connect_sites(
    network: Network,
    segment_id: str,
    sites: Sequence[str],
    phases: Sequence[Phases | str] | None = None,
    nodes: Sequence[str] | None = None,
) -> Network:
    """Return a copy of a known network with other sites on its connection points.

    The points are used in their order: evenly spread where there are more points than sites, and by several
    sites each where there are fewer. A site without phases of its own has those of a single-phase point;
    at a three-phase point they alternate, as on a street.

    Args:
        network: where the points are.
        segment_id: names the copy and, as a prefix, its nodes.
        sites: identifiers of 1 to 60 sites.
        phases: the phases of each site, empty for the point's.
        nodes: the node of each site, by the network's names, empty for where its turn takes it.

    Raises: InvalidInput when there are no sites, too many, or they are named twice, there is no point, or a
        node is none of the low-voltage network.
    """
    _check(segment_id, sites, phases)
    points, count = len(network.sites), len(sites)
    if not points:
        raise InvalidInput(problem(f"{segment_id}.network", network.segment_id, "a network with loads"))
    point = np.arange(count) * points // count
    own, site_node = network.site_phase[point], network.site_node[point]
    for position, node in enumerate(nodes or ()):
        if node:
            site_node[position], own[position] = _named_point(network, node)
    chosen = list(phases) if phases is not None else [""] * count
    phase = [
        int(own[position]) if each == "" and own[position] != THREE_PHASE else phase_index(each, position)
        for position, each in enumerate(chosen)
    ]
    return replace(
        network,
        segment_id=segment_id,
        nodes=tuple(f"{segment_id}-{node}" for node in network.nodes),
        sites=tuple(sites),
        site_node=site_node,
        site_phase=np.array(phase),
    )


def _named_point(network: Network, node: str) -> tuple[int, int]:
    """Return a node, and the phases of the connection point there; all three where there is none.

    Raises: InvalidInput when it is no low-voltage node.
    """
    if node not in network.nodes[1:]:
        raise InvalidInput(problem("node", node, f"a low-voltage node of {network.segment_id}"))
    index = network.nodes.index(node)
    there = np.flatnonzero(network.site_node == index)
    return index, int(network.site_phase[there[0]]) if len(there) else THREE_PHASE


def _check(segment_id: str, sites: Sequence[str], phases: Sequence[Phases | str] | None) -> None:
    problems = []
    if not 1 <= len(sites) <= MAX_SITES:
        problems.append(problem(f"{segment_id}.sites", len(sites), f"1 to {MAX_SITES} sites on a feeder"))
    if len(set(sites)) != len(sites):
        problems.append(problem(f"{segment_id}.sites", list(sites), "every site once"))
    if phases is not None and len(phases) != len(sites):
        problems.append(problem(f"{segment_id}.phases", len(phases), f"{len(sites)}, one for each site"))
    if problems:
        raise InvalidInput(problems)
