"""What the DSO's smart marketplace holds beside the documents of the trade (D8.1 3.9.1, SPEC 4.10)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Address,
    Concept,
    Count,
    Duration,
    Energy,
    EpochSeconds,
    Identifier,
    IntervalStart,
    Label,
    PowerMagnitude,
    SignedEnergy,
    Ticks,
    require,
)

__all__ = [
    "AcquiredFlexibility",
    "AcquisitionState",
    "EmergencyCall",
    "FlexibilityContract",
    "MarketplaceState",
]


class AcquisitionState(StrEnum):
    """How far an order has come."""

    ORDERED = "ORDERED"
    """Said, and not answered yet."""
    ACCEPTED = "ACCEPTED"
    METERED = "METERED"
    DISPUTED = "DISPUTED"
    AGREED = "AGREED"
    PAID = "PAID"


class AcquiredFlexibility(Concept, frozen=True, kw_only=True, tag="parity:AcquiredFlexibility"):
    """What the DSO bought with an order, what was delivered of it, and what it came to (D8.1 3.9.1)."""

    order_reference: Identifier
    congestion_point: Identifier
    aggregator: Address
    start_s: IntervalStart
    end_s: EpochSeconds
    state: AcquisitionState
    contract_id: Label = ""
    offered_wh: SignedEnergy = 0
    """By the greatest option of the offer that it was ordered from."""
    ordered_wh: SignedEnergy
    delivered_wh: SignedEnergy = 0
    missing_wh: Energy = 0
    price_ticks: Ticks
    """For all that was ordered."""
    earned_ticks: Ticks = 0
    penalty_ticks: Ticks = 0
    dispute: Label = ""

    def __post_init__(self) -> None:
        require(self.end_s > self.start_s, "end_s", self.end_s, "later than start_s")


class EmergencyCall(Concept, frozen=True, kw_only=True, tag="parity:EmergencyCall"):
    """Direct load control in RED: what the DSO called for, and what is reported of it (D8.1 3.9.3).

    A call is for a limit of the segment's power or, under a contract, for a change of it.
    """

    signal_id: Identifier
    segment_id: Identifier
    start_s: EpochSeconds
    duration_s: Duration
    contract_id: Label = ""
    limit_w: PowerMagnitude | None = None
    ordered_wh: SignedEnergy = 0
    delivered_wh: SignedEnergy = 0
    reported: bool = False
    paid_ticks: Ticks = 0


class FlexibilityContract(Concept, frozen=True, kw_only=True, tag="parity:FlexibilityContract"):
    """A bilateral contract as the DSO holds it, and how often it was called upon (SPEC 2.7)."""

    contract_id: Identifier
    aggregator: Address
    segment_id: Label = ""
    """Empty: for any."""
    reserved_w: PowerMagnitude
    availability_ticks_per_kw_hour: Ticks = 0
    activation_ticks_per_kwh: Ticks = 0
    activations_a_day: Count = 0
    activated: Count = 0
    paid_ticks: Ticks = 0
    """For what was delivered in emergencies."""


class MarketplaceState(Concept, frozen=True, kw_only=True, tag="parity:MarketplaceState"):
    """What a congestion point's trade in a period adds up to (D8.1 3.9.1)."""

    congestion_point: Label
    """Empty: all of them."""
    start_s: EpochSeconds
    end_s: EpochSeconds
    requests: Count
    asked_wh: Energy
    """Of all requests; what was not covered is asked for again."""
    offers: Count
    orders: Count
    ordered_wh: Energy
    delivered_wh: Energy
    missing_wh: Energy
    earned_ticks: Ticks
    penalty_ticks: Ticks
    contracts: Annotated[list[Identifier], Meta(max_length=100)] = []
    emergency_calls: Count = 0
