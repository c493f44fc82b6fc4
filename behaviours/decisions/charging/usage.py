"""When a driver will leave and how much the vehicle will take, from sessions like this one (SPEC 4.5.3).

Conditional quantiles: past sessions are weighted by how near their hour of arrival is and whether they
were on such a day; those of the same driver weigh far more, and those of the site stand in for what is not
known of the driver. Parking that has already lasted longer than a past session rules that session out.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from behaviours.decisions.series import FloatArray

__all__ = ["PastSession", "UsageForecast", "UsageHistory", "initial_state_of_charge"]

LEVELS = (0.1, 0.5, 0.9)
HOURS_ALIKE = 1.5
"""Width of the kernel over the hour of arrival."""
OTHER_DAY = 0.3
"""What a session on the other kind of day (working day, weekend) weighs."""
SITE_SESSIONS = 1.0
"""As how many sessions of the driver all others together count."""
STAY_S = (3600.0, 4 * 3600.0, 9 * 3600.0)
ENERGY_WH = (4_000.0, 9_000.0, 18_000.0)
"""What is assumed before there is any history (P10, P50, P90)."""
LONGER_S = 900.0
"""How much longer a vehicle is expected to stay that has outstayed every past session."""


class PastSession(NamedTuple):
    """A session that is over: whose (empty: unknown), when (epoch seconds) and what it took in Wh."""

    driver: str
    arrival_s: int
    departure_s: int
    energy_wh: float


class UsageForecast(NamedTuple):
    """Departure in epoch seconds and energy in Wh: the median, and the bounds that 80 % lie between."""

    departure_s: int
    departure_low_s: int
    departure_high_s: int
    energy_wh: float
    energy_low_wh: float
    energy_high_wh: float


class UsageHistory:
    """The sessions of a site, as arrays that grow."""

    def __init__(self, zone: str, sessions: Sequence[PastSession] = ()) -> None:
        """Remember sessions of a site in a time zone (IANA name)."""
        self._zone = ZoneInfo(zone)
        self._rows: list[tuple[float, float, float, float]] = []
        self._drivers: list[str] = []
        self._table: FloatArray = np.empty((0, 4))
        self._owner = np.empty(0, dtype=np.str_)
        for session in sessions:
            self.add(session)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, session: PastSession) -> None:
        """Remember one more session."""
        hour, weekend = self._local(session.arrival_s)
        self._rows.append((hour, weekend, session.departure_s - session.arrival_s, session.energy_wh))
        self._drivers.append(session.driver)

    def forecast(self, driver: str, arrival_s: int, now_s: int | None = None) -> UsageForecast:
        """Return what is to be expected of a session that runs.

        Args:
            driver: whose it is, empty when unknown.
            arrival_s: when it began, in epoch seconds.
            now_s: the time being, which rules out shorter stays; by default the arrival.
        """
        elapsed_s = float((now_s if now_s is not None else arrival_s) - arrival_s)
        if not self._rows:
            stay, energy = np.maximum(STAY_S, elapsed_s + LONGER_S), np.array(ENERGY_WH)
        else:
            weights = self._weights(driver, arrival_s)
            stay = self._stay(weights, elapsed_s)
            energy = _quantiles(self._arrays()[0][:, 3], weights)
        low, middle, high = (arrival_s + round(max(each, elapsed_s)) for each in stay.tolist())
        least_wh, wh, most_wh = energy.tolist()
        return UsageForecast(middle, low, high, wh, least_wh, most_wh)

    def _stay(self, weights: FloatArray, elapsed_s: float) -> FloatArray:
        """Return the quantiles of how long a vehicle stays that has been there for a while."""
        stays = self._arrays()[0][:, 2]
        longer = stays > elapsed_s
        if not (weights * longer).any():
            return np.full(len(LEVELS), elapsed_s + LONGER_S)
        return _quantiles(stays[longer], weights[longer])

    def _weights(self, driver: str, arrival_s: int) -> FloatArray:
        hour, weekend = self._local(arrival_s)
        table, owner = self._arrays()
        apart = np.abs(table[:, 0] - hour)
        alike = np.exp(-0.5 * (np.minimum(apart, 24.0 - apart) / HOURS_ALIKE) ** 2) + 1e-6
        alike *= np.where(table[:, 1] == weekend, 1.0, OTHER_DAY)
        own = (owner == driver) & (driver != "")
        others = np.where(own, 0.0, alike)
        weights: FloatArray = np.where(own, alike, others * (SITE_SESSIONS / max(others.sum(), 1e-9)))
        return weights if own.any() else alike

    def _arrays(self) -> tuple[FloatArray, "np.ndarray[tuple[int], np.dtype[np.str_]]"]:
        if len(self._table) != len(self._rows):
            self._table, self._owner = np.array(self._rows), np.array(self._drivers)
        return self._table, self._owner

    def _local(self, time_s: int) -> tuple[float, float]:
        local = datetime.fromtimestamp(time_s, self._zone)
        return local.hour + local.minute / 60, float(local.weekday() >= 5)


def initial_state_of_charge(energy_wh: float, capacity_wh: int, target: float = 1.0) -> float:
    """Return how full a vehicle came that is thought to need some energy to its target.

    Source: SPEC 4.5.3 (soc0 = 1 − Ê/capacity, clipped).
    """
    return min(1.0, max(0.0, target - energy_wh / max(1, capacity_wh)))


def _quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return weighted quantiles, interpolated between the middles of the values' weights."""
    order = np.argsort(values, kind="stable")
    ordered, mass = values[order], weights[order]
    middles = (mass.cumsum() - mass / 2) / mass.sum()
    found: FloatArray = np.interp(LEVELS, middles, ordered)
    return found
