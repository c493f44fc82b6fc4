"""Examples of every UFTP message, by hand and by hypothesis, that tests of the edge share."""

from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from environments.uftp.messages import Content, Metadata
from environments.uftp.terms import LocalDay, MarketTerms
from ontology.flexibility_trading import (
    Disposition,
    DPrognosis,
    FlexMetering,
    FlexOffer,
    FlexOfferRevocation,
    FlexOrder,
    FlexRequest,
    FlexReservation,
    FlexResponse,
    FlexSettlement,
    FlexSettlementResponse,
    MeteredInterval,
    OfferOption,
    OrderSettlement,
    OrderStatus,
    OrderVerdict,
    PowerInterval,
    RequestInterval,
    ResponseResult,
    SettlementInterval,
    TradeDocument,
)

ZONE = "Europe/Amsterdam"
TERMS = MarketTerms(ZONE, congestion_points={"feeder-7": "ean.871685900012636543"})
ORDINARY, SPRING, AUTUMN = (TERMS.day(date(2026, *day)) for day in ((6, 1), (3, 29), (10, 25)))
UUIDS = [f"{i:08x}-aaaa-4bbb-8ccc-{i:012x}" for i in range(20)]


def framed(day: LocalDay = ORDINARY) -> dict[str, Any]:
    """What documents about a day at the feeder have in common."""
    return {
        "period_start_s": day.start_s,
        "period_end_s": day.end_s,
        "time_zone": ZONE,
        "congestion_point": "feeder-7",
    }


def metadata(sender: str = "dso.example.org", to: str = "agr.example.org") -> Metadata:
    """Metadata of a first message."""
    return Metadata(
        sender_domain=sender,
        recipient_domain=to,
        sent_at_s=1_780_000_000.25,
        message_id=UUIDS[0],
        conversation_id=UUIDS[1],
    )


def asked(day: LocalDay = ORDINARY) -> FlexRequest:
    """The DSO asks for 3 kW less from 18:00 for half an hour, and leaves the next interval free."""
    start_s = day.start_of(73)
    return FlexRequest(
        **framed(day),
        revision=1,
        expiration_s=day.start_s - 3600,
        intervals=[
            RequestInterval(
                disposition=Disposition.REQUESTED,
                power_min_w=-3000,
                power_max_w=0,
                start_s=start_s,
                duration_s=1800,
            ),
            RequestInterval(
                disposition=Disposition.AVAILABLE,
                power_min_w=-1000,
                power_max_w=2000,
                start_s=start_s + 1800,
            ),
        ],
    )


# ------------------------------------------------------------------------------------ hypothesis

days = st.dates(date(1990, 1, 1), date(2037, 12, 30)).map(TERMS.day) | st.sampled_from([SPRING, AUTUMN])
watts = st.integers(-(2**31) + 1, 2**31 - 1)
ticks = st.integers(-(2**53) + 1, 2**53 - 1)
factors = st.integers(1, 100).map(lambda hundredths: hundredths / 100)
uuids = st.uuids().map(str)
_XML_TEXT = st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r"
)
texts = st.text(_XML_TEXT, max_size=40)
names = st.text(_XML_TEXT, min_size=1, max_size=40)
reasons = names.map(lambda text: text.replace(";", ",").strip()).filter(bool)
currencies = st.sampled_from(["EUR", "SEK", "CHF"])
addresses = st.just("feeder-7") | st.from_regex(r"ean\.[0-9]{12,34}", fullmatch=True)
domains = st.from_regex(r"([a-z0-9]{1,6}(-[a-z0-9]{1,6})?\.){1,3}[a-z]{2,4}", fullmatch=True)
instants = st.integers(0, 253_402_300_799)

metadatas = st.builds(
    Metadata,
    sender_domain=domains,
    recipient_domain=domains,
    sent_at_s=st.integers(0, 4 * 10**15).map(lambda micros: micros / 10**6),
    message_id=uuids,
    conversation_id=uuids,
    version=st.sampled_from(["3.0.0", "3.1.0"]),
)


@st.composite
def spans(draw: st.DrawFn, day: LocalDay, longest: int = 100) -> list[dict[str, int]]:
    """Intervals of a day that do not overlap, in any order."""
    cuts = sorted(draw(st.sets(st.integers(1, day.isps), min_size=1, max_size=8)))
    ends = [*cuts[1:], day.isps + 1]
    lengths = [draw(st.integers(1, min(longest, end - start))) for start, end in zip(cuts, ends, strict=True)]
    placed = [
        {"start_s": day.start_of(start), "duration_s": length * 900}
        for start, length in zip(cuts, lengths, strict=True)
    ]
    return draw(st.permutations(placed))


def _powers(draw: st.DrawFn, day: LocalDay) -> list[PowerInterval]:
    return [PowerInterval(**each, power_w=draw(watts)) for each in draw(spans(day))]


def _framed(draw: st.DrawFn) -> tuple[LocalDay, dict[str, Any]]:
    day = draw(days)
    return day, framed(day) | {"congestion_point": draw(addresses)}


@st.composite
def prognoses(draw: st.DrawFn) -> DPrognosis:
    day, frame = _framed(draw)
    return DPrognosis(**frame, revision=draw(st.integers(0, 2**31 - 1)), intervals=_powers(draw, day))


@st.composite
def requests(draw: st.DrawFn) -> FlexRequest:
    day, frame = _framed(draw)
    intervals = []
    for i, each in enumerate(draw(spans(day))):
        least, most = sorted((draw(watts), draw(watts)))
        disposition = Disposition.REQUESTED if i == 0 else draw(st.sampled_from(Disposition))
        intervals.append(
            RequestInterval(**each, disposition=disposition, power_min_w=least, power_max_w=most)
        )
    return FlexRequest(
        **frame,
        revision=draw(st.integers(0, 2**31 - 1)),
        expiration_s=draw(instants),
        contract_id=draw(texts),
        service_type=draw(texts),
        intervals=intervals,
    )


@st.composite
def offers(draw: st.DrawFn) -> FlexOffer:
    day, frame = _framed(draw)
    request = draw(uuids | st.just(""))
    references = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return FlexOffer(
        **frame,
        expiration_s=draw(instants),
        request_message_id=request,
        unsolicited=request == "" or draw(st.booleans()),
        prognosis_message_id=draw(uuids | st.just("")),
        baseline_reference=draw(texts),
        contract_id=draw(texts),
        currency=draw(currencies),
        options=[
            OfferOption(
                option_reference=each,
                price_ticks=draw(ticks),
                activation_min=draw(factors),
                intervals=_powers(draw, day),
            )
            for each in references
        ],
    )


@st.composite
def orders(draw: st.DrawFn) -> FlexOrder:
    day, frame = _framed(draw)
    return FlexOrder(
        **frame,
        order_reference=draw(names),
        offer_message_id=draw(uuids),
        option_reference=draw(names),
        prognosis_message_id=draw(uuids | st.just("")),
        baseline_reference=draw(texts),
        contract_id=draw(texts),
        price_ticks=draw(ticks),
        currency=draw(currencies),
        activation_factor=draw(factors),
        intervals=_powers(draw, day),
    )


@st.composite
def reservations(draw: st.DrawFn) -> FlexReservation:
    day, frame = _framed(draw)
    return FlexReservation(
        **frame, contract_id=draw(names), reference=draw(texts), intervals=_powers(draw, day)
    )


@st.composite
def meterings(draw: st.DrawFn) -> FlexMetering:
    day, frame = _framed(draw)
    address = st.from_regex(r"ean\.([0-9]{16}|[0-9]{18})", fullmatch=True)
    return FlexMetering(
        **frame | {"congestion_point": draw(st.just("feeder-7") | address)},
        revision=draw(st.integers(0, 2**31 - 1)),
        intervals=[MeteredInterval(**each, actual_w=draw(watts)) for each in draw(spans(day, longest=1))],
    )


@st.composite
def settlements(draw: st.DrawFn) -> FlexSettlement:
    days_settled = sorted((draw(days), draw(days)))
    return FlexSettlement(
        period_start_s=days_settled[0].start_s,
        period_end_s=days_settled[1].end_s,
        currency=draw(currencies),
        orders=[
            OrderSettlement(
                order_reference=draw(names),
                congestion_point=draw(addresses),
                contract_id=draw(texts),
                baseline_reference=draw(texts),
                price_ticks=draw(ticks),
                penalty_ticks=draw(ticks),
                net_ticks=draw(ticks),
                intervals=[
                    SettlementInterval(
                        **each,
                        baseline_w=draw(watts),
                        ordered_w=draw(watts),
                        actual_w=draw(watts),
                        delivered_w=draw(watts),
                        deficiency_w=draw(st.integers(0, 2**31 - 1)),
                    )
                    for each in draw(spans(day))
                ],
            )
            for day in draw(st.lists(st.sampled_from(days_settled), min_size=1, max_size=3))
        ],
    )


@st.composite
def settlement_responses(draw: st.DrawFn) -> FlexSettlementResponse:
    references = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    statuses = []
    for each in references:
        verdict = draw(st.sampled_from(OrderVerdict))
        reason = draw(names if verdict is OrderVerdict.DISPUTED else texts)
        statuses.append(OrderStatus(order_reference=each, verdict=verdict, reason=reason))
    return FlexSettlementResponse(settlement_message_id=draw(uuids), orders=statuses)


@st.composite
def responses(draw: st.DrawFn) -> FlexResponse:
    result = draw(st.sampled_from(ResponseResult))
    return FlexResponse(
        document=draw(st.sampled_from(TradeDocument)),
        reference_message_id=draw(uuids),
        result=result,
        reasons=draw(st.lists(reasons, min_size=result is ResponseResult.REJECTED, max_size=3)),
    )


DOCUMENTS: dict[str, st.SearchStrategy[Content]] = {
    "prognosis": prognoses(),
    "request": requests(),
    "offer": offers(),
    "revocation": st.builds(FlexOfferRevocation, offer_message_id=uuids),
    "order": orders(),
    "reservation": reservations(),
    "metering": meterings(),
    "settlement": settlements(),
    "settlement response": settlement_responses(),
    "response": responses(),
}


def shifted(day: LocalDay, days: int) -> LocalDay:
    """The day some days later."""
    return TERMS.day(day.date + timedelta(days=days))


def changed(content: Any, **fields: Any) -> Any:
    """The same with other fields."""
    return msgspec.structs.replace(content, **fields)
