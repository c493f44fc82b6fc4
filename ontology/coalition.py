"""What agents say while they form a virtual power plant and work in it (SPEC 5.3)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Address,
    Concept,
    Count,
    Duration,
    EpochSeconds,
    Fraction,
    Identifier,
    IntervalStart,
    Label,
    Part,
    Power,
    PowerMagnitude,
    SignedEnergy,
    Steps,
    Ticks,
    require,
)

__all__ = [
    "MAX_GROUP",
    "CoalitionBid",
    "CoalitionInvitation",
    "DeliveryReport",
    "FlexProduct",
    "MemberPayoff",
    "ProductKind",
    "ScheduleCommitment",
    "SelectionReport",
    "SelectionRun",
    "SelectionTurn",
    "SelectionUpdate",
    "VppPayoff",
]

MAX_GROUP = 40
"""Most members of one negotiation: groups of about 30, heads above (SPEC 5.4)."""
MAX_GROUPS = 60

_Price = Annotated[int, Meta(ge=0, le=2**31 - 1, description="10⁻⁴ of the currency per kWh")]
_Members = Meta(max_length=1000)
_Packed = Annotated[str, Meta(max_length=44_000, description="packed integers, base 64")]


class ProductKind(StrEnum):
    """Where the demand for a product comes from."""

    FLEX_REQUEST = "FLEX_REQUEST"
    EXTERNAL = "EXTERNAL"
    DEMAND_RESPONSE = "DEMAND_RESPONSE"
    LOCAL_MARKET = "LOCAL_MARKET"


class FlexProduct(Concept, frozen=True, kw_only=True, tag="parity:FlexProduct"):
    """A deviation from what its deliverers have planned, wanted step by step (SPEC 5.3).

    Negative is up-regulation: consuming less or giving more. Nobody gets more than
    `price_ticks_per_kwh` of delivered energy; below `minimum_w` on average it is worth nothing.
    """

    product_id: Identifier
    kind: ProductKind
    segment_id: Label = ""
    start_s: IntervalStart
    step_s: Duration = 900
    target_w: Annotated[list[Power], Meta(min_length=1, max_length=200)]
    minimum_w: PowerMagnitude = 0
    tolerance: Fraction = 0.05
    price_ticks_per_kwh: _Price
    deadline_s: EpochSeconds
    round: Annotated[int, Meta(ge=1, le=10)] = 1

    def __post_init__(self) -> None:
        require(any(self.target_w), "target_w", self.target_w, "some power in some step")
        require(self.deadline_s <= self.start_s, "deadline_s", self.deadline_s, "not after start_s")


class CoalitionBid(Concept, frozen=True, kw_only=True, tag="parity:CoalitionBid"):
    """How far one could deviate towards a product, at what price (FIPA propose).

    `capacity_w` are magnitudes in the direction of the target by blocks of the product's period,
    quantised, so that no schedule can be read from them.
    """

    product_id: Identifier
    capacity_w: Annotated[list[PowerMagnitude], Meta(min_length=1, max_length=24)]
    cost_ticks_per_kwh: _Price
    reliability: Fraction


class CoalitionInvitation(Concept, frozen=True, kw_only=True, tag="parity:CoalitionInvitation"):
    """Takes a bidder into a virtual power plant and its negotiation (FIPA accept-proposal).

    `group` are the addresses that negotiate with each other, in the order that numbers them; the first
    is the head. `heads` are those of all groups, in the order of their turns. `round` counts the
    negotiations of a plant: a later one replaces what was committed before.
    """

    vpp_id: Identifier
    product: FlexProduct
    group: Annotated[list[Address], Meta(min_length=1, max_length=MAX_GROUP)]
    heads: Annotated[list[Address], Meta(min_length=1, max_length=MAX_GROUPS)]
    round: Annotated[int, Meta(ge=1, le=100)] = 1
    settle_by_s: EpochSeconds

    def __post_init__(self) -> None:
        require(len(set(self.group)) == len(self.group), "group", self.group, "each address once")
        require(self.group[0] in self.heads, "heads", self.heads, f"the group's head, {self.group[0]}")


class SelectionTurn(Concept, frozen=True, kw_only=True, tag="parity:SelectionTurn"):
    """Passes the turn from head to head, with what each group adds up to so far (SPEC 5.3 C, 5.4).

    `totals_w` has a series for each group; after the last turn it is told to all heads as `ended`.
    """

    negotiation: Identifier
    turn: Count
    totals_w: Annotated[list[Annotated[list[Power], Steps]], Meta(max_length=MAX_GROUPS)]
    ended: bool = False


class SelectionRun(Concept, frozen=True, kw_only=True, tag="parity:SelectionRun"):
    """The head begins a run of its group's negotiation, or ends the negotiation (SPEC 5.3 C).

    `absent` are the numbers of members that do not answer and count no more.
    """

    negotiation: Identifier
    run: Count
    target_w: Annotated[list[Power], Steps]
    absent: Annotated[list[Count], Meta(max_length=MAX_GROUP)] = []
    ended: bool = False


class SelectionUpdate(Concept, frozen=True, kw_only=True, tag="parity:SelectionUpdate"):
    """What changed in a member's working memory: newer choices and the best candidate (COHDA)."""

    negotiation: Identifier
    packed: _Packed


class SelectionReport(Concept, frozen=True, kw_only=True, tag="parity:SelectionReport"):
    """A member that has nothing to do tells its head how many updates it sent and read (SPEC 5.3 C)."""

    negotiation: Identifier
    packed: _Packed


class ScheduleCommitment(Concept, frozen=True, kw_only=True, tag="parity:ScheduleCommitment"):
    """Binds a member to the deviation that was chosen for it; signed (SPEC 5.3 D)."""

    vpp_id: Identifier
    product_id: Identifier
    member: Address
    start_s: IntervalStart
    step_s: Duration = 900
    schedule_w: Annotated[list[Power], Steps]
    cost_ticks: Ticks
    account: Label = ""
    """Where the member is paid: its pseudonym on the ledger."""


class DeliveryReport(Concept, frozen=True, kw_only=True, tag="parity:DeliveryReport"):
    """By how much a member has deviated in an interval, as its devices' meters say (SPEC 5.3 E)."""

    vpp_id: Identifier
    member: Address
    start_s: IntervalStart
    step_s: Duration = 900
    committed_wh: SignedEnergy
    delivered_wh: SignedEnergy


class MemberPayoff(Part, frozen=True, kw_only=True):
    """What a member gets: its price for what it delivered, and its share of what was left over."""

    member: Address
    committed_wh: SignedEnergy
    delivered_wh: SignedEnergy
    accuracy: Fraction
    cost_ticks: Ticks
    surplus_ticks: Ticks


class VppPayoff(Concept, frozen=True, kw_only=True, tag="parity:VppPayoff"):
    """How the price of a product is shared out: the payoffs sum to what its buyer pays (SPEC 5.3 D)."""

    vpp_id: Identifier
    product_id: Identifier
    paid_ticks: Ticks
    initiator_ticks: Ticks = 0
    members: Annotated[list[MemberPayoff], _Members]

    def __post_init__(self) -> None:
        total = self.initiator_ticks + sum(each.cost_ticks + each.surplus_ticks for each in self.members)
        require(total == self.paid_ticks, "paid_ticks", self.paid_ticks, f"the sum of payoffs, {total}")
