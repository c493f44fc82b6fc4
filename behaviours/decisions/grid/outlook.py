"""The outlook of a segment: how hard it is expected to be used, by the interval, and where it is worst."""

from collections.abc import Sequence

import numpy as np

from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult
from behaviours.decisions.grid.traffic_light import Strain, Thresholds, causes, severity
from ontology.grid import GridOutlook

__all__ = ["UNSOLVABLE", "outlook_of", "places_of", "strains_of"]

UNSOLVABLE = Strain(loading=9.99, voltage_min_pu=0.5, voltage_max_pu=1.5, unbalance=1.0)
"""What a load that the feeder cannot carry counts as: the power flow has no solution."""


def strains_of(result: FlowResult) -> list[Strain]:
    """Return how hard a feeder is used at each instant of a power flow."""
    rows = zip(
        result.loading.tolist(),
        result.voltage_min_pu.tolist(),
        result.voltage_max_pu.tolist(),
        result.unbalance_max.tolist(),
        strict=True,
    )
    return [Strain(*row) for row in rows]


def outlook_of(
    segment_id: str, strains: Sequence[Strain], thresholds: Thresholds, start_s: int, now_s: int
) -> GridOutlook:
    """Return the outlook of a segment from its foreseen strains, one an interval from a start on."""
    return GridOutlook(
        segment_id=segment_id,
        start_s=start_s,
        published_at_s=now_s,
        states=[severity(each, thresholds) for each in strains],
        causes=[causes(each, thresholds) for each in strains],
        loading=[round(each.loading, 3) for each in strains],
        voltage_min_pu=[round(each.voltage_min_pu, 4) for each in strains],
        voltage_max_pu=[round(each.voltage_max_pu, 4) for each in strains],
        unbalance=[round(each.unbalance, 4) for each in strains],
    )


def places_of(network: Network, flow: FlowResult, instant: int, named: Sequence[str]) -> list[str]:
    """Return the node, or the end of the line, where each of some causes is worst at an instant."""
    return [_place_of(network, flow, instant, cause) for cause in named]


def _place_of(network: Network, flow: FlowResult, instant: int, cause: str) -> str:
    low_voltage = flow.voltage_pu[instant, 1:]
    match cause:
        case "loading":
            lines = flow.line_loading[instant]
            if not len(lines) or flow.transformer_loading[instant] >= lines.max():
                return f"{network.segment_id}-transformer"
            return network.nodes[int(network.line_to[int(lines.argmax())])]
        case "voltage-low":
            return network.nodes[1 + int(low_voltage.min(axis=1).argmin())]
        case "voltage-high":
            return network.nodes[1 + int(low_voltage.max(axis=1).argmax())]
        case _:
            return network.nodes[1 + int(np.argmax(flow.unbalance[instant, 1:]))]
