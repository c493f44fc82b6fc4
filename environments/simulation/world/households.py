"""Demand of homes and small businesses: a BDEW standard profile, made of single appliances.

A home is a standby load, a part that follows the profile smoothly, and appliances switched on at random
with the intensity of the profile, so that one home has peaks of kilowatts and many together look like
the profile. Hours of a home are shifted and its days differ, both by its own seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from demandlib.bdew import G25, H25
from numpy.typing import NDArray

from environments.simulation.world.generators import generator

__all__ = ["Household", "Households", "profile_day"]

Array = NDArray[np.float64]

DAY_S = 86_400
QUARTER_S = 900
QUARTERS = 96
HOURS_A_YEAR = 8_760

STANDBY = 0.30
"""Of a home's mean power, always on: refrigeration, router, standby."""
SMOOTH = 0.35
"""Of what is above standby, the part that follows the profile: light, screens, many small things."""
SHIFT_S = 2_000.0
SHIFT_MAX_S = 5_400
DAILY_SPREAD = 0.22

APPLIANCES = np.array(
    [  # power W, duration s, how often
        (1_900.0, 300.0, 0.22),  # kettle, hair dryer
        (1_200.0, 900.0, 0.18),  # microwave, coffee, vacuum cleaner
        (1_600.0, 1_500.0, 0.20),  # hob
        (2_200.0, 2_100.0, 0.10),  # oven
        (1_800.0, 1_500.0, 0.10),  # washing machine or dishwasher heating
        (450.0, 4_500.0, 0.14),  # washing, rinsing, television and computers
        (1_500.0, 3_600.0, 0.06),  # tumble dryer
    ]
)
MEAN_APPLIANCE_WS = float(np.prod(APPLIANCES, axis=1).sum() / APPLIANCES[:, 2].sum())


@dataclass(frozen=True)
class Household:
    """A home: what it uses a year, where its clock is, and the name that its seed is made from."""

    site: str
    annual_kwh: float
    zone: str
    profile: str = "household"


@dataclass(frozen=True)
class _Day:
    smooth_w: Array
    """(homes, 97) at quarter-hours"""
    home: NDArray[np.int64]
    start_s: Array
    end_s: Array
    power_w: Array


STANDARD = {"household": H25, "commerce": G25}
"""BDEW standard profiles of 2025 by the name that a scenario calls them."""


@lru_cache(maxsize=4)
def _profile_year(year: int, profile: str) -> Array:
    """Return a standard profile at the quarter-hours of a year in local time, 1 on average."""
    index = pd.date_range(f"{year}-01-01", f"{year}-12-31 23:45", freq="15min")
    values = np.asarray(STANDARD[profile](index), dtype=float)
    relative: Array = values / values.mean()
    return relative


@lru_cache(maxsize=64)
def profile_day(zone: str, start_s: int, profile: str = "household") -> Array:
    """Return a standard profile for 96 quarters from an epoch second, by a zone's clocks; 1 is its mean."""
    local_zone = ZoneInfo(zone)
    values = np.empty(QUARTERS)
    for quarter in range(QUARTERS):
        local = datetime.fromtimestamp(start_s + quarter * QUARTER_S, UTC).astimezone(local_zone)
        since = local.replace(tzinfo=None) - datetime(local.year, 1, 1)
        values[quarter] = _profile_year(local.year, profile)[since // timedelta(minutes=15)]
    return values


class Households:
    """The demand of many homes, drawn day by day (UTC) from (seed, site, day)."""

    def __init__(self, seed: int, homes: Sequence[Household]) -> None:
        self._seed = seed
        self._homes = list(homes)
        self._mean_w = np.array([home.annual_kwh * 1000 / HOURS_A_YEAR for home in homes])
        self._shift_s = [self._shift(home) for home in homes]
        self._days: dict[int, _Day] = {}

    def power_w(self, start_s: int, step_s: int, steps: int) -> Array:
        """Return (homes, steps) mean powers in W; the steps lie within one UTC day."""
        day_s = start_s - start_s % DAY_S
        today, before = self._day(day_s), self._day(day_s - DAY_S)
        power = self._smooth_w(today, start_s - day_s, step_s, steps)
        for day in (before, today):
            _add_appliances(power, day, start_s, step_s, steps)
        return power

    def _smooth_w(self, day: _Day, offset_s: int, step_s: int, steps: int) -> Array:
        at_s = offset_s + step_s * (np.arange(steps) + 0.5)
        position = at_s / QUARTER_S - 0.5
        left = np.clip(np.floor(position).astype(int), 0, QUARTERS - 1)
        share = position - left
        power: Array = day.smooth_w[:, left] * (1 - share) + day.smooth_w[:, left + 1] * share
        return np.maximum(power, 0.0)

    def _shift(self, home: Household) -> int:
        """Return by how many seconds, in whole minutes, the habits of a home are late."""
        drawn = generator(self._seed, "household", home.site).normal(0.0, SHIFT_S)
        return 60 * round(float(np.clip(drawn, -SHIFT_MAX_S, SHIFT_MAX_S)) / 60)

    def _day(self, day_s: int) -> _Day:
        if day_s not in self._days:
            for old in [each for each in self._days if each < day_s - 2 * DAY_S]:
                del self._days[old]
            self._days[day_s] = self._draw(day_s)
        return self._days[day_s]

    def _draw(self, day_s: int) -> _Day:
        shapes = [
            _above_standby(home.zone, day_s, late, home.profile)
            for home, late in zip(self._homes, self._shift_s, strict=True)
        ]
        above = np.array([shape for shape, _ in shapes])
        cumulative = np.array([each for _, each in shapes])
        draws = [generator(self._seed, "household", home.site, day_s // DAY_S) for home in self._homes]
        factor = np.exp(
            DAILY_SPREAD * np.array([each.standard_normal() for each in draws]) - DAILY_SPREAD**2 / 2
        )
        scale_w = self._mean_w * factor
        expected = scale_w * (1 - SMOOTH) * cumulative[:, -1] / MEAN_APPLIANCE_WS
        counts = np.array([each.poisson(mean) for each, mean in zip(draws, expected, strict=True)])
        uniform = np.concatenate([each.random((count, 4)) for each, count in zip(draws, counts, strict=True)])
        home = np.repeat(np.arange(len(self._homes)), counts)
        smooth_w = (self._mean_w * STANDBY)[:, None] + (scale_w * SMOOTH)[:, None] * above
        return _Day(smooth_w, home, *_appliances(day_s, cumulative, home, uniform))


@lru_cache(maxsize=2048)
def _above_standby(zone: str, day_s: int, shift_s: int, profile: str) -> tuple[Array, Array]:
    """Return the profile above standby at 97 quarter-hours, for late habits, and its integral."""
    around = np.concatenate([profile_day(zone, day_s + d * DAY_S, profile) for d in (-1, 0, 1)])
    at = np.arange(QUARTERS, 2 * QUARTERS + 1) - shift_s / QUARTER_S
    above = np.maximum(np.interp(at, np.arange(len(around)), around) - STANDBY, 0.0)
    return above, np.r_[0.0, np.cumsum(above[:QUARTERS] * QUARTER_S)]


def _appliances(
    day_s: int, cumulative: Array, home: NDArray[np.int64], uniform: Array
) -> tuple[Array, Array, Array]:
    """Return when appliances go on and off (epoch seconds) and their powers.

    The middles of their times are spread over the day as the profile is: all homes' inverse
    distributions are searched at once, home h having its own in [h, h + 1].
    """
    whole = np.maximum(cumulative[:, -1:], 1e-9)
    distribution = cumulative / whole + np.arange(len(cumulative))[:, None]
    middle = np.interp(
        uniform[:, 0] + home,
        distribution.ravel(),
        (_EDGES + DAY_S * np.arange(len(cumulative))[:, None]).ravel(),
    )
    kind = np.searchsorted(_CHANCES, uniform[:, 1] * _CHANCES[-1])
    duration = np.ceil(APPLIANCES[kind, 1] * (0.6 + 0.8 * uniform[:, 2]))
    power = APPLIANCES[kind, 0] * (0.8 + 0.4 * uniform[:, 3])
    start = day_s + np.maximum(np.floor(middle - DAY_S * home - duration / 2), 0.0)
    return start, start + duration, power


_EDGES = QUARTER_S * np.arange(QUARTERS + 1.0)
_CHANCES = np.cumsum(APPLIANCES[:, 2])


def _add_appliances(power: Array, day: _Day, start_s: int, step_s: int, steps: int) -> None:
    """Add what the appliances of a day draw in each step, by overlap."""
    active = np.flatnonzero((day.start_s < start_s + step_s * steps) & (day.end_s > start_s))
    if not len(active):
        return
    edges = start_s + step_s * np.arange(steps + 1)
    begin = np.maximum(edges[:-1], day.start_s[active, None])
    end = np.minimum(edges[1:], day.end_s[active, None])
    drawn = np.maximum(end - begin, 0.0) * (day.power_w[active, None] / step_s)
    place = (day.home[active] * steps)[:, None] + np.arange(steps)
    power += np.bincount(place.ravel(), drawn.ravel(), power.size).reshape(power.shape)
