"""Attestors: one at each of a configured few nodes, so that nobody settles alone."""

from behaviours.agent import Agent
from behaviours.market.attestation import Attesting
from behaviours.market.attestor_evidence import Evidence, MarketWatching, PaymentEvidence
from behaviours.market.settled_markets import SettledMarkets
from ontology.roles import Role

__all__ = ["Attestor"]


class Attestor(Agent):
    """Computes every result anew from what the oracles brought, and signs it for the ledger (SPEC 4.3)."""

    role = Role.BLOCKCHAIN
    behaviours = (
        MarketWatching,  # under which terms markets are held
        Evidence,  # what each player brought
        SettledMarkets,  # what was settled with estimates
        PaymentEvidence,  # what payers ordered
        Attesting,  # the result, computed again
    )
