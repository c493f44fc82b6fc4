"""The aggregator of a community's flexibility."""

from behaviours.agent import Agent
from behaviours.information.delegation import Delegation
from behaviours.information.directory import DirectoryMembership
from behaviours.market.agreements import AgreementWriting
from behaviours.market.demand_response import DemandResponse
from behaviours.market.external_bidding import ExternalBidding, ExternalDelivering, ReserveKeeping
from behaviours.market.flexibility_metering import FlexibilityMetering
from behaviours.market.flexibility_offering import FlexibilityOffering
from behaviours.market.opening import LemOpening, PriceRelaying, TrafficLightObedience
from behaviours.market.payments import Paying
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.vpp.dispatching import DerDispatch
from behaviours.vpp.initiation import VppInitiation
from behaviours.vpp.reporting import VppReporting
from ontology.roles import Role

__all__ = ["Aggregator"]


class Aggregator(Agent):
    """Groups the prosumers of a portfolio and acts for them under the traffic light (D8.1 3.8)."""

    role = Role.AGGREGATOR
    behaviours = (
        AgreementWriting,  # agreements with the prosumers
        PortfolioKeeping,  # what each member could do
        TrafficLightObedience,  # what the grid's state allows
        LemOpening,  # a market for every interval
        PriceRelaying,  # prices ahead, to the prosumers
        DemandResponse,  # the DSO's emergency signals
        FlexibilityOffering,  # the DSO's requests for flexibility
        FlexibilityMetering,  # what was delivered of them, and what it is worth
        DirectoryMembership,  # to be found by others
        Paying,  # what members of plants have earned
        VppInitiation,  # virtual power plants, for who wants flexibility
        DerDispatch,  # by the minute, while plants deliver
        VppReporting,  # clusters' properties and prosumers' metrics
        ExternalBidding,  # wholesale and reserves, green only
        ExternalDelivering,  # what was sold, and what it earned
        ReserveKeeping,  # batteries, for the frequency
        Delegation,  # what its operators want said
    )
