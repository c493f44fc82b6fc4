"""The distribution system operator."""

from behaviours.agent import Agent
from behaviours.grid.activation_limiting import ActivationLimiting
from behaviours.grid.active_network_management import ActiveNetworkManagement
from behaviours.grid.contingency import Contingency
from behaviours.grid.der_dispatch import DerDispatch
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.grid.flexibility_settling import FlexibilitySettling
from behaviours.grid.marketplace_keeping import MarketplaceKeeping
from behaviours.grid.measuring import NetworkMeasuring
from behaviours.grid.monitoring import NetworkMonitoring
from behaviours.grid.relief_planning import ReliefPlanning
from behaviours.grid.smart_marketplace import SmartMarketplace
from behaviours.information.delegation import Delegation
from behaviours.market.payments import Paying
from behaviours.site.fact_reporting import FactReporting
from ontology.roles import Role

__all__ = ["Dso"]


class Dso(Agent):
    """Watches the network, sets the traffic light and relieves the grid in an emergency (D8.1 3.9)."""

    role = Role.DSO
    behaviours = (
        NetworkMeasuring,  # what the monitoring system says, each minute
        NetworkMonitoring,  # measured and foreseen, to green, yellow or red
        DstatcomCoordination,  # phases evened out, or voltage held, by the units of a feeder together
        ReliefPlanning,  # the cheapest means for what is foreseen, in their order
        DerDispatch,  # its own assets instructed
        Contingency,  # at once, when something happens to the network
        ActiveNetworkManagement,  # contracts called in red
        Paying,  # for flexibility and emergency services
        FlexibilityProcurement,  # flexibility bought before it comes to that
        FlexibilitySettling,  # and paid for what was delivered
        MarketplaceKeeping,  # what was asked for, offered and called for
        SmartMarketplace,  # one place to read of all that
        ActivationLimiting,  # what the TSO may activate in its segments
        Delegation,  # what its operators want said
        FactReporting,  # states and limits, until the repository has them
    )
