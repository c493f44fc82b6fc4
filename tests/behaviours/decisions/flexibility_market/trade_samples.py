"""Documents of a trade that keep every rule, to be broken one at a time."""

from typing import Any

import msgspec

from behaviours.decisions.flexibility_market.validation import Known, KnownOffer, KnownRequest
from ontology.flexibility_trading import (
    Disposition,
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexSettlement,
    MeteredInterval,
    OfferOption,
    OrderSettlement,
    PowerInterval,
    RequestInterval,
)

NOW_S = 1_750_000_500
START_S = NOW_S + 5400
END_S = START_S + 1800
PERIOD: dict[str, Any] = {
    "period_start_s": START_S,
    "period_end_s": END_S,
    "congestion_point": "segment-1",
}


def wanted(power_w: int, start_s: int = START_S, **changes: Any) -> RequestInterval:
    fields = {"disposition": Disposition.REQUESTED, "power_min_w": power_w, "power_max_w": 0}
    return RequestInterval(start_s=start_s, **(fields | changes))


def power(power_w: int, start_s: int = START_S, **changes: Any) -> PowerInterval:
    return PowerInterval(start_s=start_s, power_w=power_w, **changes)


REQUEST = FlexRequest(
    **PERIOD,
    revision=1,
    expiration_s=NOW_S + 1800,
    contract_id="bilateral",
    intervals=[wanted(-9000), wanted(-4000, START_S + 900, disposition=Disposition.AVAILABLE)],
)
OFFER = FlexOffer(
    **PERIOD,
    expiration_s=NOW_S + 2700,
    request_message_id="cfp-1",
    baseline_reference="D_PROGNOSIS",
    contract_id="bilateral",
    options=[
        OfferOption(
            option_reference="all",
            price_ticks=3001,
            activation_min=0.4,
            intervals=[power(-9000), power(-2000, START_S + 900)],
        ),
        OfferOption(option_reference="half", price_ticks=1200, intervals=[power(-4500)]),
    ],
)
ORDER = FlexOrder(
    **PERIOD,
    order_reference="order-1",
    offer_message_id="offer-1",
    option_reference="all",
    baseline_reference="D_PROGNOSIS",
    contract_id="bilateral",
    price_ticks=1501,
    activation_factor=0.5,
    intervals=OFFER.options[0].intervals,
)
REVOCATION = FlexOfferRevocation(offer_message_id="offer-1")
PROGNOSIS = DPrognosis(**PERIOD, revision=3, intervals=[power(50_000), power(52_000, START_S + 900)])
RESERVATION = FlexReservation(**PERIOD, contract_id="bilateral", intervals=[power(-8000)])
METERED_S = START_S - 86_400
METERING = FlexMetering(
    period_start_s=METERED_S,
    period_end_s=METERED_S + 1800,
    congestion_point="segment-1",
    revision=1,
    intervals=[MeteredInterval(start_s=METERED_S, baseline_w=50_000, actual_w=46_000)],
)
SETTLEMENT = FlexSettlement(
    period_start_s=START_S,
    period_end_s=END_S,
    orders=[
        OrderSettlement(
            order_reference="order-0", price_ticks=10, penalty_ticks=0, net_ticks=10, intervals=[]
        )
    ],
)
BASIC = Known(
    now_s=NOW_S,
    congestion_points=frozenset({"segment-1", "segment-2"}),
    contracts_w={"bilateral": 10_000},
    baselines=frozenset({"D_PROGNOSIS"}),
    requests={"cfp-1": KnownRequest(REQUEST)},
    offers={"offer-1": KnownOffer(OFFER)},
    orders=frozenset({"order-0"}),
    messages=frozenset({"read before"}),
    revisions={("FlexRequest", "segment-1", START_S): 0, ("DPrognosis", "segment-1", START_S): 2},
)


def changed(content: Any, **changes: Any) -> Any:
    """Return a document, or what is known, with some fields changed."""
    if isinstance(content, Known):
        import dataclasses

        return dataclasses.replace(content, **changes)
    return msgspec.structs.replace(content, **changes)
