"""The grid as a map: each segment's tree from its transformer outwards, drawn on the server as plain SVG."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from litestar import Request

from behaviours.decisions.grid.network import Network
from environments.http.console.facts import facts
from environments.http.services import services_of
from ontology.grid import GridSegment

__all__ = ["MapNode", "Mark", "SegmentTree", "drawn", "trees"]

STEP_X, STEP_Y, MARGIN, LABEL = 64, 22, 16, 190
STYLE = """
.map { font: 12px system-ui, sans-serif; color: #1b2733 }
.map text { fill: currentColor }
.map .line { stroke: currentColor; stroke-width: 1.2; fill: none; opacity: .55 }
.map circle { fill: #8a97a3; stroke: none } .map .source { fill: #2f7ed8 }
.map .chosen { fill: #2f9e5b } .map .good { fill: #2f9e5b } .map .strained { fill: #d9822b }
.map .wrong { fill: #c0392b } .map .unit { stroke: #a24bb5; stroke-width: 3 }
@media (prefers-color-scheme: dark) { .map { color: #dbe4ec } }
"""


class MapNode(NamedTuple):
    """A node of a segment: what feeds it (its place in the list, -1 for the first), and the sites at it."""

    name: str
    parent: int
    sites: tuple[str, ...] = ()


class SegmentTree(NamedTuple):
    """A segment as a tree; a node stands after the one that feeds it."""

    segment_id: str
    rated_va: int
    nodes: tuple[MapNode, ...]
    units: tuple[str, ...] = ()
    """Nodes with a D-STATCOM."""


class Mark(NamedTuple):
    """What is said of a node: a class of the drawing (`chosen`, `good`, `strained`, `wrong`), and words."""

    kind: str
    words: str = ""


async def trees(request: Request[Any, Any, Any]) -> list[SegmentTree]:
    """Return the segments: with their lines where the network is known here, otherwise as stars."""
    networks: Sequence[Network] = services_of(request).more.get("networks") or ()
    if networks:
        return [_of_network(each) for each in networks]
    return [_of_segment(each) for each in await facts(request, GridSegment)]


def drawn(tree: SegmentTree, marks: Mapping[str, Mark], title: str) -> str:
    """Return a segment as an SVG document, with marks at nodes and sites by name.

    Its branches lie below each other; a table beside it should say the same in words.
    """
    rows, depths = _rows(tree.nodes), _depths(tree.nodes)
    width = MARGIN * 2 + STEP_X * max(depths, default=0) + LABEL
    height = MARGIN * 2 + STEP_Y * (max(rows, default=0) + 1)
    places = [
        (MARGIN + STEP_X * d, MARGIN + STEP_Y * r + STEP_Y // 2) for d, r in zip(depths, rows, strict=True)
    ]
    lines = [_line(places[n.parent], places[i]) for i, n in enumerate(tree.nodes) if n.parent >= 0]
    dots = [_dot(tree, node, place, marks) for node, place in zip(tree.nodes, places, strict=True)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="map" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"{''.join(lines)}{''.join(dots)}</svg>"
    )


def _of_network(network: Network) -> SegmentTree:
    sites: dict[int, list[str]] = defaultdict(list)
    for site, node in zip(network.sites, network.site_node, strict=True):
        sites[int(node)].append(site)
    parents = {int(end): int(start) for start, end in zip(network.line_from, network.line_to, strict=True)}
    parents[1] = 0
    order = _outwards(parents)
    at = {node: place for place, node in enumerate(order)}
    nodes = tuple(
        MapNode(network.nodes[node], at[parents[node]] if node in parents else -1, tuple(sites[node]))
        for node in order
    )
    units = tuple(network.nodes[node] for node in network.compensator_nodes)
    return SegmentTree(network.segment_id, network.transformer.rated_va, nodes, units)


def _outwards(parents: Mapping[int, int]) -> list[int]:
    """Return nodes branch by branch, from node 0 on."""
    children: dict[int, list[int]] = defaultdict(list)
    for node, parent in sorted(parents.items()):
        children[parent].append(node)
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += reversed(children[node])
    return order


def _of_segment(segment: GridSegment) -> SegmentTree:
    players = [MapNode(player, 0, (player,)) for player in segment.players]
    return SegmentTree(segment.segment_id, segment.rated_va, (MapNode(segment.transformer_id, -1), *players))


def _depths(nodes: Sequence[MapNode]) -> list[int]:
    depths: list[int] = []
    for node in nodes:
        depths.append(0 if node.parent < 0 else depths[node.parent] + 1)
    return depths


def _rows(nodes: Sequence[MapNode]) -> list[int]:
    """Return each node's row: that of its first branch; leaves count up."""
    fed = {node.parent for node in nodes}
    rows, leaves = [-1] * len(nodes), 0
    for place in range(len(nodes)):
        if place not in fed:
            rows[place], leaves = leaves, leaves + 1
    for place in reversed(range(len(nodes))):
        parent = nodes[place].parent
        if parent >= 0:
            rows[parent] = rows[place] if rows[parent] < 0 else min(rows[parent], rows[place])
    return rows


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    return f'<path class="line" d="M{start[0]} {start[1]}V{end[1]}H{end[0]}"/>'


def _dot(tree: SegmentTree, node: MapNode, place: tuple[int, int], marks: Mapping[str, Mark]) -> str:
    found = [marks[name] for name in (node.name, *node.sites) if name in marks]
    kinds = [mark.kind for mark in found] or (["source"] if node.parent < 0 else [])
    kinds += ["unit"] if node.name in tree.units else []
    label = _label(node, found)
    words = f"{node.name}{': ' if found else ''}{'; '.join(mark.words for mark in found if mark.words)}"
    return (
        f'<g><title>{escape(words)}</title><circle class="{" ".join(kinds)}" cx="{place[0]}" cy="{place[1]}"'
        f' r="{6 if found or node.parent < 0 else 4}"/>'
        f"{_text(place, label, is_root=node.parent < 0) if label else ''}</g>"
    )


def _label(node: MapNode, marks: Iterable[Mark]) -> str:
    names = [", ".join(node.sites) if node.sites else node.name if node.parent < 0 else ""]
    return " ".join(part for part in (*names, *(mark.words for mark in marks)) if part)


def _text(place: tuple[int, int], words: str, *, is_root: bool) -> str:
    """Return a label beside its node, or above the first, whose line goes on to the right."""
    if is_root:
        return f'<text x="{place[0] - 6}" y="{place[1] - 9}">{escape(words)}</text>'
    return f'<text x="{place[0] + 10}" y="{place[1] + 4}">{escape(words)}</text>'
