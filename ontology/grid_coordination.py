"""DSO and TSO agree what external markets may activate in the DSO's segments (D8.1 3.9.2, TSO interface)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Concept,
    Identifier,
    IntervalStart,
    Label,
    Part,
    PowerMagnitude,
    require,
)
from ontology.market import ExternalProduct, SegmentShare

__all__ = ["ActivationLimit", "ActivationLimits", "ActivationPlan", "ActivationStage"]


class ActivationStage(StrEnum):
    """How firm a plan is: a bid at its gate, or a sale that is about to be called."""

    PREQUALIFICATION = "PREQUALIFICATION"
    """The segment must stay GREEN with it."""
    ACTIVATION = "ACTIVATION"
    """It was sold: only what would make the segment RED is cut."""


class ActivationPlan(Concept, frozen=True, kw_only=True, tag="parity:ActivationPlan"):
    """The TSO's side tells what it would activate in each segment and asks what may be (D8.1 3.9.2)."""

    bid_id: Identifier
    product: ExternalProduct
    stage: ActivationStage
    start_s: IntervalStart
    shares: Annotated[list[SegmentShare], Meta(min_length=1, max_length=1000)]


class ActivationLimit(Part, frozen=True, kw_only=True):
    """How far activations may change a segment's power in an interval, in W, and what limits them."""

    segment_id: Identifier
    less_max_w: PowerMagnitude
    more_max_w: PowerMagnitude
    reason: Label = ""


class ActivationLimits(Concept, frozen=True, kw_only=True, tag="parity:ActivationLimits"):
    """The DSO's answer to a plan: the cap of each segment, less what was granted already (D8.1 3.9.2)."""

    bid_id: Identifier
    start_s: IntervalStart
    limits: Annotated[list[ActivationLimit], Meta(min_length=1, max_length=1000)]

    def __post_init__(self) -> None:
        names = [each.segment_id for each in self.limits]
        require(len(set(names)) == len(names), "limits", names, "each segment once")
