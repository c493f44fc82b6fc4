"""The heat (P2H) manager of a site."""

from behaviours.agent import Agent
from behaviours.site.heat_management import HeatOffering
from ontology.roles import Role

__all__ = ["HeatManager"]


class HeatManager(Agent):
    """Offers how heating a building and its water could be shifted (D8.1 3.6, building as a battery)."""

    role = Role.P2H
    behaviours = (
        HeatOffering,  # envelopes of building and tank
    )
