"""UFTP 3.1 payload messages: our documents of the flexibility trade as XML, and back.

A message passes two gates. `layouts` holds it to the schema; here its record becomes a concept: ISPs become
intervals of epoch seconds, entity addresses the names inside. What breaks the schema is `InvalidInput`; what
keeps it and breaks the market's terms is `RejectedMessage`, whose sender is owed a response.

Source: Shapeshifter specification 3.1, message catalogue and message validation; SPEC 2.5.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeAlias

import msgspec

from environments.uftp import elements, layouts
from environments.uftp.elements import Layout, Record
from environments.uftp.inward import Inward
from environments.uftp.outward import Outward
from environments.uftp.terms import MarketTerms
from ontology.base import Concept
from ontology.errors import InvalidInput, Problem, problem
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
    TradeDocument,
)

__all__ = [
    "VERSION",
    "Content",
    "Message",
    "Metadata",
    "RejectedMessage",
    "TestMessage",
    "TestMessageResponse",
    "from_xml",
    "to_xml",
]

VERSION = "3.1.0"


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What every message says of itself: who to whom, when (epoch seconds), which, in which conversation."""

    sender_domain: str
    recipient_domain: str
    sent_at_s: float
    message_id: str
    conversation_id: str
    version: str = VERSION


class TestMessage(msgspec.Struct, frozen=True):
    """Asks the other side to show that it can be reached."""

    __test__: ClassVar[bool] = False


class TestMessageResponse(msgspec.Struct, frozen=True):
    """Answers a test message."""

    __test__: ClassVar[bool] = False


Content: TypeAlias = Concept | TestMessage | TestMessageResponse


class Message(msgspec.Struct, frozen=True):
    """A payload message: its metadata and what it says."""

    metadata: Metadata
    content: Content


class RejectedMessage(InvalidInput):
    """A message that keeps the schema and not the market's terms: its sender is owed a response.

    `metadata` is the message's, `document` what it is (None for what has no response of its own),
    `reasons` are UFTP's rejection reasons.
    """

    def __init__(
        self, metadata: Metadata, document: TradeDocument | None, problems: Iterable[Problem]
    ) -> None:
        """Hold the message's metadata, what it is, and all that is wrong with it."""
        self.metadata = metadata
        self.document = document
        super().__init__(problems)

    @property
    def reasons(self) -> list[str]:
        """Return each problem as a rejection reason."""
        return [
            ": ".join(part for part in (each.expected, each.path, each.value) if part)
            for each in self.problems
        ]

    def __reduce__(self) -> tuple[Any, Any]:
        return type(self), (self.metadata, self.document, self.problems)


class _Kind(NamedTuple):
    """One kind of message: its layout, and how its record becomes a concept and the other way."""

    layout: Layout
    write: Callable[[Outward, Any], Record]
    read: Callable[[Inward, Record], Mapping[str, Any]]
    document: TradeDocument | None = None


_NAMES: dict[type[Content], str] = {
    DPrognosis: "D-Prognosis",
    FlexRequest: "FlexRequest",
    FlexOffer: "FlexOffer",
    FlexOfferRevocation: "FlexOfferRevocation",
    FlexOrder: "FlexOrder",
    FlexReservation: "FlexReservationUpdate",
    FlexMetering: "Metering",
    FlexSettlement: "FlexSettlement",
    FlexSettlementResponse: "FlexSettlementResponse",
    TestMessage: "TestMessage",
    TestMessageResponse: "TestMessageResponse",
}
_ANSWERED: dict[TradeDocument, str] = {
    TradeDocument.D_PROGNOSIS: "D-Prognosis",
    TradeDocument.FLEX_REQUEST: "FlexRequest",
    TradeDocument.FLEX_OFFER: "FlexOffer",
    TradeDocument.FLEX_OFFER_REVOCATION: "FlexOfferRevocation",
    TradeDocument.FLEX_ORDER: "FlexOrder",
    TradeDocument.FLEX_RESERVATION: "FlexReservationUpdate",
    TradeDocument.METERING: "Metering",
}
_DOCUMENTS = {name: document for document, name in _ANSWERED.items()}
_RESPONSES = {f"{name}Response": document for document, name in _ANSWERED.items()}
_TYPES: dict[str, type[Content]] = {name: cls for cls, name in _NAMES.items()} | dict.fromkeys(
    _RESPONSES, FlexResponse
)


def _nothing(_: object, __: object) -> Record:
    return {}


_KINDS: dict[str, _Kind] = {
    "D-Prognosis": _Kind(layouts.D_PROGNOSIS, Outward.prognosis, Inward.prognosis),
    "FlexRequest": _Kind(layouts.FLEX_REQUEST, Outward.request, Inward.request),
    "FlexOffer": _Kind(layouts.FLEX_OFFER, Outward.offer, Inward.offer),
    "FlexOfferRevocation": _Kind(layouts.FLEX_OFFER_REVOCATION, Outward.revocation, Inward.revocation),
    "FlexOrder": _Kind(layouts.FLEX_ORDER, Outward.order, Inward.order),
    "FlexReservationUpdate": _Kind(layouts.FLEX_RESERVATION_UPDATE, Outward.reservation, Inward.reservation),
    "Metering": _Kind(layouts.METERING, Outward.metering, Inward.metering),
    "FlexSettlement": _Kind(layouts.FLEX_SETTLEMENT, Outward.settlement, Inward.settlement),
    "FlexSettlementResponse": _Kind(
        layouts.FLEX_SETTLEMENT_RESPONSE, Outward.settlement_response, Inward.settlement_response
    ),
    "TestMessage": _Kind(layouts.TEST_MESSAGE, _nothing, _nothing),
    "TestMessageResponse": _Kind(layouts.TEST_MESSAGE, _nothing, _nothing),
} | {
    f"{name}Response": _Kind(layouts.response(name), Outward.response, Inward.response_to(document))
    for document, name in _ANSWERED.items()
}


def no_option(_: str) -> str:
    """Know of no offer."""
    return ""


def to_xml(message: Message, terms: MarketTerms) -> bytes:
    """Return a payload message as XML.

    Raises: InvalidInput with everything that UFTP cannot say: ids that are no UUIDs, congestion points
        without entity address, intervals outside one local day, factors with more than two decimals.
    """
    name = _name_of(message.content)
    kind = _KINDS[name]
    outward = Outward(terms, name)
    record = msgspec.structs.asdict(message.metadata) | kind.write(outward, message.content)
    element = elements.write(name, record, kind.layout, outward.wrong)
    if outward.wrong:
        raise InvalidInput(outward.wrong)
    return elements.render(element)


def from_xml(text: bytes, terms: MarketTerms, sole_option: Callable[[str], str] = no_option) -> Message:
    """Return what a payload message says.

    Args:
        text: the XML document.
        terms: what the market has agreed on.
        sole_option: tells the only option of an offer, by the offer's MessageID, for orders that name none;
            empty when the offer is unknown or has several.
    Raises: InvalidInput with all that breaks the schema; RejectedMessage with all that breaks the terms.
    """
    root = elements.parse(text)
    kind = _KINDS.get(root.tag)
    if kind is None:
        raise InvalidInput(problem(root.tag, "", "a message between aggregator and DSO"))
    wrong: list[Problem] = []
    record = elements.read(root, kind.layout, wrong)
    if wrong:
        raise InvalidInput(wrong)
    metadata = Metadata(**{field: record[field] for field in Metadata.__struct_fields__})
    return Message(metadata, _content(root.tag, record, metadata, Inward(terms, root.tag, sole_option)))


def _content(name: str, record: Record, metadata: Metadata, inward: Inward) -> Content:
    content: Content | None = None
    fields = _KINDS[name].read(inward, record)
    if not inward.wrong:
        content = _concept(_TYPES[name], fields, name, inward.wrong)
    if content is None:
        raise RejectedMessage(metadata, _DOCUMENTS.get(name), inward.wrong)
    return content


def _concept(
    cls: type[Content], fields: Mapping[str, Any], name: str, wrong: list[Problem]
) -> Content | None:
    """Return a concept, held to all its rules, or note what is wrong with it."""
    if not issubclass(cls, Concept):
        return cls()
    try:
        return msgspec.convert({"type": cls.__struct_config__.tag, **fields}, cls)
    except msgspec.ValidationError as error:
        wrong.append(problem(name, str(error), "Invalid Message"))
        return None


def _name_of(content: Content) -> str:
    if isinstance(content, FlexResponse):
        return f"{_ANSWERED[content.document]}Response"
    name = _NAMES.get(type(content))
    if name is None:
        raise InvalidInput(problem("content", type(content).__name__, "a document of the flexibility trade"))
    return name
