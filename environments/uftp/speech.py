"""What the messages of UFTP are as FIPA acts, and the other way (SPEC 3.3).

Where an act alone says it among agents (refuse, reject-proposal, failure), UFTP has a response: Rejected.
"""

from ontology.base import Concept
from ontology.discourse import Acknowledgement, FailureReport, Refusal, Rejection
from ontology.errors import InvalidInput, problem
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
    OrderVerdict,
    ResponseResult,
    TradeDocument,
)
from ontology.performatives import Performative as Act

__all__ = ["reference_of", "response", "spoken", "written"]

_ACTS: dict[type[Concept], Act] = {
    DPrognosis: Act.INFORM,
    FlexMetering: Act.INFORM,
    FlexReservation: Act.INFORM,
    FlexRequest: Act.CFP,
    FlexOffer: Act.PROPOSE,
    FlexOrder: Act.ACCEPT_PROPOSAL,
    FlexOfferRevocation: Act.CANCEL,
    FlexSettlement: Act.PROPOSE,
}
_REFUSED: dict[TradeDocument, tuple[Act, type[Refusal | FailureReport]]] = {
    TradeDocument.FLEX_REQUEST: (Act.REFUSE, Refusal),
    TradeDocument.FLEX_OFFER: (Act.REJECT_PROPOSAL, Refusal),
    TradeDocument.FLEX_ORDER: (Act.FAILURE, FailureReport),
    TradeDocument.FLEX_OFFER_REVOCATION: (Act.FAILURE, FailureReport),
}
_LONGEST = 4096


def spoken(content: Concept) -> tuple[Act, Concept]:
    """Return the FIPA act of a message that came in, and what an agent is told with it.

    Raises: InvalidInput when it is no document of the trade.
    """
    if isinstance(content, FlexSettlementResponse):
        agreed = all(each.verdict is OrderVerdict.ACCEPTED for each in content.orders)
        return (Act.ACCEPT_PROPOSAL if agreed else Act.REJECT_PROPOSAL), content
    if isinstance(content, FlexResponse):
        return _answer(content)
    act = _ACTS.get(type(content))
    if act is None:
        raise InvalidInput(problem("content", type(content).__name__, "a document of the flexibility trade"))
    return act, content


def _answer(content: FlexResponse) -> tuple[Act, Concept]:
    if content.result is ResponseResult.REJECTED and content.document in _REFUSED:
        act, says = _REFUSED[content.document]
        return act, says(reason="; ".join(content.reasons)[:_LONGEST])
    agreed = content.result is ResponseResult.ACCEPTED and content.document is TradeDocument.FLEX_ORDER
    return (Act.AGREE if agreed else Act.INFORM), content


def written(content: Concept, document: TradeDocument | None, reference: str) -> Concept:
    """Return the document that says outside what a letter says.

    Args:
        content: of the letter: a document of the trade, or the answer to one.
        document: what the letter answers, if anything.
        reference: the id of what it answers.
    Raises: InvalidInput when UFTP has no word for it.
    """
    if isinstance(content, FlexResponse | FlexSettlementResponse) or type(content) in _ACTS:
        return content
    if document is not None:
        match content:
            case Acknowledgement():
                return response(document, reference, [])
            case Refusal() | FailureReport():
                return response(document, reference, [content.reason or "no reason given"])
            case Rejection():
                return response(
                    document, reference, [str(each) for each in content.problems] or ["not understood"]
                )
    raise InvalidInput(
        problem("content", type(content).__name__, "a document of the trade, or an answer to one")
    )


def response(document: TradeDocument, reference: str, reasons: list[str]) -> FlexResponse:
    """Return the response to a document: rejected when there are reasons."""
    result = ResponseResult.REJECTED if reasons else ResponseResult.ACCEPTED
    return FlexResponse(document=document, reference_message_id=reference, result=result, reasons=reasons)


def reference_of(content: Concept) -> str:
    """Return the id of what a document answers or builds on; empty when it is the first of its kind."""
    match content:
        case FlexOffer():
            return content.request_message_id
        case FlexOrder() | FlexOfferRevocation():
            return content.offer_message_id
        case FlexResponse():
            return content.reference_message_id
        case FlexSettlementResponse():
            return content.settlement_message_id
    return ""
