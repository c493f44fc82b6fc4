"""The operator of the local market."""

from behaviours.agent import Agent
from behaviours.market.operation import MarketSurveillance, TariffKeeping
from ontology.roles import Role

__all__ = ["MarketOperator"]


class MarketOperator(Agent):
    """Sets default tariffs and checks every clearing with a replica of the rule (D8.1 3.3)."""

    role = Role.MARKET_OPERATOR
    behaviours = (
        TariffKeeping,  # the tariff of each state
        MarketSurveillance,  # the engine's prices, computed again
    )
