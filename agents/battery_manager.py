"""The stationary battery manager of a site."""

from behaviours.agent import Agent
from behaviours.site.battery_management import BatteryOffering, PeakShaving
from behaviours.site.frequency_response import FrequencyResponse
from ontology.roles import Role

__all__ = ["BatteryManager"]


class BatteryManager(Agent):
    """Offers what a battery could do and shaves peaks in real time (D8.1 3.7)."""

    role = Role.BESS
    behaviours = (
        BatteryOffering,  # the envelope of the day ahead
        PeakShaving,  # the real-time engine
        FrequencyResponse,  # power held ready for the frequency
    )
