"""Explicit trade of flexibility between aggregator and DSO, named as in UFTP (Shapeshifter)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import (
    Concept,
    Count,
    Duration,
    EpochSeconds,
    Identifier,
    IntervalStart,
    Label,
    Part,
    Power,
    PowerMagnitude,
    Steps,
    Text,
    Ticks,
    require,
)

__all__ = [
    "DPrognosis",
    "DRSignal",
    "DemandResponseReport",
    "Disposition",
    "FlexMetering",
    "FlexOffer",
    "FlexOfferRevocation",
    "FlexOrder",
    "FlexRequest",
    "FlexReservation",
    "FlexResponse",
    "FlexSettlement",
    "FlexSettlementResponse",
    "MeteredInterval",
    "OfferOption",
    "OrderSettlement",
    "OrderStatus",
    "OrderVerdict",
    "PowerInterval",
    "RequestInterval",
    "ResponseResult",
    "SettlementInterval",
    "TradeDocument",
]

Activation = Annotated[float, Meta(ge=0.01, le=1)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA time zone")]
MAX_TRADES = 100
"""Most options of an offer, and most orders of a settlement, in one letter."""


class TradeDocument(StrEnum):
    """The documents of a trade that are answered with a response (UFTP PayloadMessage)."""

    D_PROGNOSIS = "DPrognosis"
    FLEX_REQUEST = "FlexRequest"
    FLEX_OFFER = "FlexOffer"
    FLEX_OFFER_REVOCATION = "FlexOfferRevocation"
    FLEX_ORDER = "FlexOrder"
    FLEX_RESERVATION = "FlexReservation"
    METERING = "Metering"


class ResponseResult(StrEnum):
    """Whether a document is taken (UFTP AcceptedRejected)."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class OrderVerdict(StrEnum):
    """What the aggregator says of the settlement of an order (UFTP AcceptedDisputed)."""

    ACCEPTED = "Accepted"
    DISPUTED = "Disputed"


class Disposition(StrEnum):
    """Whether power is wanted or merely left free in an interval (UFTP)."""

    REQUESTED = "Requested"
    AVAILABLE = "Available"


class PowerInterval(Part, frozen=True, kw_only=True):
    """A power over one or more intervals (UFTP ISP)."""

    start_s: IntervalStart
    duration_s: Duration = 900
    power_w: Power


class RequestInterval(Part, frozen=True, kw_only=True):
    """How far power shall deviate from the baseline, and whether it is wanted or free (UFTP ISP)."""

    disposition: Disposition
    power_min_w: Power
    power_max_w: Power
    start_s: IntervalStart
    duration_s: Duration = 900

    def __post_init__(self) -> None:
        require(self.power_min_w <= self.power_max_w, "power_min_w", self.power_min_w, "at most power_max_w")


class OfferOption(Part, frozen=True, kw_only=True):
    """One of the exclusive ways to deliver an offer, priced as a whole (UFTP OfferOption)."""

    option_reference: Identifier
    price_ticks: Ticks
    activation_min: Activation = 1.0
    intervals: Annotated[list[PowerInterval], Steps]


class SettlementInterval(Part, frozen=True, kw_only=True):
    """What was expected, ordered and delivered in an interval (UFTP ISP)."""

    start_s: IntervalStart
    duration_s: Duration = 900
    baseline_w: Power
    ordered_w: Power
    actual_w: Power
    delivered_w: Power
    deficiency_w: PowerMagnitude = 0


class MeteredInterval(Part, frozen=True, kw_only=True):
    """The power that was expected without any order, where it is known, and the power that was measured."""

    start_s: IntervalStart
    duration_s: Duration = 900
    baseline_w: Power | None = None
    actual_w: Power


class OrderStatus(Part, frozen=True, kw_only=True):
    """What the aggregator says of the settlement of one order (UFTP FlexOrderSettlementStatus)."""

    order_reference: Identifier
    verdict: OrderVerdict
    reason: Text = ""

    def __post_init__(self) -> None:
        stated = self.verdict is OrderVerdict.ACCEPTED or self.reason != ""
        require(stated, "reason", self.reason, "why, when an order's settlement is disputed")


class OrderSettlement(Part, frozen=True, kw_only=True):
    """What is paid for one order (UFTP FlexOrderSettlement)."""

    order_reference: Identifier
    congestion_point: Label = ""
    contract_id: Label = ""
    baseline_reference: Label = ""
    price_ticks: Ticks
    penalty_ticks: Ticks
    net_ticks: Ticks
    intervals: Annotated[list[SettlementInterval], Steps]


def _require_period(start_s: int, end_s: int) -> None:
    require(end_s > start_s, "period_end_s", end_s, "later than period_start_s")


def _require_unique_starts(
    intervals: list[PowerInterval] | list[RequestInterval] | list[MeteredInterval], path: str
) -> None:
    starts = [each.start_s for each in intervals]
    require(len(set(starts)) == len(starts), path, starts, "each interval once")


class DPrognosis(Concept, frozen=True, kw_only=True, tag="uftp:DPrognosis"):
    """The aggregator's baseline at a congestion point (UFTP D-Prognosis)."""

    period_start_s: IntervalStart
    period_end_s: IntervalStart
    time_zone: TimeZone = "UTC"
    congestion_point: Identifier
    revision: Count
    intervals: Annotated[list[PowerInterval], Steps]

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)
        _require_unique_starts(self.intervals, "intervals")


class FlexRequest(Concept, frozen=True, kw_only=True, tag="uftp:FlexRequest"):
    """The DSO asks for flexibility at a congestion point (UFTP FlexRequest)."""

    period_start_s: IntervalStart
    period_end_s: IntervalStart
    time_zone: TimeZone = "UTC"
    congestion_point: Identifier
    revision: Count
    expiration_s: EpochSeconds
    intervals: Annotated[list[RequestInterval], Steps]
    contract_id: Label = ""
    service_type: Label = ""

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)
        _require_unique_starts(self.intervals, "intervals")
        requested = any(each.disposition is Disposition.REQUESTED for each in self.intervals)
        require(
            requested, "intervals", len(self.intervals), "at least one interval with disposition Requested"
        )


class FlexOffer(Concept, frozen=True, kw_only=True, tag="uftp:FlexOffer"):
    """The aggregator offers flexibility in exclusive options (UFTP FlexOffer)."""

    period_start_s: IntervalStart
    period_end_s: IntervalStart
    time_zone: TimeZone = "UTC"
    congestion_point: Identifier
    revision: Count = 0
    expiration_s: EpochSeconds
    unsolicited: bool = False
    request_message_id: Label = ""
    baseline_reference: Label = ""
    prognosis_message_id: Label = ""
    contract_id: Label = ""
    currency: Currency = "EUR"
    options: Annotated[list[OfferOption], Meta(min_length=1, max_length=MAX_TRADES)]

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)
        references = [each.option_reference for each in self.options]
        require(len(set(references)) == len(references), "options", references, "unique option references")
        require(
            self.unsolicited or self.request_message_id != "",
            "request_message_id",
            self.request_message_id,
            "the message id of a FlexRequest, unless unsolicited",
        )


class FlexOrder(Concept, frozen=True, kw_only=True, tag="uftp:FlexOrder"):
    """The DSO buys an option of an offer, in whole or in part (UFTP FlexOrder)."""

    period_start_s: IntervalStart
    period_end_s: IntervalStart
    time_zone: TimeZone = "UTC"
    congestion_point: Identifier
    order_reference: Identifier
    offer_message_id: Identifier
    option_reference: Identifier
    baseline_reference: Label = ""
    prognosis_message_id: Label = ""
    contract_id: Label = ""
    price_ticks: Ticks
    currency: Currency = "EUR"
    activation_factor: Activation = 1.0
    intervals: Annotated[list[PowerInterval], Steps]

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)
        _require_unique_starts(self.intervals, "intervals")


class FlexOfferRevocation(Concept, frozen=True, kw_only=True, tag="uftp:FlexOfferRevocation"):
    """The aggregator takes an offer back that has not been ordered (UFTP FlexOfferRevocation)."""

    offer_message_id: Identifier


class FlexResponse(Concept, frozen=True, kw_only=True, tag="uftp:FlexResponse"):
    """Whether a document of a trade is taken, and if not, every reason why (UFTP PayloadMessageResponse).

    Among agents a refused call is a FIPA refuse, a refused offer a reject-proposal and a refused order a
    failure; this is what says the same where only the other documents exist.
    """

    document: TradeDocument
    reference_message_id: Identifier
    result: ResponseResult
    reasons: Annotated[list[Text], Meta(max_length=MAX_TRADES)] = []

    def __post_init__(self) -> None:
        stated = self.result is ResponseResult.ACCEPTED or bool(self.reasons)
        require(stated, "reasons", self.reasons, "at least one, when rejected")


class FlexMetering(Concept, frozen=True, kw_only=True, tag="uftp:FlexMetering"):
    """What the aggregator's pool at a congestion point drew, interval by interval (UFTP Metering)."""

    period_start_s: IntervalStart
    period_end_s: IntervalStart
    time_zone: TimeZone = "UTC"
    congestion_point: Identifier
    revision: Count
    intervals: Annotated[list[MeteredInterval], Steps]

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)
        _require_unique_starts(self.intervals, "intervals")


class FlexSettlement(Concept, frozen=True, kw_only=True, tag="uftp:FlexSettlement"):
    """What the DSO pays for the orders of a period (UFTP FlexSettlement)."""

    reference: Label = ""
    period_start_s: IntervalStart
    period_end_s: IntervalStart
    currency: Currency = "EUR"
    orders: Annotated[list[OrderSettlement], Meta(max_length=MAX_TRADES)]

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)


class FlexSettlementResponse(Concept, frozen=True, kw_only=True, tag="uftp:FlexSettlementResponse"):
    """Which orders of a settlement the aggregator accepts and which it disputes (UFTP, the same name)."""

    settlement_message_id: Identifier
    orders: Annotated[list[OrderStatus], Meta(max_length=MAX_TRADES)]

    def __post_init__(self) -> None:
        references = [each.order_reference for each in self.orders]
        require(len(set(references)) == len(references), "orders", references, "each order once")


class FlexReservation(Concept, frozen=True, kw_only=True, tag="uftp:FlexReservation"):
    """How much contracted flexibility the DSO keeps reserved (UFTP FlexReservationUpdate)."""

    contract_id: Identifier
    reference: Label = ""
    congestion_point: Identifier
    period_start_s: IntervalStart
    period_end_s: IntervalStart
    time_zone: TimeZone = "UTC"
    intervals: Annotated[list[PowerInterval], Steps]

    def __post_init__(self) -> None:
        _require_period(self.period_start_s, self.period_end_s)
        _require_unique_starts(self.intervals, "intervals")


class DRSignal(Concept, frozen=True, kw_only=True, tag="oadr:DRSignal"):
    """The DSO calls on a bilateral contract in an emergency (OpenADR DISPATCH_SETPOINT_RELATIVE)."""

    signal_id: Identifier
    segment_id: Identifier
    start_s: EpochSeconds
    duration_s: Duration
    limit_w: Power | None = None
    delta_w: Power | None = None
    contract_id: Identifier
    deadline_s: EpochSeconds

    def __post_init__(self) -> None:
        require(
            self.limit_w is not None or self.delta_w is not None,
            "limit_w",
            None,
            "a limit or a change of power",
        )


class DemandResponseReport(Concept, frozen=True, kw_only=True, tag="oadr:DemandResponseReport"):
    """What a signal brought about, by the minute where devices are read so often (SPEC 2.7, OpenADR REPORT).

    Deviations from what was planned; less consumption is negative.
    """

    signal_id: Identifier
    contract_id: Identifier
    subject: Identifier
    start_s: EpochSeconds
    step_s: Duration
    ordered_w: Power
    delivered_w: Annotated[list[Power], Steps]
    account: Label = ""
    """Where a member wants to be paid."""
