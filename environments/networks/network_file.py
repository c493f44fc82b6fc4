"""A network as a file of its own (JSON), exactly as it was read: the copy that a run keeps.

Other than pandapower's and OpenDSS's files it needs no interpretation, so that what was read once is the same
network for ever.
"""

import dataclasses
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import THREE_PHASE, Network, Transformer
from environments.networks.case import NetworkCase
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["is_network_json", "network_json", "read_network_json"]

FORMAT = "parity-mas network 1"
LINES = (
    *("line_from", "line_to", "line_resistance", "line_reactance"),
    *("line_zero_resistance", "line_zero_reactance", "line_rated_a"),
)
SITES = ("site_node", "site_phase")


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of `Network`, arrays as lists."""

    format: str
    segment_id: str
    transformer: Transformer
    source_pu: float
    nodes: tuple[str, ...]
    line_from: list[int]
    line_to: list[int]
    line_resistance: list[float]
    line_reactance: list[float]
    line_zero_resistance: list[float]
    line_zero_reactance: list[float]
    line_rated_a: list[float]
    sites: tuple[str, ...]
    site_node: list[int]
    site_phase: list[int]
    compensator_nodes: tuple[int, ...]
    medium_voltage_v: float
    low_voltage_v: float
    short_circuit_va: float
    short_circuit_rx: float
    site_three_phase_w: list[tuple[float, float]] | None = None


def network_json(network: Network) -> bytes:
    """Return a network as JSON; equal networks are equal bytes."""
    fields = {key: _plain(value) for key, value in dataclasses.asdict(network).items()}
    return msgspec.json.encode({"format": FORMAT, **fields}, order="deterministic")


def is_network_json(text: str) -> bool:
    """Return whether a document is what `network_json` writes, rather than pandapower's."""
    return f'"{FORMAT.rpartition(" ")[0]}' in text


def read_network_json(text: str, name: str) -> NetworkCase:
    """Return the network of a document that `network_json` wrote; its sites draw nothing.

    Args:
        text: the document.
        name: of the file, for what is wrong with it.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    try:
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.DecodeError as error:
        raise InvalidInput(problem(name, str(error), f"a file of the format {FORMAT}")) from None
    problems = _problems(document, name)
    if problems:
        raise InvalidInput(problems)
    fields = {
        each.name: _typed(each.type, getattr(document, each.name)) for each in dataclasses.fields(Network)
    }
    nothing = np.zeros((len(document.sites), 3))
    return NetworkCase(Network(**fields), nothing, nothing.copy())


def _problems(document: _Document, name: str) -> list[Problem]:
    found = []
    if document.format != FORMAT:
        found.append(problem(f"{name}.format", document.format, FORMAT))
    for keys, what, count in (
        (LINES, "lines, one to each node from the third on", len(document.nodes) - 2),
        (SITES, "sites", len(document.sites)),
    ):
        for key in keys:
            if len(getattr(document, key)) != count:
                found.append(problem(f"{name}.{key}", len(getattr(document, key)), f"{count} {what}"))
    if sorted(document.line_to) != list(range(2, len(document.nodes))):
        found.append(problem(f"{name}.line_to", "", "every node from the third on, once"))
    if any(start >= end for start, end in zip(document.line_from, document.line_to, strict=False)):
        found.append(problem(f"{name}.line_from", "", "a node before that of line_to: lines lead outwards"))
    for key in ("line_from", "site_node", "compensator_nodes"):
        wrong = [each for each in getattr(document, key) if not 1 <= each < len(document.nodes)]
        if wrong:
            found.append(
                problem(f"{name}.{key}", wrong[0], f"a low-voltage node, 1 to {len(document.nodes) - 1}")
            )
    wrong = [each for each in document.site_phase if not 0 <= each <= THREE_PHASE]
    if wrong:
        found.append(problem(f"{name}.site_phase", wrong[0], "0, 1, 2, or 3 for all three"))
    return found


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _typed(kind: Any, value: Any) -> Any:
    """Return a list as an array of the field's kind."""
    if kind == NDArray[np.int64]:
        return np.array(value, dtype=np.int64)
    if isinstance(value, list):
        return np.array(value, dtype=np.float64)
    return value
