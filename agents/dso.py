"""The distribution system operator."""

from behaviours.agent import Agent
from behaviours.grid.active_network_management import ActiveNetworkManagement
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.grid.flexibility_settling import FlexibilitySettling
from behaviours.grid.monitoring import NetworkMonitoring
from behaviours.information.delegation import Delegation
from behaviours.market.payments import Paying
from ontology.roles import Role

__all__ = ["Dso"]


class Dso(Agent):
    """Watches the network, sets the traffic light and relieves the grid in an emergency (D8.1 3.9)."""

    role = Role.DSO
    behaviours = (
        NetworkMonitoring,  # measured and foreseen, to green, yellow or red
        DstatcomCoordination,  # phases evened out, or voltage held, by the units of a feeder together
        ActiveNetworkManagement,  # contracts called in red
        Paying,  # for flexibility and emergency services
        FlexibilityProcurement,  # flexibility bought before it comes to that
        FlexibilitySettling,  # and paid for what was delivered
        Delegation,  # what its operators want said
    )
