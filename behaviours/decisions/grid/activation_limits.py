"""How far external markets may change a segment's power without harm to the grid (D8.1 3.9.2, DSO–TSO)."""

from typing import NamedTuple

from behaviours.decisions.grid.traffic_light import STANDARD, Strain, Thresholds, severity
from ontology.grid import GridState
from ontology.grid_coordination import ActivationStage

__all__ = ["Room", "activation_room"]

LEAST_FLOW = 0.05
"""Below this share of the rating a flow says nothing of how the loading grows with it."""


class Room(NamedTuple):
    """By how many W a segment may draw less, or more, than is foreseen; and why it may not at all."""

    less_w: int
    more_w: int
    reason: str = ""


NONE_IN_STRESS = "the segment is foreseen not to be GREEN"


def activation_room(
    strain: Strain,
    net_w: int,
    rated_va: int,
    stage: ActivationStage,
    thresholds: Thresholds = STANDARD,
) -> Room:
    """Return by how much activations may change a segment's power in an interval.

    Before a sale the segment must stay GREEN, and one that is not has no room at all. What is sold already
    is cut only as far as it would make the segment RED. Loading and voltage count as proportional to the net
    power, which is what is known of a flow that was solved once.

    Args:
        strain: as it is foreseen without the activation.
        net_w: what the segment's sites draw together then; negative is giving.
        rated_va: of the transformer.
        stage: a bid at its gate, or a sale that is called.
        thresholds: of the traffic light.
    """
    before = stage is ActivationStage.PREQUALIFICATION
    if before and severity(strain, thresholds) is not GridState.GREEN:
        return Room(0, 0, NONE_IN_STRESS)
    loading = thresholds.loading_yellow if before else thresholds.loading_red
    low = thresholds.low_yellow_pu if before else thresholds.low_red_pu
    high = thresholds.high_yellow_pu if before else thresholds.high_red_pu
    most_w = loading * _carried_w(strain.loading, net_w, rated_va)
    more_w, less_w = most_w - net_w, most_w + net_w
    if net_w > 0 and strain.voltage_min_pu < 1:
        more_w = min(more_w, net_w * (1 - low) / (1 - strain.voltage_min_pu) - net_w)
    if net_w < 0 and strain.voltage_max_pu > 1:
        less_w = min(less_w, -net_w * (high - 1) / (strain.voltage_max_pu - 1) + net_w)
    return Room(max(0, int(less_w)), max(0, int(more_w)))


def _carried_w(loading: float, net_w: int, rated_va: int) -> float:
    """Return the power in W at which the hardest used element is fully loaded, at most the rating."""
    if abs(net_w) < LEAST_FLOW * rated_va or loading <= 0:
        return float(rated_va)
    return min(float(rated_va), abs(net_w) / loading)
