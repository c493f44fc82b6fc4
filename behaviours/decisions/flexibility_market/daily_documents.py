"""Documents that are about a local day, from ones that are about any hours, and the other way (UFTP Period).

Inside, a prognosis rolls and an order is metered by itself. Outside, each day at a congestion point has one
prognosis and one metering, whose revisions rise and whose newest stands for all before.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from ontology.base import INTERVAL_S, Concept
from ontology.flexibility_trading import (
    DPrognosis,
    FlexMetering,
    FlexRequest,
    MeteredInterval,
    PowerInterval,
)

__all__ = [
    "DayRecord",
    "day_end_s",
    "day_start_s",
    "days_of",
    "expanded",
    "metering_of_day",
    "narrowed",
    "noted",
    "prognosis_of_day",
]

C = TypeVar("C", bound=Concept)
_INTERVALS = ("intervals", "options", "orders")


class DayRecord(msgspec.Struct, frozen=True):
    """What has been told of a day at a congestion point: power in W by start of interval, how often."""

    start_s: int
    end_s: int
    power_w: dict[int, int] = {}
    revision: int = 0


def day_start_s(instant_s: int, zone: str) -> int:
    """Return the epoch second at which the local day of an instant begins."""
    return _midnight_s(instant_s, zone, 0)


def day_end_s(instant_s: int, zone: str) -> int:
    """Return the epoch second at which the local day of an instant ends."""
    return _midnight_s(instant_s, zone, 1)


def days_of(power_w: Mapping[int, int], zone: str) -> dict[int, dict[int, int]]:
    """Return powers by the start of the local day that each interval (by its start) lies in."""
    days: dict[int, dict[int, int]] = {}
    for start_s, each_w in sorted(power_w.items()):
        days.setdefault(day_start_s(start_s, zone), {})[start_s] = each_w
    return days


def noted(record: DayRecord, power_w: Mapping[int, int]) -> DayRecord:
    """Return a day's record with newer powers, as its next revision; what they leave out stays."""
    return msgspec.structs.replace(
        record, power_w={**record.power_w, **power_w}, revision=record.revision + 1
    )


def prognosis_of_day(record: DayRecord, congestion_point: str) -> DPrognosis:
    """Return all that is foreseen of a day."""
    return DPrognosis(
        period_start_s=record.start_s,
        period_end_s=record.end_s,
        congestion_point=congestion_point,
        revision=record.revision,
        intervals=[PowerInterval(start_s=s, power_w=w) for s, w in sorted(record.power_w.items())],
    )


def metering_of_day(record: DayRecord, congestion_point: str) -> FlexMetering:
    """Return all that was metered of a day."""
    return FlexMetering(
        period_start_s=record.start_s,
        period_end_s=record.end_s,
        congestion_point=congestion_point,
        revision=record.revision,
        intervals=[MeteredInterval(start_s=s, actual_w=w) for s, w in sorted(record.power_w.items())],
    )


def narrowed(request: FlexRequest) -> FlexRequest:
    """Return a request whose period is from its first interval to its last."""
    starts = [each.start_s for each in request.intervals]
    ends = [each.start_s + each.duration_s for each in request.intervals]
    return msgspec.structs.replace(request, period_start_s=min(starts), period_end_s=max(ends))


def expanded(document: C) -> C:
    """Return a document with each interval by itself where one stands for several."""
    changes: dict[str, Any] = {
        name: _expanded(getattr(document, name)) for name in _INTERVALS if hasattr(document, name)
    }
    return msgspec.structs.replace(document, **changes) if changes else document


def _expanded(parts: list[Any]) -> list[Any]:
    return [single for each in parts for single in _singles(each)]


def _singles(part: Any) -> list[Any]:
    """Return an interval as single ones, or an option or order with such intervals."""
    if not hasattr(part, "start_s"):
        return (
            [msgspec.structs.replace(part, intervals=_expanded(part.intervals))]
            if hasattr(part, "intervals")
            else [part]
        )
    starts = range(part.start_s, part.start_s + part.duration_s, INTERVAL_S)
    return [msgspec.structs.replace(part, start_s=each, duration_s=INTERVAL_S) for each in starts]


def _midnight_s(instant_s: int, zone: str, days: int) -> int:
    """Return the first instant of a local day, so many days after that of an instant."""
    where = ZoneInfo(zone)
    day = datetime.fromtimestamp(instant_s, UTC).astimezone(where).date() + timedelta(days=days)
    return int(datetime(day.year, day.month, day.day, tzinfo=where).timestamp())
