"""The EV profiling and smart charging manager of a site."""

from behaviours.agent import Agent
from behaviours.site.ev_management import ChargingOffering, SessionMonitoring
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.load_management import LoadManagement
from ontology.roles import Role

__all__ = ["EvManager"]


class EvManager(Agent):
    """Follows charging sessions and offers how they could be shifted (D8.1 3.5)."""

    role = Role.EV
    behaviours = (
        SessionMonitoring,  # from plugging in to unplugging
        ChargingOffering,  # how the session could be charged
        LoadManagement,  # what the aggregator's dispatch asks of the charger
        FactReporting,  # what agreements want to know
    )
