"""The local energy market, its prices, and bids into external markets."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    MAX_MEMBERS,
    Concept,
    Count,
    Duration,
    Energy,
    EpochSeconds,
    Hash,
    Identifier,
    IntervalStart,
    Label,
    Part,
    PowerMagnitude,
    Real,
    SignedEnergy,
    Steps,
    Text,
    Ticks,
    Tokens,
    require,
    require_aligned,
)
from ontology.grid import GridState
from ontology.measurements import IntervalReading

__all__ = [
    "GREEN_PARAMETERS",
    "YELLOW_PARAMETERS",
    "ExternalActivation",
    "ExternalBid",
    "ExternalBidResult",
    "ExternalBidWithdrawal",
    "ExternalDelivery",
    "ExternalProduct",
    "ExternalSettlement",
    "FlowRule",
    "Lem",
    "LemDataset",
    "LemOrder",
    "LemParameters",
    "LemResult",
    "LemRow",
    "LemState",
    "Mechanism",
    "PriceProfile",
    "ReserveAssignment",
    "ReserveOffer",
    "SegmentShare",
]


class LemState(StrEnum):
    """Where a local energy market stands (SUPSI lem)."""

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    SOLVED = "SOLVED"
    VOID = "VOID"


Partners = Annotated[list[Identifier], Meta(max_length=100)]


class ExternalProduct(StrEnum):
    """What can be sold outside the community (SPEC 2.6)."""

    WS_INTRADAY = "WS_INTRADAY"
    FCR_D_UP = "FCR_D_UP"
    FCR_D_DOWN = "FCR_D_DOWN"
    MFRR = "MFRR"


class Mechanism(StrEnum):
    """How a local energy market finds its prices (SPEC 2.2 and its alternatives)."""

    COMMUNITY = "COMMUNITY"
    """One price for buyers and one for sellers, by the share that is traded locally (SUPSI)."""
    MID_MARKET = "MID_MARKET"
    """Local energy at the middle of the usual prices (Long et al. 2017)."""
    SUPPLY_DEMAND = "SUPPLY_DEMAND"
    """Prices by the ratio of supply to demand (Liu et al. 2017)."""
    PAY_AS_BID = "PAY_AS_BID"
    """A double auction in which each trade has the price of its bid."""
    PAY_AS_CLEAR = "PAY_AS_CLEAR"
    """A double auction with one price for all trades."""

    @property
    def is_auction(self) -> bool:
        """Whether limits of price are asked for."""
        return self in (Mechanism.PAY_AS_BID, Mechanism.PAY_AS_CLEAR)


class FlowRule(StrEnum):
    """What each kWh in the direction of the community's net flow is charged (SPEC 2.2, t_flow)."""

    COMMUNITY = "COMMUNITY"
    """beta · E, as published: it grows with the community (SUPSI)."""
    PER_PLAYER = "PER_PLAYER"
    """beta · E / N: what the mean household would be charged if it were alone (SPEC 2.2, scaling of beta)."""


class LemParameters(Concept, frozen=True, kw_only=True, tag="parity:LemParameters"):
    """The tariff of a local energy market (SUPSI defaultLemPars: psBAU <= psP2P <= pbP2P <= pbBAU)."""

    case: GridState
    buy_usual_ticks_per_kwh: Ticks
    sell_usual_ticks_per_kwh: Ticks
    buy_peer_ticks_per_kwh: Ticks
    sell_peer_ticks_per_kwh: Ticks
    beta_ticks_per_kwh2: Ticks = 0
    mechanism: Mechanism = Mechanism.COMMUNITY
    flow_rule: FlowRule = FlowRule.COMMUNITY

    def __post_init__(self) -> None:
        prices = (
            self.sell_usual_ticks_per_kwh,
            self.sell_peer_ticks_per_kwh,
            self.buy_peer_ticks_per_kwh,
            self.buy_usual_ticks_per_kwh,
        )
        require(
            prices[0] <= prices[1] <= prices[2] <= prices[3],
            "sell_usual_ticks_per_kwh",
            prices,
            "sell usual <= sell peer <= buy peer <= buy usual",
        )


GREEN_PARAMETERS = LemParameters(
    case=GridState.GREEN,
    buy_usual_ticks_per_kwh=2000,
    sell_usual_ticks_per_kwh=650,
    buy_peer_ticks_per_kwh=1400,
    sell_peer_ticks_per_kwh=800,
    beta_ticks_per_kwh2=0,
)
"""20.0 / 6.5 / 14.0 / 8.0 ct/kWh, beta 0 (SPEC 2.2)."""

YELLOW_PARAMETERS = LemParameters(
    case=GridState.YELLOW,
    buy_usual_ticks_per_kwh=2400,
    sell_usual_ticks_per_kwh=630,
    buy_peer_ticks_per_kwh=1400,
    sell_peer_ticks_per_kwh=800,
    beta_ticks_per_kwh2=250,
)
"""24.0 / 6.3 / 14.0 / 8.0 ct/kWh, beta 0.025 per kWh² (SPEC 2.2)."""


class Lem(Concept, frozen=True, kw_only=True, tag="parity:Lem"):
    """A local energy market of one segment in one interval (SUPSI lem)."""

    start_s: IntervalStart
    end_s: IntervalStart
    segment_id: Identifier
    aggregator: Identifier
    state: LemState
    grid_state: GridState
    parameters: LemParameters
    players: Annotated[list[Identifier], Meta(max_length=MAX_MEMBERS)]
    absent: Annotated[list[Identifier], Meta(max_length=MAX_MEMBERS)] = []
    """Sites of the segment that take no part this time."""

    def __post_init__(self) -> None:
        require(self.end_s > self.start_s, "end_s", self.end_s, "later than start_s")


class LemOrder(Concept, frozen=True, kw_only=True, tag="parity:LemOrder"):
    """What a site would pay and ask for local energy in an interval, said before it is metered.

    In a double auction, whatever the site then consumes is bid for, and whatever it feeds in is offered, at
    these limits; it cannot know others' (a sealed-bid call auction).
    """

    subject: Identifier
    start_s: IntervalStart
    buy_limit_ticks_per_kwh: Ticks
    sell_limit_ticks_per_kwh: Ticks
    partners: Partners = []
    """Sites from which it would rather buy than from others, where their price allows."""


class LemDataset(Concept, frozen=True, kw_only=True, tag="parity:LemDataset"):
    """What a player brings to the market under its pseudonym: reading and forecast (SUPSI lemDataset)."""

    player: Identifier
    start_s: IntervalStart
    reading: IntervalReading
    forecast_start_s: EpochSeconds
    consumption_w: Annotated[list[PowerMagnitude], Steps]
    production_w: Annotated[list[PowerMagnitude], Steps]
    source_hash: Label
    buy_limit_ticks_per_kwh: Ticks | None = None
    sell_limit_ticks_per_kwh: Ticks | None = None
    partners: Partners = []
    commitment: Hash | None = None
    """A salted hash of all the rest, by which the player can show later what it brought."""

    def __post_init__(self) -> None:
        require_aligned(self, "consumption_w", "production_w")


class LemRow(Part, frozen=True, kw_only=True):
    """What one player consumed, produced and owes in an interval, in tokens (SPEC 2.2)."""

    player: Identifier
    consumed_wh: Energy
    produced_wh: Energy
    tokens_consumption: Tokens
    tokens_production: Tokens
    tokens_flow: Tokens
    tokens_net: Tokens
    estimated: bool = False
    tokens_corrected: Tokens = 0
    """By how much a correction changed what was settled; 0 in a first settlement."""


class LemResult(Concept, frozen=True, kw_only=True, tag="parity:LemResult"):
    """How an interval was cleared: prices for display and a row a player (SPEC 2.2)."""

    start_s: IntervalStart
    segment_id: Identifier
    grid_state: GridState
    consumed_wh: Energy
    produced_wh: Energy
    buy_price_ticks_per_kwh: Real
    sell_price_ticks_per_kwh: Real
    rows: Annotated[list[LemRow], Meta(max_length=MAX_MEMBERS)]
    result_hash: Label
    traded_wh: Energy | None = None
    """Energy that changed hands locally, where an auction decided it."""
    players: Count = 0
    """Among how many the flow charge was shared; 0 where none was."""
    flow_ticks_per_kwh: Real = 0.0
    """What a kWh in the direction of the community's net flow was charged, for display."""
    correction: Count = 0
    """The correction after which it stands like this; 0 as it was settled first."""


class PriceProfile(Concept, frozen=True, kw_only=True, tag="oadr:PriceProfile"):
    """Prices ahead in equal steps, and the energies behind them (OpenADR PRICE, EXPORT_PRICE)."""

    start_s: EpochSeconds
    step_s: Duration = 900
    buy_ticks_per_kwh: Annotated[list[Ticks], Steps]
    sell_ticks_per_kwh: Annotated[list[Ticks], Steps]
    basis: Label
    consumed_wh: Annotated[list[Energy], Steps] = []
    produced_wh: Annotated[list[Energy], Steps] = []
    players: Count = 0
    """Whose energies these are; 0 where that is not said."""

    def __post_init__(self) -> None:
        require_aligned(
            self, "buy_ticks_per_kwh", "sell_ticks_per_kwh", optional=("consumed_wh", "produced_wh")
        )


class SegmentShare(Part, frozen=True, kw_only=True):
    """The part of a sale outside that one segment is to deliver; less consumption is negative."""

    segment_id: Identifier
    energy_wh: SignedEnergy


class ExternalBid(Concept, frozen=True, kw_only=True, tag="parity:ExternalBid"):
    """An offer of the aggregator to a wholesale or ancillary-services market (SPEC 2.6).

    What is sold is negative. Of a reserve it is what would be given if all were called for the whole
    interval, and the price is that of a kW held ready for an hour.
    """

    bid_id: Identifier
    product: ExternalProduct
    start_s: IntervalStart
    energy_wh: SignedEnergy
    price_ticks_per_kwh: Ticks
    shares: Annotated[list[SegmentShare], Meta(max_length=1000)] = []
    """Where it is to be delivered; empty is anywhere."""


class ExternalBidResult(Concept, frozen=True, kw_only=True, tag="parity:ExternalBidResult"):
    """What an external market made of a bid (SPEC 2.6)."""

    bid_id: Identifier
    accepted: bool
    price_ticks_per_kwh: Ticks
    reason: Text = ""
    energy_wh: SignedEnergy | None = None
    """What was taken of it, where the DSO's limits leave less than was bid."""
    shares: Annotated[list[SegmentShare], Meta(max_length=1000)] = []
    """Then where it is to be delivered."""


class ExternalBidWithdrawal(Concept, frozen=True, kw_only=True, tag="parity:ExternalBidWithdrawal"):
    """A bid is taken back, as when the traffic light leaves green (SPEC 2.6)."""

    bid_id: Identifier


class ExternalActivation(Concept, frozen=True, kw_only=True, tag="parity:ExternalActivation"):
    """The system operator calls for energy of a reserve that it holds (SPEC 2.6, mFRR)."""

    bid_id: Identifier
    start_s: IntervalStart
    energy_wh: SignedEnergy
    shares: Annotated[list[SegmentShare], Meta(max_length=1000)] = []


class ExternalDelivery(Concept, frozen=True, kw_only=True, tag="parity:ExternalDelivery"):
    """What the aggregator's members delivered of a sale in its interval (SPEC 2.6)."""

    bid_id: Identifier
    start_s: IntervalStart
    delivered_wh: SignedEnergy


class ExternalSettlement(Concept, frozen=True, kw_only=True, tag="parity:ExternalSettlement"):
    """What a sale comes to: for capacity and energy, less what the imbalance costs (SPEC 2.6)."""

    bid_id: Identifier
    start_s: IntervalStart
    ordered_wh: SignedEnergy
    delivered_wh: SignedEnergy
    capacity_ticks: Ticks
    energy_ticks: Ticks
    imbalance_ticks: Ticks


class ReserveOffer(Concept, frozen=True, kw_only=True, tag="parity:ReserveOffer"):
    """What a battery could hold ready for the frequency in an interval (SPEC 4.7, FCR-D)."""

    subject: Identifier
    start_s: IntervalStart
    up_w: PowerMagnitude
    down_w: PowerMagnitude


class ReserveAssignment(Concept, frozen=True, kw_only=True, tag="parity:ReserveAssignment"):
    """What a battery is to hold ready for the frequency in an interval (SPEC 4.7, FCR-D)."""

    bid_id: Identifier
    subject: Identifier
    start_s: IntervalStart
    up_w: PowerMagnitude
    down_w: PowerMagnitude
