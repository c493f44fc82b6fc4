"""The operator of the local market."""

from behaviours.agent import Agent
from behaviours.information.certification import Certification
from behaviours.information.directory import DirectoryFacilitator
from behaviours.market.operation import MarketSurveillance, TariffKeeping
from behaviours.market.registering import TariffRegistering
from ontology.roles import Role

__all__ = ["MarketOperator"]


class MarketOperator(Agent):
    """Keeps the register and default tariffs, and checks every clearing (D8.1 3.3, LEM/LFM management)."""

    role = Role.MARKET_OPERATOR
    behaviours = (
        Certification,  # who is a member
        DirectoryFacilitator,  # who offers what
        TariffKeeping,  # the tariff of each state
        TariffRegistering,  # for all to read
        MarketSurveillance,  # the engine's prices, computed again
    )
