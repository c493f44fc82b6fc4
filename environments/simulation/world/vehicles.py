"""Electric vehicles of all sites: when they come and go, and how they charge."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from environments.simulation.world.controls import Controls
from environments.simulation.world.generators import generator
from environments.simulation.world.settings import EvSettings
from ontology.base import Concept
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvUserInput

__all__ = ["Trip", "Vehicles", "trip_of"]

Array = NDArray[np.float64]

DAY_S = 86_400
QUANTUM_S = 300
"""Arrivals and departures are at multiples of five minutes."""
WORKING_DAY_USE = 0.85
WEEKEND_USE = 0.65
LOWEST_STATE_OF_CHARGE = 0.08
"""A driver charges on the way rather than come home with less."""


@dataclass(frozen=True)
class Trip:
    """A day's driving: from when to when the car is away (epoch seconds), and what it takes in Wh."""

    departure_s: int
    arrival_s: int
    energy_wh: float


def trip_of(seed: int, site: str, car: EvSettings, zone: str, day: int) -> Trip | None:
    """Draw a day's trip (days since 1970, in the zone), or None when the car stays at home."""
    draw = generator(seed, "vehicle", site, day)
    date = datetime(1970, 1, 1) + timedelta(days=day)
    weekend = date.weekday() >= 5
    used, leave, come, energy = draw.random(), *draw.standard_normal(3)
    if used > (WEEKEND_USE if weekend else WORKING_DAY_USE):
        return None
    late = 2.5 if weekend else 0.0
    departure = float(np.clip(car.departure_hour + late + leave * (1.2 if weekend else 0.6), 0.25, 21.0))
    arrival = car.arrival_hour - late / 2 + come * (2.0 if weekend else 1.2)
    arrival = float(np.clip(arrival, departure + 1.0, 23.75))
    midnight = date.replace(tzinfo=ZoneInfo(zone))
    wh = car.trip_wh * (1.2 if weekend else 1.0) * float(np.exp(0.5 * energy - 0.125))
    return Trip(_at(midnight, departure), _at(midnight, arrival), wh)


def _at(midnight: datetime, hour: float) -> int:
    """Return the epoch second of a local hour, a multiple of five minutes."""
    local = midnight.replace(tzinfo=None) + timedelta(hours=hour)
    stamp = local.replace(tzinfo=midnight.tzinfo).astimezone(UTC).timestamp()
    return round(stamp / QUANTUM_S) * QUANTUM_S


class Vehicles:
    """Energies in Wh, powers in W at the charger, charging positive.

    Uncontrolled, a plugged car charges at full power to its driver's target; told otherwise, it obeys
    between empty (never below its driver's minimum by discharging) and full.
    """

    def __init__(
        self,
        seed: int,
        sites: Sequence[str],
        zones: Sequence[str],
        settings: Sequence[EvSettings | None],
        now_s: int,
    ) -> None:
        self._seed, self._sites, self._zones = seed, list(sites), list(zones)
        self._settings = list(settings)
        known = [each or _NONE for each in settings]
        self.present = np.array([each is not None for each in settings])
        self.capacity_wh = np.array([each.capacity_wh for each in known], dtype=float)
        self.charger_w = np.array([each.charger_w for each in known], dtype=float)
        self.v2g = np.array([each.v2g for each in known])
        self.one_way = np.array([each.efficiency for each in known])
        self.target_wh = self.capacity_wh * [each.target_state_of_charge for each in known]
        self.minimum_wh = self.capacity_wh * [each.minimum_state_of_charge for each in known]
        self.stored_wh = self.target_wh.copy()
        self.plugged = np.zeros(len(known), dtype=bool)
        self.delivered_wh = np.zeros(len(known))
        self.power_w = np.zeros(len(known))
        self.session: list[str] = [""] * len(known)
        self.events: dict[int, list[Concept]] = {int(i): [] for i in np.flatnonzero(self.present)}
        self.controls = Controls(len(known))
        self._upcoming: dict[int, tuple[int, Trip]] = {}
        self._change_s = np.full(len(known), np.inf)
        for site in self.events:
            self._begin(site, now_s)

    @property
    def state_of_charge(self) -> Array:
        """Of every car at its charger; nan where none is."""
        return np.where(self.plugged, self.stored_wh / self.capacity_wh, np.nan)

    def step(self, start_s: int, step_s: int) -> Array:
        """Advance and return the mean power of each charger over the step."""
        end_s = start_s + step_s
        there_s = np.where(self.plugged, float(step_s), 0.0)
        energy_wh = np.zeros(len(there_s))
        changing = self._change_s <= end_s
        if changing.any():
            leaving, coming = changing & self.plugged, changing & ~self.plugged
            energy_wh += self._charge(np.where(leaving, self._change_s - start_s, 0.0))
            there_s[leaving] = 0.0
            there_s[coming] = end_s - self._change_s[coming]
            for site in np.flatnonzero(leaving).tolist():
                self._depart(site)
            for site in np.flatnonzero(coming).tolist():
                self._plug(site, int(self._change_s[site]))
        energy_wh += self._charge(there_s)
        self.power_w = energy_wh * (3600 / step_s)
        return self.power_w

    def _charge(self, there_s: Array) -> Array:
        """Charge or discharge for some seconds each; return the energy at the charger in Wh."""
        hours = np.maximum(there_s, 1e-9) / 3600
        told = ~np.isnan(self.controls.setpoint_w)
        wanted = np.where(told, self.controls.setpoint_w, self.charger_w)
        ceiling = np.where(told, self.capacity_wh, self.target_wh)
        room = np.maximum(ceiling - self.stored_wh, 0.0) / (self.one_way * hours)
        left = np.where(
            self.v2g, np.maximum(self.stored_wh - self.minimum_wh, 0.0) * self.one_way / hours, 0.0
        )
        power = np.clip(
            self.controls.limited(wanted), -np.minimum(left, self.charger_w), np.minimum(room, self.charger_w)
        )
        energy: Array = np.where(there_s > 0, power * hours, 0.0)
        into = np.where(energy > 0, energy * self.one_way, energy / self.one_way)
        self.stored_wh = np.clip(self.stored_wh + into, 0.0, self.capacity_wh)
        self.delivered_wh += energy
        return energy

    def _begin(self, site: int, now_s: int) -> None:
        """Put a car where it would be: on the way, or at home and charged since its last arrival."""
        last: Trip | None = None
        day, trip = self._next_trip(site, self._local_day(site, now_s) - 7)
        while trip.departure_s <= now_s:
            last = trip
            day, trip = self._next_trip(site, day + 1)
        self._upcoming[site] = (day, trip)
        if last is not None and last.arrival_s > now_s:
            self._set_off(site, last)
            return
        away_wh, since_s = (last.energy_wh, now_s - last.arrival_s) if last is not None else (0.0, DAY_S)
        gained_wh = float(self.charger_w[site] * self.one_way[site]) * since_s / 3600
        self.stored_wh[site] = min(self._left_after(site, away_wh) + gained_wh, float(self.target_wh[site]))
        self._plug(site, now_s)

    def _next_trip(self, site: int, day: int) -> tuple[int, Trip]:
        car = self._settings[site]
        assert car is not None
        while True:
            trip = trip_of(self._seed, self._sites[site], car, self._zones[site], day)
            if trip is not None:
                return day, trip
            day += 1

    def _local_day(self, site: int, now_s: int) -> int:
        local = datetime.fromtimestamp(now_s, UTC).astimezone(ZoneInfo(self._zones[site]))
        return (local.replace(tzinfo=None) - datetime(1970, 1, 1)).days

    def _left_after(self, site: int, trip_wh: float) -> float:
        lowest = LOWEST_STATE_OF_CHARGE * float(self.capacity_wh[site])
        return max(float(self.stored_wh[site]) - trip_wh, lowest)

    def _set_off(self, site: int, trip: Trip) -> None:
        self.plugged[site] = False
        self.session[site] = ""
        self.stored_wh[site] = self._left_after(site, trip.energy_wh)
        self._change_s[site] = trip.arrival_s

    def _depart(self, site: int) -> None:
        day, trip = self._upcoming[site]
        self.events[site].append(
            EvDisconnectionEvent(
                session_id=self.session[site],
                time_s=trip.departure_s,
                energy_delivered_wh=max(round(float(self.delivered_wh[site])), 0),
                reason="departure",
            )
        )
        self._upcoming[site] = self._next_trip(site, day + 1)
        self._set_off(site, trip)

    def _plug(self, site: int, at_s: int) -> None:
        name = self._sites[site]
        _, upcoming = self._upcoming[site]
        self.plugged[site] = True
        self.delivered_wh[site] = 0.0
        self.session[site] = f"{name}-ev-{at_s}"
        self._change_s[site] = upcoming.departure_s
        car = self._settings[site]
        assert car is not None
        pseudonym = blake2b(f"{self._seed}\x1fcar\x1f{name}".encode(), digest_size=8).hexdigest()
        missing_wh = max(float(self.target_wh[site] - self.stored_wh[site]), 0.0) / float(self.one_way[site])
        self.events[site] += [
            EvConnectionEvent(
                asset_id=f"{name}-ev",
                session_id=self.session[site],
                time_s=at_s,
                vehicle=pseudonym,
                power_max_w=car.charger_w,
            ),
            EvUserInput(
                session_id=self.session[site],
                time_s=at_s,
                requested_energy_wh=int(missing_wh),
                departure_s=upcoming.departure_s,
                minimum_state_of_charge=car.minimum_state_of_charge,
                v2g_allowed=car.v2g,
            ),
        ]


_NONE = EvSettings(capacity_wh=1_000, charger_w=1)
