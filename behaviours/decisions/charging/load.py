"""What a charging site will draw: the sessions that run, and those still to come (SPEC 4.5.5).

Those to come are as on past days of the same kind (working day or weekend), the newer days weighing more,
and scaled by how busy the day has been so far. Only sessions that began later in the day than it is now
are counted, since those that began earlier are here already.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from behaviours.decisions.charging.terms import ChargingDemand
from behaviours.decisions.charging.usage import PastSession
from behaviours.decisions.series import FloatArray, IntArray

__all__ = ["LoadForecast", "LoadHistory", "spread_by_limit", "uncontrolled_w"]

DAY_S = 86_400
SECONDS_AN_HOUR = 3600.0
DAYS_KEPT = 56
FADING = 0.97
"""What a day weighs beside the day after it."""
DAYS_ENOUGH = 3
SHRINKAGE = 4.0
"""As how many sessions the usual day counts when it is judged how busy this day is."""


class LoadForecast(NamedTuple):
    """Mean power by step in W: expected, and the bounds that about 80 % of days lie between."""

    power_w: FloatArray
    low_w: FloatArray
    high_w: FloatArray


class LoadHistory:
    """When past sessions drew power, charging as soon as they came."""

    def __init__(self, zone: str, power_w: float) -> None:
        """Remember sessions in a time zone, at points of a power in W."""
        self._zone = ZoneInfo(zone)
        self._power_w = power_w
        self._rows: list[tuple[int, int, float]] = []
        self._table: FloatArray = np.empty((0, 3))

    def add(self, session: PastSession) -> None:
        """Remember one more session."""
        day, second = self._local(session.arrival_s)
        self._rows.append((day, second, session.energy_wh * SECONDS_AN_HOUR / self._power_w))

    def knows(self, now_s: int) -> bool:
        """Tell whether there are days enough of the kind of this one to foresee it."""
        today, _ = self._local(now_s)
        days = {day for day, _, _ in self._rows if day < today and _is_weekend(day) == _is_weekend(today)}
        return len(days) >= DAYS_ENOUGH

    def newcomers(
        self, now_s: int, steps: int, step_s: int = 900, *, begun_today: int | None = None
    ) -> LoadForecast:
        """Return what sessions that have not begun yet will draw, charging as soon as they come.

        Args:
            now_s: start of the first step in epoch seconds.
            steps: number of steps.
            step_s: length of a step in seconds.
            begun_today: how many sessions have begun on this local day; unknown, it is a usual day.
        """
        today, second = self._local(now_s)
        total = np.zeros((3, steps))
        for day in range(today, today + (second + steps * step_s - 1) // DAY_S + 1):
            first = max(0, -(-((day - today) * DAY_S - second) // step_s))
            last = min(steps, -(-((day + 1 - today) * DAY_S - second) // step_s))
            starts = np.arange(first, last) * step_s + second - (day - today) * DAY_S
            total[:, first:last] = self._of_day(day, today, second, starts, step_s, begun_today)
        return LoadForecast(*total)

    def _of_day(
        self, day: int, today: int, second: int, starts: IntArray, step_s: int, begun_today: int | None
    ) -> FloatArray:
        """Return expected power and bounds over a part of a day, a row each."""
        table = self._arrays()
        table = table[(table[:, 0] < today) & (table[:, 0] >= today - DAYS_KEPT)]
        oldest = int(table[:, 0].min()) if len(table) else today
        days = [each for each in range(oldest, today) if _is_weekend(each) == _is_weekend(day)]
        if not days:
            return np.zeros((3, len(starts)))
        later = table[table[:, 1] > second] if day == today else table
        powers = np.array([self._drawn(later[later[:, 0] == each], starts, step_s) for each in days])
        weights = FADING ** (today - np.array(days))
        weights /= weights.sum()
        busy = 1.0
        if day == today and begun_today is not None:
            earlier = table[table[:, 1] <= second]
            usual = float(weights @ np.array([(earlier[:, 0] == each).sum() for each in days]))
            busy = (begun_today + SHRINKAGE) / (usual + SHRINKAGE)
        low, high = np.quantile(powers, (0.1, 0.9), axis=0)
        found: FloatArray = busy * np.array([weights @ powers, low, high])
        return found

    def _drawn(self, sessions: FloatArray, starts: IntArray, step_s: int) -> FloatArray:
        """Return the mean power of a day's sessions by step."""
        if not len(sessions):
            return np.zeros(len(starts))
        begin, end = sessions[:, 1][:, None], (sessions[:, 1] + sessions[:, 2])[:, None]
        drawn_s = np.clip(np.minimum(end, starts + step_s) - np.maximum(begin, starts), 0, None)
        power: FloatArray = drawn_s.sum(axis=0) * (self._power_w / step_s)
        return power

    def _arrays(self) -> FloatArray:
        if len(self._table) != len(self._rows):
            self._table = np.array(self._rows, dtype=np.float64).reshape(-1, 3)
        return self._table

    def _local(self, time_s: int) -> tuple[int, int]:
        """Return the local day (days since the year 1) and the second in it."""
        local = datetime.fromtimestamp(time_s, self._zone)
        return local.toordinal(), local.hour * 3600 + local.minute * 60 + local.second


def uncontrolled_w(
    demands: Iterable[ChargingDemand], now_s: int, steps: int, step_s: int = 900
) -> FloatArray:
    """Return the mean power by step of sessions that charge at full power until they have what they need."""
    starts_s = now_s + np.arange(steps) * step_s
    total = np.zeros(steps)
    for each in demands:
        needed_s = each.remaining_wh * SECONDS_AN_HOUR / max(1.0, each.power_max_w)
        end_s = min(now_s + needed_s, each.departure_s)
        total += np.clip(end_s - starts_s, 0, step_s) * (each.power_max_w / step_s)
    return total


def spread_by_limit(power_w: FloatArray, limit_w: FloatArray) -> FloatArray:
    """Return a load that a limit delays: what does not fit into a step waits for the next ones."""
    spread, waiting = np.zeros(len(power_w)), 0.0
    for step, (wanted, limit) in enumerate(zip(power_w, limit_w, strict=True)):
        spread[step] = min(max(0.0, limit), wanted + waiting)
        waiting += wanted - spread[step]
    return spread


def _is_weekend(day: int) -> bool:
    """Tell whether a day (proleptic Gregorian ordinal) is a Saturday or Sunday."""
    return day % 7 in (6, 0)
