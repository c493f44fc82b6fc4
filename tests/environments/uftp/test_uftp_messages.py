import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uftp_examples import (
    AUTUMN,
    DOCUMENTS,
    ORDINARY,
    SPRING,
    TERMS,
    UUIDS,
    ZONE,
    asked,
    changed,
    framed,
    metadata,
    metadatas,
)

from environments.uftp import messages
from environments.uftp.messages import Message, Metadata, RejectedMessage, from_xml, to_xml
from environments.uftp.terms import LocalDay, MarketTerms
from ontology.errors import InvalidInput
from ontology.flexibility_trading import (
    FlexMetering,
    FlexOffer,
    FlexOrder,
    FlexResponse,
    FlexSettlementResponse,
    MeteredInterval,
    OfferOption,
    OrderStatus,
    OrderVerdict,
    PowerInterval,
    ResponseResult,
    TradeDocument,
)


def as_text(content: object) -> str:
    return to_xml(Message(metadata(), content), TERMS).decode()


def read(text: str, terms: MarketTerms = TERMS) -> object:
    return from_xml(text.encode(), terms).content


def of_metered(**fields: object) -> FlexMetering:
    interval = MeteredInterval(start_s=ORDINARY.start_s, actual_w=-1250, **fields)
    return FlexMetering(**framed(), revision=1, intervals=[interval])


def offered() -> FlexOffer:
    power = PowerInterval(start_s=ORDINARY.start_of(73), duration_s=1800, power_w=-3000)
    option = OfferOption(option_reference="a", price_ticks=12_345, activation_min=0.5, intervals=[power])
    expiration_s = ORDINARY.start_s
    return FlexOffer(**framed(), expiration_s=expiration_s, request_message_id=UUIDS[2], options=[option])


def ordered() -> FlexOrder:
    return FlexOrder(
        **framed(),
        order_reference="order-1",
        offer_message_id=UUIDS[3],
        option_reference="a",
        price_ticks=12_345,
        intervals=offered().options[0].intervals,
    )


@pytest.mark.parametrize("document", DOCUMENTS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), metadata=metadatas)
def test_whatever_is_written_reads_the_same(document: str, data: st.DataObject, metadata: Metadata) -> None:
    message = Message(metadata, data.draw(DOCUMENTS[document]))
    assert from_xml(to_xml(message, TERMS), TERMS) == message


@pytest.mark.parametrize(
    "content", [messages.TestMessage(), messages.TestMessageResponse()], ids=["test", "response"]
)
def test_a_test_message_carries_metadata_only(content: messages.Content) -> None:
    message = Message(metadata(), content)
    assert from_xml(to_xml(message, TERMS), TERMS) == message


def test_a_request_is_written_in_the_words_of_uftp() -> None:
    assert re.sub(r'(?<=")\s(?=[A-Z])', " ", as_text(asked())) == (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        '<FlexRequest Version="3.1.0" SenderDomain="dso.example.org" RecipientDomain="agr.example.org"'
        ' TimeStamp="2026-05-28T20:26:40.250000Z" MessageID="00000000-aaaa-4bbb-8ccc-000000000000"'
        ' ConversationID="00000001-aaaa-4bbb-8ccc-000000000001" ISP-Duration="PT15M"'
        ' TimeZone="Europe/Amsterdam" Period="2026-06-01" CongestionPoint="ean.871685900012636543"'
        ' Revision="1" ExpirationDateTime="2026-05-31T21:00:00Z">'
        '<ISP Disposition="Requested" MinPower="-3000" MaxPower="0" Start="73" Duration="2" />'
        '<ISP Disposition="Available" MinPower="-1000" MaxPower="2000" Start="75" />'
        "</FlexRequest>"
    )


@pytest.mark.parametrize(
    ("day", "isps"), [(ORDINARY, 96), (SPRING, 92), (AUTUMN, 100)], ids=["96", "92", "100"]
)
def test_the_last_isp_of_a_day_ends_at_the_next_local_midnight(day: LocalDay, isps: int) -> None:
    last = PowerInterval(start_s=day.end_s - 900, power_w=1)
    order = changed(ordered(), period_start_s=day.start_s, period_end_s=day.end_s, intervals=[last])
    text = as_text(order)
    assert day.isps == isps
    assert f'Start="{isps}"' in text
    assert f'Period="{day.date}"' in text
    assert read(text) == order


@pytest.mark.parametrize(
    ("day", "isps"), [(ORDINARY, 96), (SPRING, 92), (AUTUMN, 100)], ids=["96", "92", "100"]
)
def test_an_isp_after_the_last_of_its_day_is_rejected(day: LocalDay, isps: int) -> None:
    text = as_text(asked(day)).replace('Start="75"', f'Start="{isps + 1}"')
    with pytest.raises(RejectedMessage) as rejected:
        read(text)
    assert rejected.value.reasons == [
        f"ISPs out of bounds: FlexRequest.ISP[1]: {isps + 1} to {isps + 1} of {isps}"
    ]


def test_after_clocks_went_forward_evening_isps_have_lower_numbers() -> None:
    assert SPRING.isp_at(SPRING.end_s - 6 * 3600) == 69
    assert ORDINARY.isp_at(ORDINARY.end_s - 6 * 3600) == 73


@given(day=st.dates(date(1990, 1, 1), date(2037, 12, 30)))
@pytest.mark.parametrize("zone", [ZONE, "Africa/Cairo", "America/Havana", "Australia/Lord_Howe"])
def test_days_follow_each_other_without_gap_in_every_zone(zone: str, day: date) -> None:
    terms = MarketTerms(zone)
    today = terms.day(day)
    assert terms.day_at(today.start_s) == today == terms.day_at(today.end_s - 1)
    assert terms.day_at(today.end_s).start_s == today.end_s


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("PT15M", "PT30M", "ISP duration rejected: FlexRequest.ISP-Duration: PT30M"),
        (ZONE, "Europe/London", "TimeZone rejected: FlexRequest.TimeZone: Europe/London"),
        (ZONE, "Europe/Atlantis", "TimeZone rejected: FlexRequest.TimeZone: Europe/Atlantis"),
        ('Start="75"', 'Start="74"', "ISP conflict: FlexRequest.ISP[1]: 74"),
        ("2026-06-01", "1969-06-01", "Period out of bounds: FlexRequest.Period: 1969-06-01"),
    ],
    ids=["duration", "offset", "zone", "conflict", "period"],
)
def test_what_breaks_the_markets_terms_is_rejected_with_uftps_reason(old: str, new: str, reason: str) -> None:
    with pytest.raises(RejectedMessage) as rejected:
        read(as_text(asked()).replace(old, new))
    assert reason in rejected.value.reasons
    assert rejected.value.document is TradeDocument.FLEX_REQUEST
    assert rejected.value.metadata.message_id == UUIDS[0]


def test_another_zone_with_the_same_day_is_the_same_zone() -> None:
    assert read(as_text(asked()).replace(ZONE, "Europe/Berlin")) == asked()


def test_documents_may_name_another_zone_inside_than_outside() -> None:
    terms = MarketTerms(ZONE, inside_zone="UTC")
    request = changed(asked(), time_zone="UTC", congestion_point="ean.871685900012636543")
    text = to_xml(Message(metadata(), request), terms)
    assert f'TimeZone="{ZONE}" Period="2026-06-01"' in text.decode()
    assert from_xml(text, terms).content == request


def test_everything_that_breaks_the_schema_is_said_at_once() -> None:
    text = as_text(asked())
    for old, new in [
        ("dso.example.org", "DSO"),
        ("00000001-aaaa", "1-aaaa"),
        ('Start="73"', 'Start="0"'),
        ('MinPower="-1000"', 'MinPower="a lot"'),
        ('Revision="1"', 'Edition="1"'),
        ("</FlexRequest>", "<Extra/></FlexRequest>"),
    ]:
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(InvalidInput) as wrong:
        read(text)
    assert sorted(each.path for each in wrong.value.problems) == [
        "FlexRequest.ConversationID",
        "FlexRequest.Edition",
        "FlexRequest.Extra",
        "FlexRequest.ISP[0].Start",
        "FlexRequest.ISP[1].MinPower",
        "FlexRequest.Revision",
        "FlexRequest.SenderDomain",
    ]
    assert not isinstance(wrong.value, RejectedMessage)


def test_everything_that_uftp_cannot_say_is_said_at_once() -> None:
    option = changed(
        offered().options[0],
        activation_min=0.333,
        intervals=[
            PowerInterval(start_s=ORDINARY.end_s, power_w=1),
            PowerInterval(start_s=0, duration_s=60, power_w=1),
        ],
    )
    offer = changed(
        offered(),
        request_message_id="letter 7",
        congestion_point="lv3",
        time_zone="UTC",
        contract_id="\0",
        options=[option],
    )
    with pytest.raises(InvalidInput) as wrong:
        as_text(offer)
    assert sorted(each.path for each in wrong.value.problems) == [
        "FlexOffer.CongestionPoint",
        "FlexOffer.ContractID",
        "FlexOffer.FlexRequestMessageID",
        "FlexOffer.OfferOption[0].ISP[0].Start",
        "FlexOffer.OfferOption[0].ISP[1].Duration",
        "FlexOffer.OfferOption[0].MinActivationFactor",
        "FlexOffer.TimeZone",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<FlexRequest",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><TestMessage/>',
        '<!DOCTYPE a [<!ENTITY b "c">]><TestMessage SenderDomain="&b;"/>',
        "<AGRPortfolioQuery/>",
    ],
    ids=["broken", "dtd", "entity", "to another role"],
)
def test_documents_that_are_no_messages_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read(text)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_invalid_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        from_xml(b"<FlexRequest " + data, TERMS)


def test_prices_have_four_decimals() -> None:
    text = as_text(offered())
    assert 'Price="1.2345"' in text
    assert read(text.replace("1.2345", "-.5")).options[0].price_ticks == -5000
    with pytest.raises(InvalidInput, match="at most 4 decimals"):
        read(text.replace("1.2345", "1.23456"))


def test_metered_powers_are_in_kilowatts_and_without_baseline() -> None:
    text = as_text(of_metered(duration_s=1800, baseline_w=400))
    assert 'EAN="E871685900012636543"' in text
    assert '<Profile ProfileType="Power" Unit="kW"><ISP Start="1" Value="-1.250" />' in text
    first = ORDINARY.start_s
    assert read(text).intervals == [
        MeteredInterval(start_s=each, actual_w=-1250) for each in (first, first + 900)
    ]


def test_metered_energies_stand_in_for_powers() -> None:
    def profile(kind: str, kwh: str) -> str:
        return f'<Profile ProfileType="{kind}" Unit="kWh"><ISP Start="1" Value="{kwh}" /></Profile>'

    energies = (
        profile("ImportEnergy", "0.1") + profile("ExportEnergy", "0.35") + profile("ImportMeterReading", "9")
    )
    text = re.sub("<Profile.*</Profile>", energies, as_text(of_metered()))
    assert read(text).intervals == [MeteredInterval(start_s=ORDINARY.start_s, actual_w=-1000)]
    with pytest.raises(RejectedMessage, match="Power or both energies"):
        read(text.replace("ExportEnergy", "ExportMeterReading"))


def test_a_meter_of_its_own_stands_for_a_congestion_point_that_has_another_address() -> None:
    address, ean = "ea1.2020-01.org.example:feeder-9", "E1234567890123456"
    terms = MarketTerms(ZONE, congestion_points={"feeder-9": address}, meters={"feeder-9": ean})
    message = Message(metadata(), changed(of_metered(), congestion_point="feeder-9"))
    text = to_xml(message, terms)
    assert ean in text.decode()
    assert from_xml(text, terms) == message


def test_an_order_without_option_means_the_only_one_of_its_offer() -> None:
    text = as_text(ordered()).replace(' OptionReference="a"', "").encode()
    assert from_xml(text, TERMS, lambda offer: "a" if offer == UUIDS[3] else "").content == ordered()
    with pytest.raises(RejectedMessage, match="which of the offer's options is ordered"):
        from_xml(text, TERMS)


def test_an_order_without_offer_is_rejected() -> None:
    with pytest.raises(RejectedMessage, match="Unknown FlexOfferMessageID reference"):
        read(as_text(ordered()).replace(f' FlexOfferMessageID="{UUIDS[3]}"', ' Unsolicited="true"'))


def test_a_rejected_settlement_is_disputed_order_by_order() -> None:
    accepted = OrderStatus(order_reference="o", verdict=OrderVerdict.ACCEPTED)
    text = as_text(FlexSettlementResponse(settlement_message_id=UUIDS[4], orders=[accepted]))
    text = text.replace('Result="Accepted"', 'Result="Rejected" RejectionReason="wrong month"')
    assert read(text).orders == [
        OrderStatus(order_reference="o", verdict=OrderVerdict.DISPUTED, reason="wrong month")
    ]


def test_a_rejection_without_reason_says_so() -> None:
    rejected = FlexResponse(
        document=TradeDocument.FLEX_ORDER,
        reference_message_id=UUIDS[2],
        result=ResponseResult.REJECTED,
        reasons=["x; y", "z"],
    )
    text = as_text(rejected)
    assert read(text).reasons == ["x, y", "z"]
    assert read(text.replace(' RejectionReason="x, y; z"', "")).reasons == ["no reason given"]


def test_terms_name_all_that_is_wrong_with_them() -> None:
    with pytest.raises(InvalidInput) as wrong:
        MarketTerms("CET", congestion_points={"a": "b"}, meters={"a": "E1", "b": "E1"})
    assert [each.path for each in wrong.value.problems] == [
        "TimeZone",
        "congestion_points[a]",
        "meters[a]",
        "meters[b]",
        "meters",
    ]
