"""Interval readings from a meter's counters: what was taken and given between the quarters of an hour.

Counters know what went through while nobody read them, so energy is neither lost nor counted twice.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.measurements import IntervalReading, Quality

__all__ = ["Counters", "advance_wh", "at_quarter", "intervals_between"]

EXACT_S = 30
"""Whoever reads within so many seconds after a quarter has the counters of the quarter."""
ROLLOVERS_WH = (10_000_000, 100_000_000, 1_000_000_000, 2**32, 2**32 * 10)
"""Where counters begin anew: 10, 100 or 1,000 MWh, or 32 bits of Wh or of 10 Wh."""
ROLLOVER_SHARE = 0.99


class Counters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a meter has counted since it was made, in Wh, at an epoch second."""

    time_s: Annotated[float, Meta(ge=0)]
    imported_wh: Annotated[float, Meta(ge=0)]
    exported_wh: Annotated[float, Meta(ge=0)]


def intervals_between(subject: str, earlier: Counters, later: Counters) -> list[IntervalReading]:
    """Return the readings of the intervals that ended after one reading of the counters and until another.

    Between two readings energy is spread evenly over time; a reading just after a quarter counts for it, so
    a meter that is read each quarter gives VALID intervals, and one that was not read in time ESTIMATED
    ones. A counter that went back to zero was exchanged, or has begun anew: see `advance_wh`.

    Args:
        subject: whom the meter meters.
        earlier: the counters at a quarter (as `at_quarter` returns them), or when metering began.
        later: the counters now.
    """
    start_s, end_s = _rounded(earlier.time_s), _rounded(later.time_s)
    imported_wh = advance_wh(earlier.imported_wh, later.imported_wh)
    exported_wh = advance_wh(earlier.exported_wh, later.exported_wh)
    if imported_wh is None or exported_wh is None or end_s <= start_s:
        return []
    quarters = range(-(-int(start_s) // INTERVAL_S) * INTERVAL_S, int(end_s) - INTERVAL_S + 1, INTERVAL_S)
    exact = end_s - start_s == INTERVAL_S and start_s % INTERVAL_S == 0
    quality = Quality.VALID if exact else Quality.ESTIMATED
    taken = _spread(imported_wh, start_s, end_s, quarters)
    given = _spread(exported_wh, start_s, end_s, quarters)
    readings = [
        IntervalReading(
            subject=subject,
            start_s=quarter_s,
            consumed_wh=consumed,
            produced_wh=produced,
            consumed_w=consumed * 3600 // INTERVAL_S,
            produced_w=produced * 3600 // INTERVAL_S,
            quality=quality,
        )
        for quarter_s, consumed, produced in zip(quarters, taken, given, strict=True)
    ]
    return readings[-INTERVALS_A_DAY:]


def at_quarter(earlier: Counters, later: Counters) -> Counters:
    """Return the counters at the last quarter until a reading: what the next interval begins with."""
    start_s, end_s = _rounded(earlier.time_s), _rounded(later.time_s)
    quarter_s = float(end_s // INTERVAL_S * INTERVAL_S)
    imported_wh = advance_wh(earlier.imported_wh, later.imported_wh)
    exported_wh = advance_wh(earlier.exported_wh, later.exported_wh)
    if quarter_s < start_s or end_s <= start_s:
        return earlier
    if imported_wh is None or exported_wh is None:
        return later  # another meter: it begins here
    share = (end_s - quarter_s) / (end_s - start_s)
    return Counters(
        time_s=quarter_s,
        imported_wh=max(0.0, later.imported_wh - _whole(imported_wh, share)),
        exported_wh=max(0.0, later.exported_wh - _whole(exported_wh, share)),
    )


def advance_wh(earlier_wh: float, later_wh: float) -> float | None:
    """Return by how much a counter went on, over its end where it was just before it; None: it was reset."""
    if later_wh >= earlier_wh:
        return later_wh - earlier_wh
    for end_wh in ROLLOVERS_WH:
        if end_wh * ROLLOVER_SHARE <= earlier_wh <= end_wh and later_wh <= end_wh * (1 - ROLLOVER_SHARE):
            return end_wh - earlier_wh + later_wh
    return None


def _rounded(time_s: float) -> float:
    """Return the quarter that has just begun, or the time itself; before a quarter it has not begun."""
    quarter_s = time_s // INTERVAL_S * INTERVAL_S
    return quarter_s if time_s - quarter_s <= EXACT_S else time_s


def _spread(energy_wh: float, start_s: float, end_s: float, quarters: range) -> Iterator[int]:
    """Share an energy out evenly over time, in whole Wh that add up."""
    sent = _until(energy_wh, start_s, end_s, quarters.start) if quarters else 0
    for quarter_s in quarters:
        until = _until(energy_wh, start_s, end_s, quarter_s + INTERVAL_S)
        yield until - sent
        sent = until


def _until(energy_wh: float, start_s: float, end_s: float, when_s: float) -> int:
    return round(energy_wh * (when_s - start_s) / (end_s - start_s))


def _whole(energy_wh: float, share: float) -> float:
    """Return what is left of an energy after a whole number of Wh of the rest has been told."""
    return energy_wh - round(energy_wh * (1 - share))
