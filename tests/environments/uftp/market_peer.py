"""The counterparty of a run: as `peer.py`, and it trades by the market's rules from prognosis to settlement.

As a DSO it orders half of the first option and settles what was metered against the prognosis. As an
aggregator it offers all or half of what is asked for at its prices, and meters an order when told to.
"""

import json
import sys
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from peer import BASELINE_W, Aggregator, Operator, main, report, same_day
from shapeshifter_uftp import (
    ContractSettlement,
    ContractSettlementISP,
    ContractSettlementPeriod,
    DPrognosis,
    DPrognosisISP,
    FlexOffer,
    FlexOfferOption,
    FlexOfferOptionISP,
    FlexOfferResponse,
    FlexOrder,
    FlexOrderISP,
    FlexOrderResponse,
    FlexOrderSettlement,
    FlexOrderSettlementISP,
    FlexRequest,
    FlexRequestISP,
    FlexRequestResponse,
    FlexSettlement,
    Metering,
    MeteringISP,
    MeteringProfile,
    MeteringProfileEnum,
    MeteringResponse,
    MeteringUnit,
)
from shapeshifter_uftp.uftp import AvailableRequested
from xsdata.models.datatype import XmlDate, XmlDuration

PENALTY = Decimal("0.2")
"""EUR for each kWh that is missing."""
TICK = Decimal("0.0001")


def rounded(price: Decimal) -> Decimal:
    """A price to the tick."""
    return price.quantize(TICK, ROUND_HALF_UP)


class MarketOperator(Operator):
    """Buys half of what it is offered, and pays for what was delivered."""

    prognoses: dict[str, DPrognosis] = {}

    def process_d_prognosis(self, message: DPrognosis) -> None:
        self.prognoses[message.message_id] = message
        super().process_d_prognosis(message)

    def do_ask(
        self, client: Any, period: str, zone: str, point: str, start: int, expires: str, power: int
    ) -> None:
        isp = FlexRequestISP(
            disposition=AvailableRequested.REQUESTED, min_power=power, max_power=0, start=start, duration=2
        )
        client.send_flex_request(
            FlexRequest(
                isp_duration=XmlDuration("PT15M"),
                time_zone=zone,
                period=XmlDate.from_string(period),
                congestion_point=point,
                revision=1,
                expiration_date_time=expires,
                isps=[isp],
            )
        )

    def process_flex_offer(self, message: FlexOffer) -> None:
        report(message)
        client = self.agr_client(message.sender_domain)
        answer = {"flex_offer_message_id": message.message_id, "conversation_id": message.conversation_id}
        client.send_flex_offer_response(FlexOfferResponse(**answer))
        option = message.offer_options[0]
        order = FlexOrder(
            **same_day(message),
            flex_offer_message_id=message.message_id,
            d_prognosis_message_id=message.d_prognosis_message_id,
            price=rounded(option.price / 2),
            currency=message.currency,
            order_reference=f"order {len(self.orders) + 1}",
            option_reference=option.option_reference,
            activation_factor=Decimal("0.50"),
            isps=[FlexOrderISP(power=i.power, start=i.start, duration=i.duration) for i in option.isps],
        )
        self.orders.append(order)
        client.send_flex_order(order)

    def process_metering(self, message: Metering) -> None:
        report(message)
        client = self.agr_client(message.sender_domain)
        client.send_metering_response(
            MeteringResponse(metering_message_id=message.message_id, conversation_id=message.conversation_id)
        )
        actual = {each.start: int(each.value * 1000) for each in message.profiles[0].isps}
        reserved = ContractSettlementISP(start=1, reserved_power=0)
        nothing = ContractSettlementPeriod(isps=[reserved], period=message.period)
        client.send_flex_settlement(
            FlexSettlement(
                period_start=message.period,
                period_end=message.period,
                currency="EUR",
                flex_order_settlements=[self._worth(each, actual) for each in self.orders],
                contract_settlements=[ContractSettlement(periods=[nothing])],
            )
        )

    def _worth(self, order: FlexOrder, actual: dict[int, int]) -> FlexOrderSettlement:
        """What an order for less consumption is worth, by UFTP's table."""
        foreseen = {each.start: each.power for each in self.prognoses[order.d_prognosis_message_id].isps}
        isps = []
        for each in order.isps:
            ordered = round(each.power * float(order.activation_factor))
            realised = foreseen[each.start] - actual[each.start]
            isps.append(
                FlexOrderSettlementISP(
                    start=each.start,
                    duration=1,
                    baseline_power=foreseen[each.start],
                    ordered_flex_power=ordered,
                    actual_power=actual[each.start],
                    delivered_flex_power=-min(max(realised, 0), -ordered),
                    power_deficiency=max(0, -ordered - realised),
                )
            )
        ordered, delivered, missing = (
            sum(abs(getattr(each, name)) for each in isps)
            for name in ("ordered_flex_power", "delivered_flex_power", "power_deficiency")
        )
        price = Decimal(round(Decimal(order.price) * 10_000 * delivered / ordered)) / 10_000
        penalty = Decimal(round(Decimal(missing) / 4 / 1000 * PENALTY * 10_000)) / 10_000
        return FlexOrderSettlement(
            isps=isps,
            order_reference=order.order_reference,
            period=order.period,
            congestion_point=order.congestion_point,
            price=price,
            penalty=penalty,
            net_settlement=price - penalty,
        )


class MarketAggregator(Aggregator):
    """Sells at 0.03 and 0.014 EUR/kWh, and delivers exactly what it is ordered."""

    offers: dict[str, FlexOffer] = {}
    orders: list[FlexOrder] = []
    revision = 0

    def process_flex_request(self, message: FlexRequest) -> None:
        report(message)
        client = self.dso_client(message.sender_domain)
        taken = FlexRequestResponse(
            flex_request_message_id=message.message_id, conversation_id=message.conversation_id
        )
        client.send_flex_request_response(taken)
        self.revision += 1
        spans = [{"start": each.start, "duration": each.duration} for each in message.isps]
        expected = [DPrognosisISP(power=BASELINE_W, **each) for each in spans]
        prognosis = DPrognosis(**same_day(message), revision=self.revision, isps=expected)
        client.send_d_prognosis(prognosis)
        kwh = Decimal(sum(-each.min_power * each.duration for each in message.isps)) / 4000
        options = [
            FlexOfferOption(
                option_reference=name,
                price=rounded(kwh * share * Decimal(price)),
                min_activation_factor=Decimal("1.00"),
                isps=[
                    FlexOfferOptionISP(
                        power=int(each.min_power * share), start=each.start, duration=each.duration
                    )
                    for each in message.isps
                ],
            )
            for name, share, price in (("all", Decimal(1), "0.03"), ("half", Decimal("0.5"), "0.014"))
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
        self.orders.append(message)
        taken = FlexOrderResponse(
            flex_order_message_id=message.message_id, conversation_id=message.conversation_id
        )
        self.dso_client(message.sender_domain).send_flex_order_response(taken)

    def do_meter(self, client: Any, reference: str) -> None:
        """Meter an order of ours, by the EAN of its congestion point."""
        order = next(each for each in self.orders if each.order_reference == reference)
        self.revision += 1
        metered = [
            MeteringISP(
                start=each.start + i,
                value=Decimal(BASELINE_W + round(each.power * float(order.activation_factor))) / 1000,
            )
            for each in order.isps
            for i in range(each.duration)
        ]
        profile = MeteringProfile(isps=metered, profile_type=MeteringProfileEnum.POWER, unit=MeteringUnit.K_W)
        client.send_metering(
            Metering(
                profiles=[profile],
                revision=self.revision,
                isp_duration=order.isp_duration,
                time_zone=order.time_zone,
                period=order.period,
                ean="E" + order.congestion_point.removeprefix("ean."),
            )
        )


main(json.loads(sys.argv[1]), MarketAggregator, MarketOperator)
