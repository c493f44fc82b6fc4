"""The markets outside the community, emulated (D8.1 3.8.2: BRP and TSO)."""

from behaviours.agent import Agent
from behaviours.information.delegation import Delegation
from behaviours.market.external_clearing import BidClearing, FrequencyWatching, ReserveCalling, SaleSettling
from ontology.roles import Role

__all__ = ["ExternalMarkets"]


class ExternalMarkets(Agent):
    """Clears bids for wholesale and ancillary services at seeded prices (SPEC 2.6)."""

    role = Role.EXTERNAL_MARKETS
    behaviours = (
        BidClearing,  # a book of bids, a gate, a price; in green only
        ReserveCalling,  # mFRR, called now and then
        FrequencyWatching,  # FCR-D, called by the frequency
        SaleSettling,  # ordered, delivered, and what the difference costs
        Delegation,  # what a BRP or TSO outside wants said
    )
