"""Both directions with the shapeshifter-uftp package as counterparty: every message type, each way."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from uftp_examples import ORDINARY, ZONE, asked, changed
from uftp_parties import DOMAINS, Party, free_port, listening, need_peer, peer_process

from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import SigningKey
from ontology.discourse import Acknowledgement, FailureReport, Refusal
from ontology.flexibility_trading import (
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
    SettlementInterval,
    TradeDocument,
)
from ontology.performatives import Performative as Act

pytestmark = pytest.mark.server

AGR, DSO = ParticipantRole.AGR, ParticipantRole.DSO
EVENING_S = ORDINARY.start_of(73)
HALF_HOUR = {
    "period_start_s": EVENING_S,
    "period_end_s": EVENING_S + 1800,
    "time_zone": ZONE,
    "congestion_point": "feeder-7",
}
POINT = "ean.871685900012636543"
TO_AGGREGATORS = {
    "DPrognosisResponse",
    "FlexOfferResponse",
    "FlexOfferRevocationResponse",
    "FlexOrder",
    "FlexRequest",
    "FlexReservationUpdate",
    "FlexSettlement",
    "MeteringResponse",
    "TestMessageResponse",
}
TO_OPERATORS = {
    "DPrognosis",
    "FlexOffer",
    "FlexOfferRevocation",
    "FlexOrderResponse",
    "FlexRequestResponse",
    "FlexReservationUpdateResponse",
    "FlexSettlementResponse",
    "Metering",
    "TestMessageResponse",
}


@pytest.fixture(autouse=True)
def _the_peer_is_here() -> None:
    need_peer()


def run(conversation: Coroutine[Any, Any, None]) -> None:
    asyncio.run(conversation)


def evening(power_w: int) -> list[PowerInterval]:
    return [PowerInterval(start_s=EVENING_S, duration_s=1800, power_w=power_w)]


def test_our_dso_buys_from_a_foreign_aggregator() -> None:
    async def day() -> None:
        our_port, peer_port = free_port(), free_port()
        async with (
            listening(Party(DSO, peer_port), our_port) as dso,
            peer_process(AGR, peer_port, our_port) as peer,
        ):
            request = changed(asked(), intervals=asked().intervals[:1], **HALF_HOUR)
            dso.say(request, "call 1", conversation="evening")

            received = await peer.receives("FlexRequest")
            assert (received["Period"], received["CongestionPoint"]) == ("2026-06-01", POINT)
            assert received["ISP"] == [
                {"Disposition": "Requested", "MinPower": -3000, "MaxPower": 0, "Start": 73, "Duration": 2}
            ]
            taken = await dso.hears(FlexResponse)
            assert (taken.act, taken.in_reply_to, taken.conversation) == (Act.INFORM, "call 1", "evening")

            prognosis = await dso.hears(DPrognosis)
            assert prognosis.content.intervals == evening(10_000)
            dso.say(Acknowledgement(of=prognosis.message_id), "ack 1", in_reply_to=prognosis.message_id)
            await peer.receives("DPrognosisResponse")

            offered = await dso.hears(FlexOffer)
            offer = offered.content
            assert (offered.act, offered.conversation, offered.in_reply_to) == (
                Act.PROPOSE,
                "evening",
                "call 1",
            )
            assert (offer.period_start_s, offer.period_end_s) == (
                request.period_start_s,
                request.period_end_s,
            )
            assert offer.prognosis_message_id == prognosis.message_id
            assert offer.options == [
                OfferOption(
                    option_reference="all", price_ticks=15_000, activation_min=0.25, intervals=evening(-3000)
                ),
                OfferOption(
                    option_reference="half", price_ticks=6_001, activation_min=0.25, intervals=evening(-1500)
                ),
            ]

            order = FlexOrder(
                **HALF_HOUR,
                order_reference="order 1",
                offer_message_id=offered.message_id,
                option_reference="all",
                prognosis_message_id=prognosis.message_id,
                price_ticks=7_500,
                activation_factor=0.5,
                intervals=evening(-3000),
            )
            dso.say(order, "order letter", conversation="evening")
            assert (await peer.receives("FlexOfferResponse"))["Result"] == "Accepted"
            bought = await peer.receives("FlexOrder")
            assert (bought["Price"], bought["ActivationFactor"]) == ("0.7500", "0.50")
            assert (bought["FlexOfferMessageID"], bought["OptionReference"]) == (
                offered.message_id,
                "all",
            )

            agreed = await dso.hears(FlexResponse)
            assert (agreed.act, agreed.in_reply_to) == (Act.AGREE, "order letter")

            metered = await dso.hears(FlexMetering)
            assert metered.content.congestion_point == "feeder-7"
            assert metered.content.intervals == [
                MeteredInterval(start_s=each, actual_w=7_000) for each in (EVENING_S, EVENING_S + 900)
            ]
            dso.say(Acknowledgement(of=metered.message_id), "ack 2", in_reply_to=metered.message_id)
            await peer.receives("MeteringResponse")

            peer.do("revoke", offer=offered.message_id)
            revoked = await dso.hears(FlexOfferRevocation)
            assert (revoked.act, revoked.content.offer_message_id) == (Act.CANCEL, offered.message_id)
            dso.say(Refusal(reason="ordered; too late"), "no", in_reply_to=revoked.message_id)
            refused = await peer.receives("FlexOfferRevocationResponse")
            assert (refused["Result"], refused["RejectionReason"]) == ("Rejected", "ordered, too late")

            dso.say(
                FlexReservation(**HALF_HOUR, contract_id="c1", reference="r1", intervals=evening(-500)),
                "reserved",
            )
            assert (await peer.receives("FlexReservationUpdate"))["ContractID"] == "c1"
            assert (await dso.hears(FlexResponse)).content.document is TradeDocument.FLEX_RESERVATION

            settled = [
                OrderSettlement(
                    order_reference=name,
                    congestion_point="feeder-7",
                    price_ticks=7_500,
                    penalty_ticks=penalty,
                    net_ticks=7_500 - penalty,
                    intervals=[
                        SettlementInterval(
                            start_s=EVENING_S,
                            duration_s=1800,
                            baseline_w=10_000,
                            ordered_w=1_500,
                            actual_w=9_000,
                            delivered_w=1_000,
                            deficiency_w=500,
                        )
                    ],
                )
                for name, penalty in (("order 1", 0), ("order 2", 100))
            ]
            month = FlexSettlement(
                period_start_s=ORDINARY.start_s, period_end_s=ORDINARY.end_s, currency="EUR", orders=settled
            )
            dso.say(month, "bill")
            bill = await peer.receives("FlexSettlement")
            assert [each["Penalty"] for each in bill["FlexOrderSettlement"]] == ["0.0000", "0.0100"]
            assert bill["FlexOrderSettlement"][0]["ISP"][0]["PowerDeficiency"] == 500
            verdict = await dso.hears(FlexSettlementResponse)
            assert (verdict.act, verdict.in_reply_to) == (Act.REJECT_PROPOSAL, "bill")
            assert verdict.content.orders == [
                OrderStatus(order_reference="order 1", verdict=OrderVerdict.ACCEPTED),
                OrderStatus(order_reference="order 2", verdict=OrderVerdict.DISPUTED, reason="we delivered"),
            ]

            peer.do("test")
            await peer.receives("TestMessageResponse")
            await dso.gateway.test(DOMAINS[AGR], "are you there")
            assert set(peer.kinds) - {"ready"} == TO_AGGREGATORS
            assert dso.given_up.empty()

    run(day())


def test_our_aggregator_sells_to_a_foreign_dso() -> None:
    async def day() -> None:
        our_port, peer_port = free_port(), free_port()
        async with (
            listening(Party(AGR, peer_port), our_port) as agr,
            peer_process(DSO, peer_port, our_port) as peer,
        ):
            prognosis = DPrognosis(**HALF_HOUR, revision=3, intervals=evening(10_000))
            foreseen = agr.say(prognosis, "prognosis")
            assert (await peer.receives("DPrognosis"))["ISP"] == [
                {"Power": 10_000, "Start": 73, "Duration": 2}
            ]
            taken = await agr.hears(FlexResponse)
            assert (taken.in_reply_to, taken.content.document) == ("prognosis", TradeDocument.D_PROGNOSIS)

            peer.do("reserve", period="2026-06-01", point=POINT, contract="c1")
            reserved = await agr.hears(FlexReservation)
            assert reserved.content.intervals == [
                PowerInterval(start_s=ORDINARY.start_s, duration_s=86_400, power_w=-3000)
            ]
            agr.say(Acknowledgement(of=reserved.message_id), "ack", in_reply_to=reserved.message_id)
            await peer.receives("FlexReservationUpdateResponse")

            peer.do("request", period="2026-06-01", point=POINT, start=73)
            call = await agr.hears(FlexRequest)
            request = call.content
            assert call.act is Act.CFP
            assert (request.period_start_s, request.period_end_s) == (ORDINARY.start_s, ORDINARY.end_s)
            assert request.expiration_s == ORDINARY.start_s
            option = OfferOption(
                option_reference="all", price_ticks=12_340, activation_min=0.5, intervals=evening(-3000)
            )
            offer = FlexOffer(
                period_start_s=request.period_start_s,
                period_end_s=request.period_end_s,
                time_zone=request.time_zone,
                congestion_point=request.congestion_point,
                expiration_s=request.expiration_s,
                request_message_id=call.message_id,
                prognosis_message_id="prognosis",
                options=[option],
            )
            agr.say(offer, "offer", conversation=call.conversation)
            await peer.receives("FlexRequestResponse")
            proposed = await peer.receives("FlexOffer")
            assert (proposed["FlexRequestMessageID"], proposed["D-PrognosisMessageID"]) == (
                call.message_id,
                foreseen,
            )
            await agr.hears(FlexResponse)

            accepted = await agr.hears(FlexOrder)
            order = accepted.content
            assert (accepted.act, accepted.in_reply_to, accepted.conversation) == (
                Act.ACCEPT_PROPOSAL,
                "offer",
                call.conversation,
            )
            assert (order.offer_message_id, order.option_reference) == ("offer", "all")
            assert (order.price_ticks, order.activation_factor) == (6_170, 0.5)
            assert (order.prognosis_message_id, order.intervals) == ("prognosis", option.intervals)
            agr.say(Acknowledgement(of=accepted.message_id), "yes", in_reply_to=accepted.message_id)
            assert (await peer.receives("FlexOrderResponse"))["Result"] == "Accepted"

            agr.say(FlexOfferRevocation(offer_message_id="offer"), "revocation")
            await peer.receives("FlexOfferRevocation")
            refused = await agr.hears(FailureReport)
            assert (refused.act, refused.in_reply_to) == (Act.FAILURE, "revocation")
            assert refused.content.reason == "it has been ordered"

            unsolicited = changed(offer, request_message_id="", unsolicited=True)
            agr.say(unsolicited, "second offer")
            rejected = await agr.hears(Refusal)
            assert (rejected.act, rejected.in_reply_to) == (Act.REJECT_PROPOSAL, "second offer")
            assert rejected.content.reason == "nobody asked; not now"

            metered = [
                MeteredInterval(start_s=EVENING_S, duration_s=1800, baseline_w=10_000, actual_w=10_001)
            ]
            agr.say(FlexMetering(**HALF_HOUR, revision=1, intervals=metered), "metered")
            profile = (await peer.receives("Metering"))["Profile"][0]
            assert [(each["Start"], each["Value"]) for each in profile["ISP"]] == [
                (73, "10.001"),
                (74, "10.001"),
            ]
            await agr.hears(FlexResponse)

            bill = await agr.hears(FlexSettlement)
            (settled,) = bill.content.orders
            assert (settled.order_reference, settled.penalty_ticks, settled.net_ticks) == (
                "order 1",
                6_170,
                0,
            )
            assert settled.intervals[0].deficiency_w == 3000
            status = OrderStatus(
                order_reference="order 1", verdict=OrderVerdict.DISPUTED, reason="see our meter"
            )
            answer = FlexSettlementResponse(settlement_message_id=bill.message_id, orders=[status])
            agr.say(answer, "verdict", in_reply_to=bill.message_id)
            verdict = await peer.receives("FlexSettlementResponse")
            assert verdict["FlexOrderSettlementStatus"][0]["DisputeReason"] == "see our meter"

            peer.do("test")
            await peer.receives("TestMessageResponse")
            assert set(peer.kinds) - {"ready"} == TO_OPERATORS
            assert agr.given_up.empty()

    run(day())


def test_the_counterparty_refuses_what_another_key_has_sealed() -> None:
    async def attempt() -> None:
        our_port, peer_port = free_port(), free_port()
        stranger = Party(DSO, peer_port, key=SigningKey(b"!" * 32))
        async with listening(stranger, our_port), peer_process(AGR, peer_port, our_port) as peer:
            stranger.say(asked(), "call 1")
            letter, why = await stranger.given_up.get()
            assert letter == "call 1"
            assert why.startswith("refused with 401")
            assert peer.kinds == ["ready"]

    run(attempt())


def test_what_the_counterparty_sends_with_another_key_is_not_heard() -> None:
    async def attempt() -> None:
        our_port, peer_port = free_port(), free_port()
        party = Party(AGR, peer_port, partner_key=SigningKey(b"!" * 32))
        async with listening(party, our_port), peer_process(DSO, peer_port, our_port) as peer:
            peer.do("request", period="2026-06-01", point=POINT, start=73)
            party.say(DPrognosis(**HALF_HOUR, revision=1, intervals=evening(1)), "prognosis")
            await peer.receives("DPrognosis")
            assert party.heard == []

    run(attempt())
