"""Oracles: they carry measurements to the ledger's side, each for one node of the community."""

from behaviours.agent import Agent
from behaviours.information.delegation import Delegation
from behaviours.information.delivery import AggregateDelivery, DatasetDelivery, GridStateDelivery
from behaviours.information.metrics import MetricGathering
from behaviours.information.pseudonymisation import PseudonymRecording
from behaviours.information.service_levels import KpiDelivery, SlaConfiguration
from ontology.roles import Role

__all__ = ["AggregatorOracle", "DsoOracle", "ProsumerOracle"]


class ProsumerOracle(Agent):
    """Carries a site's reading and forecast, under its pseudonym (D8.1 3.4)."""

    role = Role.ORACLE
    behaviours = (
        DatasetDelivery,  # reading and forecast of each interval
        PseudonymRecording,  # the link table, at the repository
        SlaConfiguration,  # what is agreed
        MetricGathering,  # what its indicators need
        KpiDelivery,  # what the indicators came to
        Delegation,  # what an oracle outside brings
    )


class AggregatorOracle(Agent):
    """Carries the portfolio's sums (D8.1 4.1.1)."""

    role = Role.ORACLE
    behaviours = (
        AggregateDelivery,  # the portfolio's reading of each interval
    )


class DsoOracle(Agent):
    """Carries the state of the grid (D8.1 3.9.3)."""

    role = Role.ORACLE
    behaviours = (
        GridStateDelivery,  # the light and limits of each segment
    )
