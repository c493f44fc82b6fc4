"""A counterparty made of the shapeshifter-uftp package; runs in that package's own environment (.venv-uftp).

It answers what comes in as a willing aggregator or DSO does, says on its output, line by line in JSON, what
came in, and does what its input says: {"do": "request" | "reserve" | "revoke" | "test", …}.
"""

import json
import os
import sys
from decimal import Decimal
from threading import Lock
from typing import Any

from shapeshifter_uftp import (
    AcceptedRejected,
    ContractSettlement,
    ContractSettlementISP,
    ContractSettlementPeriod,
    DPrognosis,
    DPrognosisISP,
    DPrognosisResponse,
    FlexOffer,
    FlexOfferOption,
    FlexOfferOptionISP,
    FlexOfferResponse,
    FlexOfferRevocation,
    FlexOfferRevocationResponse,
    FlexOrder,
    FlexOrderISP,
    FlexOrderResponse,
    FlexOrderSettlement,
    FlexOrderSettlementISP,
    FlexOrderSettlementStatus,
    FlexRequest,
    FlexRequestISP,
    FlexRequestResponse,
    FlexReservationUpdate,
    FlexReservationUpdateISP,
    FlexReservationUpdateResponse,
    FlexSettlement,
    FlexSettlementResponse,
    Metering,
    MeteringISP,
    MeteringProfile,
    MeteringProfileEnum,
    MeteringResponse,
    MeteringUnit,
    ShapeshifterAgrService,
    ShapeshifterDsoService,
)
from shapeshifter_uftp.transport import to_json
from shapeshifter_uftp.uftp import AcceptedDisputed, AvailableRequested
from xsdata.models.datatype import XmlDate, XmlDuration

ORDERED_W, BASELINE_W = -3000, 10_000


OUTPUT = os.fdopen(os.dup(1), "w")
"""The output of old; what libraries print goes to standard error."""
os.dup2(2, 1)
SPEAKING = Lock()


def say(kind: str, message: str = "{}") -> None:
    """Write a line of output; several threads do."""
    with SPEAKING:
        OUTPUT.write(json.dumps({"received": kind, "message": json.loads(message)}) + "\n")
        OUTPUT.flush()


def report(message: Any) -> None:
    """Say what came in, in one line."""
    say(type(message).__name__, to_json(message))


def same_day(message: Any) -> dict[str, Any]:
    """What a message about the same day, point and conversation has in common with another."""
    fields = ("isp_duration", "time_zone", "period", "congestion_point", "conversation_id")
    return {each: getattr(message, each) for each in fields}


class Aggregator(ShapeshifterAgrService):
    """Offers what is asked for, whole or half, delivers what is ordered, accepts what has no penalty."""

    def process_flex_request(self, message: FlexRequest) -> None:
        report(message)
        client = self.dso_client(message.sender_domain)
        taken = FlexRequestResponse(
            flex_request_message_id=message.message_id, conversation_id=message.conversation_id
        )
        client.send_flex_request_response(taken)
        wanted = [each for each in message.isps if each.disposition == AvailableRequested.REQUESTED]
        spans = [{"start": each.start, "duration": each.duration} for each in wanted]
        expected = [DPrognosisISP(power=BASELINE_W, **each) for each in spans]
        prognosis = DPrognosis(**same_day(message), revision=1, isps=expected)
        client.send_d_prognosis(prognosis)
        options = [
            FlexOfferOption(
                option_reference=name,
                price=Decimal(price),
                min_activation_factor=Decimal("0.25"),
                isps=[
                    FlexOfferOptionISP(power=each.min_power // part, start=each.start, duration=each.duration)
                    for each in wanted
                ],
            )
            for name, price, part in (("all", "1.50", 1), ("half", "0.6001", 2))
        ]
        offer = FlexOffer(
            **same_day(message),
            flex_request_message_id=message.message_id,
            d_prognosis_message_id=prognosis.message_id,
            expiration_date_time=message.expiration_date_time,
            offer_options=options,
        )
        client.send_flex_offer(offer)

    def process_flex_order(self, message: FlexOrder) -> None:
        report(message)
        client = self.dso_client(message.sender_domain)
        taken = FlexOrderResponse(
            flex_order_message_id=message.message_id, conversation_id=message.conversation_id
        )
        client.send_flex_order_response(taken)
        metered = [
            MeteringISP(start=each.start + i, value=Decimal(BASELINE_W + each.power) / 1000)
            for each in message.isps
            for i in range(each.duration)
        ]
        client.send_metering(
            Metering(
                profiles=[
                    MeteringProfile(
                        isps=metered, profile_type=MeteringProfileEnum.POWER, unit=MeteringUnit.K_W
                    )
                ],
                revision=1,
                isp_duration=message.isp_duration,
                time_zone=message.time_zone,
                period=message.period,
                ean="E" + message.congestion_point.removeprefix("ean."),
            )
        )

    def process_flex_reservation_update(self, message: FlexReservationUpdate) -> None:
        report(message)
        self.dso_client(message.sender_domain).send_flex_reservation_update_response(
            FlexReservationUpdateResponse(
                flex_reservation_update_message_id=message.message_id, conversation_id=message.conversation_id
            )
        )

    def process_flex_settlement(self, message: FlexSettlement) -> None:
        report(message)
        verdicts = [
            FlexOrderSettlementStatus(
                order_reference=each.order_reference,
                disposition=AcceptedDisputed.DISPUTED if each.penalty else AcceptedDisputed.ACCEPTED,
                dispute_reason="we delivered" if each.penalty else None,
            )
            for each in message.flex_order_settlements
        ]
        self.dso_client(message.sender_domain).send_flex_settlement_response(
            FlexSettlementResponse(
                flex_settlement_message_id=message.message_id,
                flex_order_settlement_statuses=verdicts,
                conversation_id=message.conversation_id,
            )
        )

    def do_revoke(self, client: Any, offer: str) -> None:
        client.send_flex_offer_revocation(FlexOfferRevocation(flex_offer_message_id=offer))

    process_d_prognosis_response = process_flex_offer_response = staticmethod(report)
    process_flex_offer_revocation_response = process_metering_response = staticmethod(report)
    process_agr_portfolio_query_response = process_agr_portfolio_update_response = staticmethod(report)
    process_test_message_response = staticmethod(report)


class Operator(ShapeshifterDsoService):
    """Orders the first option of an offer, and settles an order when it is metered."""

    orders: list[FlexOrder] = []

    def process_d_prognosis(self, message: DPrognosis) -> None:
        report(message)
        self.agr_client(message.sender_domain).send_d_prognosis_response(
            DPrognosisResponse(
                d_prognosis_message_id=message.message_id, conversation_id=message.conversation_id
            )
        )

    def process_flex_offer(self, message: FlexOffer) -> None:
        report(message)
        client = self.agr_client(message.sender_domain)
        answer = {"flex_offer_message_id": message.message_id, "conversation_id": message.conversation_id}
        if message.unsolicited:
            rejected = {"result": AcceptedRejected.REJECTED, "rejection_reason": "nobody asked; not now"}
            client.send_flex_offer_response(FlexOfferResponse(**answer, **rejected))
            return
        client.send_flex_offer_response(FlexOfferResponse(**answer))
        option = message.offer_options[0]
        order = FlexOrder(
            **same_day(message),
            flex_offer_message_id=message.message_id,
            d_prognosis_message_id=message.d_prognosis_message_id,
            price=option.price / 2,
            currency=message.currency,
            order_reference=f"order {len(self.orders) + 1}",
            option_reference=option.option_reference if len(message.offer_options) > 1 else None,
            activation_factor=Decimal("0.50"),
            isps=[FlexOrderISP(power=i.power, start=i.start, duration=i.duration) for i in option.isps],
        )
        self.orders.append(order)
        client.send_flex_order(order)

    def process_flex_offer_revocation(self, message: FlexOfferRevocation) -> None:
        report(message)
        self.agr_client(message.sender_domain).send_flex_offer_revocation_response(
            FlexOfferRevocationResponse(
                flex_offer_revocation_message_id=message.message_id,
                conversation_id=message.conversation_id,
                result=AcceptedRejected.REJECTED,
                rejection_reason="it has been ordered",
            )
        )

    def process_metering(self, message: Metering) -> None:
        report(message)
        client = self.agr_client(message.sender_domain)
        client.send_metering_response(
            MeteringResponse(metering_message_id=message.message_id, conversation_id=message.conversation_id)
        )
        reserved = ContractSettlementISP(start=1, reserved_power=0)
        client.send_flex_settlement(
            FlexSettlement(
                period_start=message.period,
                period_end=message.period,
                currency="EUR",
                flex_order_settlements=[self._settled(each) for each in self.orders],
                contract_settlements=[
                    ContractSettlement(
                        periods=[ContractSettlementPeriod(isps=[reserved], period=message.period)]
                    )
                ],
            )
        )

    def _settled(self, order: FlexOrder) -> FlexOrderSettlement:
        isps = [
            FlexOrderSettlementISP(
                start=each.start,
                duration=each.duration,
                baseline_power=BASELINE_W,
                ordered_flex_power=each.power,
                actual_power=BASELINE_W,
                delivered_flex_power=0,
                power_deficiency=-each.power,
            )
            for each in order.isps
        ]
        return FlexOrderSettlement(
            isps=isps,
            order_reference=order.order_reference,
            period=order.period,
            congestion_point=order.congestion_point,
            price=order.price,
            penalty=order.price,
            net_settlement=Decimal(0),
        )

    def do_request(self, client: Any, period: str, point: str, start: int) -> None:
        client.send_flex_request(
            FlexRequest(
                **self._frame(period, point),
                revision=1,
                expiration_date_time=f"{period}T00:00:00+02:00",
                isps=[
                    FlexRequestISP(
                        disposition=AvailableRequested.REQUESTED,
                        min_power=ORDERED_W,
                        max_power=0,
                        start=start,
                        duration=2,
                    )
                ],
            )
        )

    def do_reserve(self, client: Any, period: str, point: str, contract: str) -> None:
        isps = [FlexReservationUpdateISP(power=ORDERED_W, start=1, duration=96)]
        update = {"contract_id": contract, "reference": "reservation 1", "isps": isps}
        client.send_flex_reservation_update(FlexReservationUpdate(**self._frame(period, point), **update))

    def _frame(self, period: str, point: str) -> dict[str, Any]:
        return {
            "isp_duration": XmlDuration("PT15M"),
            "time_zone": "Europe/Amsterdam",
            "period": XmlDate.from_string(period),
            "congestion_point": point,
        }

    process_flex_request_response = process_flex_order_response = staticmethod(report)
    process_flex_reservation_update_response = process_flex_settlement_response = staticmethod(report)
    process_dso_portfolio_query_response = process_dso_portfolio_update_response = staticmethod(report)
    process_test_message_response = staticmethod(report)


def main(settings: dict[str, Any], aggregator: type[Any], operator: type[Any]) -> None:
    """Be a participant until the input ends."""
    service_class, other = {"AGR": (aggregator, "DSO"), "DSO": (operator, "AGR")}[settings["role"]]
    service = service_class(
        sender_domain=settings["domain"],
        signing_key=settings["signing_key"],
        key_lookup_function=lambda domain, role: settings["partner_key"],
        endpoint_lookup_function=lambda domain, role: settings["partner_url"],
        host="127.0.0.1",
        port=settings["port"],
    )
    with service:
        say("ready")
        for line in sys.stdin:
            command = json.loads(line)
            client = service._get_client(settings["partner_domain"], other)
            if command["do"] == "test":
                client.send_test_message()
            else:
                getattr(service, f"do_{command.pop('do')}")(client, **command)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Aggregator, Operator)
