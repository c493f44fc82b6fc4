"""What a heat manager is told of its site."""

import msgspec

from behaviours.site.contacts import SiteContacts
from behaviours.site.turns import PLANNING_INTERVALS
from ontology.storage import ThermalModel

__all__ = ["MAX_CONTROL_S", "HeatSettings", "LightingSettings"]

MAX_CONTROL_S = 300
"""Devices that are read as often as this are steered between two plans."""


class LightingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Lights: their power in W, the least share of it while somebody is there, and when (local hours)."""

    asset_id: str
    power_w: int
    minimum_share: float
    hours: tuple[float, float]
    zone: str


class HeatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is heated: models and electrical limits in W; None where the site has no such asset.

    `draw_w` is the heat usually drawn from the tank, by step of a UTC day.
    """

    site: str
    contacts: SiteContacts
    building: ThermalModel | None = None
    """The building as its installer knows it; it is identified from its own data."""
    building_power_max_w: int = 0
    building_power_min_w: int = 0
    """Least electrical power of a compressor that has to keep runs and rests; 0: no such limit."""
    tank: ThermalModel | None = None
    tank_power_max_w: int = 0
    draw_w: tuple[float, ...] = ()
    lighting: LightingSettings | None = None
    planning_intervals: int = PLANNING_INTERVALS
    real_time_s: int = 0
    """How often devices are read within an interval (0: not)."""

    @property
    def control_s(self) -> int:
        """How often devices are steered between two plans: with every reading, at least each five minutes."""
        return self.real_time_s if self.real_time_s <= MAX_CONTROL_S else 0
