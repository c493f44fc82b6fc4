"""What a prosumer agent knows of its site."""

from collections.abc import Mapping

import msgspec

from behaviours.decisions.kpi import Metric
from behaviours.decisions.site_plan import WEAR_TICKS_PER_KWH
from behaviours.decisions.site_planners import PlanSolver
from behaviours.market.payments import PayerSettings
from behaviours.site.contacts import SiteContacts
from behaviours.site.turns import PLANNING_INTERVALS
from behaviours.vpp.portfolio import PlannedProduct

__all__ = ["ProsumerSettings"]


class ProsumerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The site, its connection's limits in W, and its usual load in W by step of a UTC day."""

    site: str
    segment_id: str
    contacts: SiteContacts
    import_max_w: int
    export_max_w: int
    usual_load_w: tuple[int, ...]
    planning_intervals: int = PLANNING_INTERVALS
    solver: PlanSolver = PlanSolver.FAST
    real_time_s: int = 0
    """How often devices are read within an interval (0: not)."""
    directory: str = ""
    offers: tuple[str, ...] = ()
    products: tuple[PlannedProduct, ...] = ()
    partners: tuple[str, ...] = ()
    """Sites to buy from rather than from others, where the market is an auction."""
    payer: PayerSettings | None = None
    heeds_consent: bool = False
    """Whether the site offers flexibility only as long as the repository tells that its people agree."""
    reports: tuple[Metric, ...] = ()
    wear_ticks_per_kwh: int = WEAR_TICKS_PER_KWH
    """What a kWh given by the battery costs it in life."""
    led_by: Mapping[str, str] = {}
    """The managers of assets that keep to a schedule of their own, by asset: orders go to them."""
