"""What a charging site is told about itself: points, limits, tariff and what it charges for."""

import msgspec

from behaviours.decisions.charging.priority import Rule
from behaviours.decisions.charging.terms import Objective
from behaviours.site.contacts import SiteContacts

__all__ = ["ChargingGatewaySettings", "ChargingPoint", "ChargingSiteSettings", "Tariff"]


class ChargingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A point by its name, what it can give in W, and the phases it is connected to."""

    name: str
    power_max_w: int
    phases: str = "ABC"


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in currency per kWh by local hour (24 of each), and for the month's highest power per kW.

    The highest power is the mean over a re-planning step; what has been reached in the running local
    month is paid for.
    """

    charge_per_kwh: tuple[float, ...] = (0.2,) * 24
    discharge_per_kwh: tuple[float, ...] = (0.0,) * 24
    peak_per_kw: float = 0.0


class ChargingSiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A charging site: limits in W, the period of re-planning in s, the vehicles' usual battery.

    `base_w` is what the site consumes besides, by local hour; `rule` serves in an order instead of
    planning; `phase_max_w` limits single phases.
    """

    site: str
    contacts: SiteContacts
    points: tuple[ChargingPoint, ...]
    power_max_w: int
    zone: str = "UTC"
    step_s: int = 300
    objective: Objective = Objective.COST
    rule: Rule | None = None
    tariff: Tariff = Tariff()
    phase_max_w: dict[str, int] = {}
    base_w: tuple[int, ...] = (0,) * 24
    export_max_w: int = 0
    capacity_wh: int = 60_000
    efficiency: float = 1.0
    """One way, of charging and of discharging."""


class ChargingGatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """A charging site's gateway: whom it reports to, and how often it reads the points, in s."""

    site: str
    contacts: SiteContacts
    of_dso: tuple[str, ...] = ()
    """Points that the DSO controls directly."""
    step_s: int = 300
