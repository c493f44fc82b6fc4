"""The attributes and elements of each UFTP message, as its schema has them (Shapeshifter XSD 3.1)."""

import re

from environments.uftp import elements as xml
from environments.uftp.elements import REQUIRED, Attribute, Child, Kind, Layout
from ontology.flexibility_trading import Disposition, OrderVerdict, ResponseResult

__all__ = [
    "D_PROGNOSIS",
    "FLEX_OFFER",
    "FLEX_OFFER_REVOCATION",
    "FLEX_ORDER",
    "FLEX_REQUEST",
    "FLEX_RESERVATION_UPDATE",
    "FLEX_SETTLEMENT",
    "FLEX_SETTLEMENT_RESPONSE",
    "METERING",
    "TEST_MESSAGE",
    "response",
]

_VERSION = Kind(re.compile(r"3\.[01]\.[0-9]+"), "3.0.x or 3.1.x", str, str)
_RESULT = xml.choice(ResponseResult)

_METADATA = (
    Attribute("Version", "version", _VERSION),
    Attribute("SenderDomain", "sender_domain", xml.DOMAIN),
    Attribute("RecipientDomain", "recipient_domain", xml.DOMAIN),
    Attribute("TimeStamp", "sent_at_s", xml.MOMENT),
    Attribute("MessageID", "message_id", xml.UUID),
    Attribute("ConversationID", "conversation_id", xml.UUID),
)
_ANSWER = (
    *_METADATA,
    Attribute("Result", "result", _RESULT),
    Attribute("RejectionReason", "rejection_reason", xml.TEXT, ""),
)
_PERIOD = (
    Attribute("ISP-Duration", "isp_duration", xml.ISP_LENGTH),
    Attribute("TimeZone", "time_zone", xml.ZONE),
    Attribute("Period", "period", xml.DAY),
)
_FLEX = (*_METADATA, *_PERIOD, Attribute("CongestionPoint", "congestion_point", xml.ENTITY))
_CONTRACT = Attribute("ContractID", "contract_id", xml.TEXT, "")
_BASELINE = (
    Attribute("D-PrognosisMessageID", "prognosis_message_id", xml.UUID, ""),
    Attribute("BaselineReference", "baseline_reference", xml.TEXT, ""),
)
_CURRENCY = Attribute("Currency", "currency", xml.CURRENCY)
_REVISION = Attribute("Revision", "revision", xml.NUMBER)
_EXPIRATION = Attribute("ExpirationDateTime", "expiration_s", xml.INSTANT)
_SPAN = (Attribute("Start", "start", xml.POSITIVE), Attribute("Duration", "duration", xml.POSITIVE, 1))


def _isps(*attributes: Attribute) -> tuple[Child, ...]:
    return (Child("ISP", "intervals", Layout((*attributes, *_SPAN))),)


def _power(name: str, field: str, default: object = REQUIRED) -> Attribute:
    return Attribute(name, field, xml.NUMBER, default)


_POWERS = _isps(_power("Power", "power_w"))

D_PROGNOSIS = Layout((*_FLEX, _REVISION), _POWERS)

FLEX_REQUEST = Layout(
    (*_FLEX, _REVISION, _EXPIRATION, _CONTRACT, Attribute("ServiceType", "service_type", xml.TEXT, "")),
    _isps(
        Attribute("Disposition", "disposition", xml.choice(Disposition), None),
        _power("MinPower", "power_min_w"),
        _power("MaxPower", "power_max_w"),
    ),
)

_OFFER_OPTION = Layout(
    (
        Attribute("OptionReference", "option_reference", xml.TEXT),
        Attribute("Price", "price_ticks", xml.AMOUNT),
        Attribute("MinActivationFactor", "activation_min", xml.FACTOR, 1.0),
    ),
    _POWERS,
)

FLEX_OFFER = Layout(
    (
        *_FLEX,
        _EXPIRATION,
        Attribute("Unsolicited", "unsolicited", xml.FLAG, False),
        Attribute("FlexRequestMessageID", "request_message_id", xml.UUID, ""),
        _CONTRACT,
        *_BASELINE,
        _CURRENCY,
    ),
    (Child("OfferOption", "options", _OFFER_OPTION),),
)

FLEX_ORDER = Layout(
    (
        *_FLEX,
        Attribute("FlexOfferMessageID", "offer_message_id", xml.UUID, ""),
        _CONTRACT,
        *_BASELINE,
        Attribute("Price", "price_ticks", xml.AMOUNT),
        _CURRENCY,
        Attribute("OrderReference", "order_reference", xml.TEXT),
        Attribute("OptionReference", "option_reference", xml.TEXT, ""),
        Attribute("ActivationFactor", "activation_factor", xml.FACTOR, 1.0),
    ),
    _POWERS,
    ignored=frozenset({"Unsolicited", "ServiceType"}),
)

FLEX_OFFER_REVOCATION = Layout((*_METADATA, Attribute("FlexOfferMessageID", "offer_message_id", xml.UUID)))

FLEX_RESERVATION_UPDATE = Layout(
    (
        *_FLEX,
        Attribute("ContractID", "contract_id", xml.TEXT),
        Attribute("Reference", "reference", xml.TEXT),
    ),
    _POWERS,
)

_PROFILE = Layout(
    (
        Attribute(
            "ProfileType",
            "profile",
            xml.word("Power", "ImportEnergy", "ExportEnergy", "ImportMeterReading", "ExportMeterReading"),
        ),
        Attribute("Unit", "unit", xml.word("kW", "kWh")),
    ),
    (
        Child(
            "ISP",
            "intervals",
            Layout((Attribute("Start", "start", xml.POSITIVE), Attribute("Value", "value", xml.KILO))),
        ),
    ),
)

METERING = Layout(
    (*_METADATA, _REVISION, *_PERIOD, Attribute("EAN", "ean", xml.METER)),
    (Child("Profile", "profiles", _PROFILE),),
    ignored=frozenset({"Currency"}),
)

_SETTLEMENT_ISPS = _isps(
    _power("BaselinePower", "baseline_w"),
    _power("OrderedFlexPower", "ordered_w"),
    _power("ActualPower", "actual_w"),
    _power("DeliveredFlexPower", "delivered_w"),
    _power("PowerDeficiency", "deficiency_w", 0),
    # The schema itself misspells the name, and those who generate code from it do too.
    _power("PoweDeficiency", "deficiency_misspelt_w", 0),
)

_ORDER_SETTLEMENT = Layout(
    (
        Attribute("OrderReference", "order_reference", xml.TEXT, ""),
        Attribute("Period", "period", xml.DAY),
        _CONTRACT,
        *_BASELINE,
        Attribute("CongestionPoint", "congestion_point", xml.ENTITY),
        Attribute("Price", "price_ticks", xml.AMOUNT),
        Attribute("Penalty", "penalty_ticks", xml.AMOUNT, 0),
        Attribute("NetSettlement", "net_ticks", xml.AMOUNT),
    ),
    _SETTLEMENT_ISPS,
)

_CONTRACT_PERIOD = Layout(
    (Attribute("Period", "period", xml.DAY),),
    _isps(
        _power("ReservedPower", "reserved_w"),
        _power("RequestedPower", "requested_w", None),
        _power("AvailablePower", "available_w", None),
        _power("OfferedPower", "offered_w", None),
        _power("OrderedPower", "ordered_w", None),
    ),
)

FLEX_SETTLEMENT = Layout(
    (
        *_ANSWER,
        Attribute("PeriodStart", "period_start", xml.DAY),
        Attribute("PeriodEnd", "period_end", xml.DAY),
        _CURRENCY,
    ),
    (
        Child("FlexOrderSettlement", "orders", _ORDER_SETTLEMENT),
        # The specification's text allows none, its schema demands one.
        Child(
            "ContractSettlement",
            "contracts",
            Layout((_CONTRACT,), (Child("Period", "periods", _CONTRACT_PERIOD),)),
            0,
        ),
    ),
)

FLEX_SETTLEMENT_RESPONSE = Layout(
    (*_ANSWER, Attribute("FlexSettlementMessageID", "settlement_message_id", xml.UUID)),
    (
        Child(
            "FlexOrderSettlementStatus",
            "orders",
            Layout(
                (
                    Attribute("OrderReference", "order_reference", xml.TEXT, ""),
                    Attribute("Disposition", "verdict", xml.choice(OrderVerdict)),
                    Attribute("DisputeReason", "reason", xml.TEXT, ""),
                )
            ),
        ),
    ),
)

TEST_MESSAGE = Layout(_METADATA, ignored=frozenset({"Result", "RejectionReason"}))

_ORDER_STATUS = Layout(
    (
        Attribute("FlexOrderMessageID", "order_message_id", xml.UUID),
        Attribute("IsValidated", "validated", xml.FLAG),
    )
)


def response(name: str) -> Layout:
    """Return the layout of the response to a message of a name."""
    statuses = (Child("FlexOrderStatus", "statuses", _ORDER_STATUS, 0),) if name == "D-Prognosis" else ()
    return Layout((*_ANSWER, Attribute(f"{name}MessageID", "reference_message_id", xml.UUID)), statuses)
