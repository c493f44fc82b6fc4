"""The distribution system operator."""

from behaviours.agent import Agent
from behaviours.grid.monitoring import ActiveNetworkManagement, NetworkMonitoring
from behaviours.market.payments import Paying
from ontology.roles import Role

__all__ = ["Dso"]


class Dso(Agent):
    """Watches the network, sets the traffic light and relieves the grid in an emergency (D8.1 3.9)."""

    role = Role.DSO
    behaviours = (
        NetworkMonitoring,  # measured and foreseen, to green, yellow or red
        ActiveNetworkManagement,  # contracts called in red
        Paying,  # for flexibility and emergency services
    )
