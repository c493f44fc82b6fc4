"""What the clocks of a place show."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from behaviours.decisions.series import FloatArray

__all__ = ["local_hours"]

DAY_S = 86_400


def local_hours(zone: str, start_s: int, steps: int = 1, step_s: int = 900) -> FloatArray:
    """Return the local hour of the day, 0 to 24, at the beginning of each step.

    A UTC day has one offset, that of its noon: on the day when clocks change an hour or two are off by one.
    """
    times_s = start_s + step_s * np.arange(steps)
    days = range(start_s // DAY_S, int(times_s[-1]) // DAY_S + 1)
    offsets = np.array([utc_offset_s(zone, day) for day in days])
    hours: FloatArray = (times_s + offsets[times_s // DAY_S - days[0]]) % DAY_S / 3600
    return hours


@lru_cache(maxsize=256)
def utc_offset_s(zone: str, day: int) -> int:
    """Return how much a zone's clocks are ahead of UTC at noon of a day since the epoch."""
    noon = datetime.fromtimestamp(day * DAY_S + DAY_S // 2, UTC)
    offset = noon.astimezone(ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())
