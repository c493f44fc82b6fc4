"""Participants of the flexibility trade outside, as agents of the community."""

from behaviours.agent import Agent
from behaviours.exchange.foreign_aggregator import ForeignAggregator
from behaviours.exchange.foreign_operator import ForeignOperator
from ontology.roles import Role

__all__ = ["AggregatorGateway", "DsoGateway"]


class AggregatorGateway(Agent):
    """Stands for an aggregator outside that sells to the community's DSO (SPEC 2.5)."""

    role = Role.FLEXIBILITY_GATEWAY
    behaviours = (ForeignAggregator,)  # offers, orders and settlements, out and in


class DsoGateway(Agent):
    """Stands for a DSO outside that buys from the community's aggregator (SPEC 2.5)."""

    role = Role.FLEXIBILITY_GATEWAY
    behaviours = (ForeignOperator,)  # prognoses and meterings by the day, requests and orders, out and in
