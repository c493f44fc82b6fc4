"""The markets outside the community, emulated (D8.1 3.8.2: BRP and TSO)."""

from behaviours.agent import Agent
from behaviours.market.external_bidding import BidClearing
from ontology.roles import Role

__all__ = ["ExternalMarkets"]


class ExternalMarkets(Agent):
    """Clears bids for wholesale and ancillary services at seeded prices (SPEC 2.6)."""

    role = Role.EXTERNAL_MARKETS
    behaviours = (
        BidClearing,  # accepts what is cheap enough, in green
    )
