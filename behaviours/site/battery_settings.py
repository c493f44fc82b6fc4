"""What the manager of a stationary battery knows of it and of its site."""

import msgspec

from behaviours.site.contacts import SiteContacts
from behaviours.site.turns import PLANNING_INTERVALS
from ontology.storage import StorageModel

__all__ = ["BatterySettings"]


class BatterySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The battery, and the energy in Wh that stays reserved for other duties.

    The real-time engine runs every `real_time_s` seconds (0: never) and keeps import below `import_max_w`.
    A battery that shaves peaks knows whose: `shaves` is the subject of the measurements, `usual_load_w`
    what that usually draws in W by step of a UTC day, and `zone` where its months begin.
    """

    site: str
    contacts: SiteContacts
    model: StorageModel
    reserve_wh: int = 0
    real_time_s: int = 0
    import_max_w: int = 43_000
    planning_intervals: int = PLANNING_INTERVALS
    offers_reserve: bool = False
    shaves: str = ""
    usual_load_w: tuple[int, ...] = ()
    zone: str = "UTC"
