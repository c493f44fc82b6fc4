"""A charging site with many points: the agent that plans it, and its gateway."""

from behaviours.agent import Agent
from behaviours.charging.control import ChargingControl
from behaviours.charging.point_reading import PointReading
from behaviours.charging.site_outlook import SiteOutlook
from behaviours.charging.station_forecasting import StationForecasting
from behaviours.charging.usage_monitoring import UsageMonitoring
from behaviours.site.device_control import DeviceControl
from behaviours.site.fact_reporting import FactReporting
from ontology.roles import Role

__all__ = ["ChargingGateway", "ChargingSite"]


class ChargingSite(Agent):
    """Charges all vehicles of a site: requests first, then least cost or least peak (D8.1 3.5)."""

    role = Role.EV
    behaviours = (
        UsageMonitoring,  # who is there and how far they are; who was there before
        SiteOutlook,  # limits, tariff, who is still to come
        ChargingControl,  # the plan, and what others ask of the site
        StationForecasting,  # load and flexibility ahead
        FactReporting,  # sessions, until the repository has them
    )


class ChargingGateway(Agent):
    """Reads and steers the points of a charging site (D8.1 3.5.2, EV charging station interface)."""

    role = Role.GATEWAY
    behaviours = (
        PointReading,  # up: comings, goings, progress
        DeviceControl,  # down: set-points
    )
