"""Speaking through another: what a portal asks an agent to say in its own name (FIPA SC00033 Brokering)."""

from ontology.base import Address, Concept
from ontology.control import UserOverride
from ontology.directory import DirectoryListing, DirectorySearch
from ontology.discourse import Acknowledgement, AnyConcept, Query, QueryResult
from ontology.flexibility_trading import DemandResponseReport, FlexResponse
from ontology.market import ExternalActivation
from ontology.performatives import Performative

__all__ = ["ProxyAnswer", "ProxyRequest"]


class ProxyRequest(Concept, frozen=True, kw_only=True, tag="parity:ProxyRequest"):
    """Asks an agent to say something in its own name and to hand the answer back (FIPA proxy).

    With `until_agreed` the other's `agree` is answer enough: what comes of it takes longer than a call.
    """

    to: Address
    act: Performative
    content: AnyConcept | Query | UserOverride | ExternalActivation | DirectorySearch
    until_agreed: bool = False


class ProxyAnswer(Concept, frozen=True, kw_only=True, tag="parity:ProxyAnswer"):
    """Hands the other's answer to who wanted something said (FIPA SC00033)."""

    content: (
        AnyConcept | Acknowledgement | QueryResult | DemandResponseReport | FlexResponse | DirectoryListing
    )
