"""The prosumer: a household that plans its devices and takes part in the market."""

from behaviours.agent import Agent
from behaviours.site.planning import LoadForecasting, MarketListening, SitePlanning
from ontology.roles import Role

__all__ = ["Prosumer"]


class Prosumer(Agent):
    """Speaks for a site and joins its devices into one plan (D8.1 3.8, prosumer flexibility manager)."""

    role = Role.PROSUMER
    behaviours = (
        LoadForecasting,  # what no device explains
        MarketListening,  # prices, markets and results
        SitePlanning,  # the day's plan and its instructions
    )
