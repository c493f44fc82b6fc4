"""The heat (P2H) manager of a site."""

from behaviours.agent import Agent
from behaviours.site.building_learning import BuildingLearning
from behaviours.site.comfort_keeping import ComfortKeeping
from behaviours.site.heat_control import HeatControl
from behaviours.site.heat_management import HeatOffering
from ontology.roles import Role

__all__ = ["HeatManager"]


class HeatManager(Agent):
    """Offers and steers how a building and its water are heated, and lights dimmed (D8.1 3.6)."""

    role = Role.P2H
    behaviours = (
        BuildingLearning,  # what the building is like
        ComfortKeeping,  # what its people want
        HeatOffering,  # envelopes of building, tank and lights
        HeatControl,  # what the devices do between two plans
    )
