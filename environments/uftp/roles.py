"""The roles of the flexibility trade outside, and which messages are whose to send."""

from enum import StrEnum

from environments.uftp.messages import Content, TestMessage, TestMessageResponse
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

__all__ = ["ParticipantRole", "may_say"]


class ParticipantRole(StrEnum):
    """A role of USEF: aggregator, common reference operator, distribution system operator."""

    AGR = "AGR"
    CRO = "CRO"
    DSO = "DSO"


_FROM_AGR = (DPrognosis, FlexOffer, FlexOfferRevocation, FlexMetering, FlexSettlementResponse)
_FROM_DSO = (FlexRequest, FlexOrder, FlexReservation, FlexSettlement)
_OF_DSO = (TradeDocument.FLEX_REQUEST, TradeDocument.FLEX_ORDER, TradeDocument.FLEX_RESERVATION)


def may_say(role: ParticipantRole, content: Content) -> bool:
    """Tell whether a message is a role's to send (Shapeshifter specification 3.1, message catalogue)."""
    if isinstance(content, TestMessage | TestMessageResponse):
        return True
    if isinstance(content, FlexResponse):
        return role is (ParticipantRole.AGR if content.document in _OF_DSO else ParticipantRole.DSO)
    return isinstance(content, {ParticipantRole.AGR: _FROM_AGR, ParticipantRole.DSO: _FROM_DSO}.get(role, ()))
