"""The prosumer: a household that plans its devices and takes part in the market."""

from behaviours.agent import Agent
from behaviours.information.delegation import Delegation
from behaviours.information.directory import DirectoryMembership
from behaviours.market.payments import Paying
from behaviours.site.alarm_listening import AlarmListening
from behaviours.site.consent_heeding import ConsentHeeding
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.frequency_response import ReserveRelaying
from behaviours.site.load_forecasting import LoadForecasting
from behaviours.site.market_listening import MarketListening
from behaviours.site.overriding import OverrideHeeding
from behaviours.site.planning import SitePlanning
from behaviours.site.responding import ResponseReporting
from behaviours.site.signal_reporting import SignalReporting
from behaviours.vpp.dispatching import DispatchFollowing
from behaviours.vpp.initiation import VppInitiation
from behaviours.vpp.membership import VppMembership
from behaviours.vpp.reporting import SiteReporting
from behaviours.vpp.selection import ScheduleNegotiation
from ontology.roles import Role

__all__ = ["Prosumer"]


class Prosumer(Agent):
    """Speaks for a site and joins its devices into one plan (D8.1 3.8, prosumer flexibility manager)."""

    role = Role.PROSUMER
    behaviours = (
        LoadForecasting,  # what no device explains
        MarketListening,  # prices, markets and results
        SignalReporting,  # what was planned before a signal, and what was done
        SitePlanning,  # the day's plan and its instructions
        OverrideHeeding,  # what its people want instead
        ReserveRelaying,  # the battery's reserve, to the aggregator
        DirectoryMembership,  # what it offers, for others to find
        VppMembership,  # its part in virtual power plants
        DispatchFollowing,  # more or less than promised, by the minute
        ScheduleNegotiation,  # choosing schedules with the others
        Paying,  # what members of plants have earned
        VppInitiation,  # plants of its own
        SiteReporting,  # its metrics, for the aggregator
        ResponseReporting,  # how fast it answers signals
        FactReporting,  # what agreements want to know
        ConsentHeeding,  # whether its people agree to all that
        AlarmListening,  # what is wrong with its devices
        Delegation,  # what its people and their programs want said
    )
