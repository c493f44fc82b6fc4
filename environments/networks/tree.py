"""A radial network found in a graph: lines ordered and directed away from the transformer."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import Network, Transformer

__all__ = ["Branch", "FedNode", "Supply", "Tree", "network_of", "tree_from"]


class Branch(NamedTuple):
    """A line between two nodes: impedances in ohm, length in m (0: unknown), rating in A."""

    name: str
    start: int
    end: int
    length_m: float
    resistance: float
    reactance: float
    zero_resistance: float
    zero_reactance: float
    rated_a: float


class FedNode(NamedTuple):
    """A node in a tree: the branch that feeds it (-1 at the root), and its distance from the root in m."""

    node: int
    parent: int
    branch: int
    distance_m: float


class Tree(NamedTuple):
    """Nodes from the root outwards, and the branches that close loops."""

    nodes: list[FedNode]
    closing: list[int]


class Supply(NamedTuple):
    """What feeds a network: its transformer, rated voltages in V, and the grid above."""

    transformer: Transformer
    medium_voltage_v: float
    low_voltage_v: float
    source_pu: float
    short_circuit_va: float
    short_circuit_rx: float


def tree_from(root: int, branches: Sequence[Branch]) -> Tree:
    """Walk outwards from a node, the nearest (in branches) first."""
    at: dict[int, list[int]] = defaultdict(list)
    for index, branch in enumerate(branches):
        at[branch.start].append(index)
        at[branch.end].append(index)
    found = {root: FedNode(root, -1, -1, 0.0)}
    waiting, closing = deque([root]), []
    while waiting:
        node = waiting.popleft()
        for index in at[node]:
            branch = branches[index]
            other = branch.end if branch.start == node else branch.start
            if other not in found:
                found[other] = FedNode(other, node, index, found[node].distance_m + branch.length_m)
                waiting.append(other)
            elif found[node].branch != index and found[other].branch != index:
                closing.append(index)
    return Tree(list(found.values()), sorted(set(closing)))


def network_of(
    segment_id: str,
    supply: Supply,
    tree: Tree,
    branches: Sequence[Branch],
    names: Sequence[str],
    sites: Sequence[str],
    site_node: Sequence[int],
    site_phase: Sequence[int] | NDArray[np.int64],
) -> Network:
    """Lay out a tree as a network.

    Args:
        segment_id: names the network.
        supply: its transformer and the grid above.
        tree: from the low-voltage busbar outwards.
        branches: the lines that `tree` refers to.
        names: of the medium-voltage busbar, then of the tree's nodes in its order.
        sites: identifiers.
        site_node: the tree's node of each site.
        site_phase: 0, 1 or 2, or 3 for all three.
    """
    position = {each.node: index for index, each in enumerate(tree.nodes, 1)}
    outwards = tree.nodes[1:]
    lines = [branches[each.branch] for each in outwards]
    farthest = max(tree.nodes, key=lambda each: each.distance_m)
    return Network(
        segment_id=segment_id,
        transformer=supply.transformer,
        source_pu=supply.source_pu,
        nodes=tuple(names),
        line_from=np.array([position[each.parent] for each in outwards], dtype=np.int64),
        line_to=np.array([position[each.node] for each in outwards], dtype=np.int64),
        line_resistance=np.array([each.resistance for each in lines]),
        line_reactance=np.array([each.reactance for each in lines]),
        line_zero_resistance=np.array([each.zero_resistance for each in lines]),
        line_zero_reactance=np.array([each.zero_reactance for each in lines]),
        line_rated_a=np.array([each.rated_a for each in lines]),
        sites=tuple(sites),
        site_node=np.array([position[node] for node in site_node], dtype=np.int64),
        site_phase=np.array(site_phase, dtype=np.int64),
        compensator_nodes=(position[farthest.node],),
        medium_voltage_v=supply.medium_voltage_v,
        low_voltage_v=supply.low_voltage_v,
        short_circuit_va=supply.short_circuit_va,
        short_circuit_rx=supply.short_circuit_rx,
    )
