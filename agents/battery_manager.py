"""The stationary battery manager of a site."""

from behaviours.agent import Agent
from behaviours.site.battery_management import BatteryOffering
from behaviours.site.flexibility_response import FlexibilityResponse
from behaviours.site.frequency_response import FrequencyResponse
from behaviours.site.peak_forecasting import PeakForecasting
from behaviours.site.peak_shaving import PeakShaving
from ontology.roles import Role

__all__ = ["BatteryManager"]


class BatteryManager(Agent):
    """Offers what a battery could do and shaves peaks in real time (D8.1 3.7)."""

    role = Role.BESS
    behaviours = (
        PeakForecasting,  # the threshold, and the content that keeps it
        BatteryOffering,  # the envelope of the day ahead, or of the rest
        FlexibilityResponse,  # what is ordered beside shaving
        PeakShaving,  # the real-time engine
        FrequencyResponse,  # power held ready for the frequency
    )
