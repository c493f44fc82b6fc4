"""What happens to a low-voltage network, as its control system tells: switching, and what carries less."""

from enum import StrEnum

from msgspec import Struct

__all__ = ["EventKind", "NetworkEvent"]


class EventKind(StrEnum):
    """What can happen."""

    TRANSFORMER = "transformer"
    """A stage of the transformer station is lost, or its rating is reduced"""
    CABLE = "cable"
    """One of several parallel cables in the street is lost"""
    LINE_OPENED = "line-opened"
    """A cable in the street is opened; what is behind it is fed from another joint"""


class NetworkEvent(Struct, frozen=True, kw_only=True):
    """Something that changes a network from a time on.

    The line is the cable in the street that leads to a site's joint. `share` is what is left of the rating,
    and of the conductors; `fed_from` is a site at whose joint a tie of `tie_m` metres begins.
    """

    event_id: str
    time_s: int
    segment_id: str
    kind: EventKind
    share: float = 0.5
    site: str = ""
    fed_from: str = ""
    tie_m: float = 100.0
