"""A series as forecasters see it: whole days before an origin, and the calendar of the day ahead."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from behaviours.decisions.series import FloatArray, IntArray
from ontology.base import require

__all__ = ["DAY_S", "LAG_DAYS", "DayForecast", "PastDays", "past_days"]

DAY_S = 86_400
LAG_DAYS = 7
"""How many days back a forecast looks: one week."""
THURSDAY = 3
"""The weekday of 1 January 1970, where Monday is 0."""


class DayForecast(NamedTuple):
    """Expected power in W over the day ahead, with its 10 % and 90 % quantiles."""

    expected_w: FloatArray
    low_w: FloatArray
    high_w: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PastDays:
    """Days of 24 hours that end at an origin, the oldest first, and what is known of the day after it."""

    power_w: FloatArray
    """(days, steps) mean power in W."""
    local_s: IntArray
    """(days + 1, steps) starts in seconds of the local clock; the last row is the day ahead."""
    outdoor_degc: FloatArray | None = None
    """(days + 1, steps) outdoor temperature, foreseen in the last row."""

    @property
    def days(self) -> int:
        """How many days there are."""
        return len(self.power_w)

    @property
    def slot(self) -> IntArray:
        """The step of the local day that each value belongs to, shaped like `local_s`."""
        steps = self.local_s.shape[1]
        return np.asarray(self.local_s % DAY_S * steps // DAY_S)

    @property
    def weekday(self) -> IntArray:
        """The day of the week of each value, Monday 0, shaped like `local_s`."""
        return np.asarray((self.local_s // DAY_S + THURSDAY) % 7)

    def last(self, days: int) -> "PastDays":
        """Return the newest days only."""
        degc = self.outdoor_degc
        return PastDays(
            self.power_w[-days:], self.local_s[-days - 1 :], None if degc is None else degc[-days - 1 :]
        )


def past_days(
    power_w: npt.ArrayLike,
    local_s: npt.ArrayLike,
    outdoor_degc: npt.ArrayLike | None = None,
    *,
    origin: int,
    steps: int,
) -> PastDays:
    """Cut the whole days before an origin, and the calendar of the day after, out of a series.

    Args:
        power_w: the series in W; what follows the origin is not looked at and may be missing.
        local_s: its steps' starts in seconds of the local clock, to the end of the day ahead.
        outdoor_degc: its temperatures, to the end of the day ahead.
        origin: index of the first step that is not known.
        steps: how many steps a day has.

    Raises: InvalidInput when there is no whole day before the origin, or no calendar of the day ahead.
    """
    days = origin // steps
    first = origin - days * steps
    require(days > 0, "origin", origin, f"at least {steps} steps")

    def rows(values: npt.ArrayLike, count: int) -> npt.NDArray[np.generic]:
        series = np.asarray(values)[first : first + count * steps]
        require(series.size == count * steps, "origin", origin, "a day ahead within the calendar")
        return series.reshape(count, steps)

    return PastDays(
        rows(power_w, days).astype(np.float64),
        rows(local_s, days + 1).astype(np.int64),
        None if outdoor_degc is None else rows(outdoor_degc, days + 1).astype(np.float64),
    )
