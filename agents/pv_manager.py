"""The PV manager of a site."""

from behaviours.agent import Agent
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.pv_management import PvCurtailment, PvForecasting, PvMonitoring
from ontology.roles import Role

__all__ = ["PvManager"]


class PvManager(Agent):
    """Forecasts and watches a photovoltaic plant (D8.1 3.6)."""

    role = Role.PV
    behaviours = (
        PvForecasting,  # what the plant will give
        PvCurtailment,  # what it was told to keep to
        PvMonitoring,  # whether it gives what it should
        FactReporting,  # alarms, until the repository has them
    )
