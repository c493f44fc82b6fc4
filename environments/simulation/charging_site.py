"""A simulated charging site: points at which recorded vehicles come, charge as told, and leave."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from environments.simulation.world.controls import Controls
from ontology.base import Concept
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate, EvUserInput
from ontology.control import Instruction, InstructionStatus

__all__ = ["ChargingPointDevice", "SimulatedChargingSite", "Stay"]

Array = NDArray[np.float64]


class Stay(NamedTuple):
    """A vehicle at a point: until when (epoch seconds), what it can take (Wh there), what its driver says.

    Energies of the battery follow from its capacity and how full it comes; what it can take fills it to
    its driver's target.
    """

    session_id: str
    point: int
    vehicle: str
    arrival_s: int
    departure_s: int
    need_wh: float
    wish: EvUserInput | None
    capacity_wh: float = 60_000.0
    initial_state_of_charge: float = 0.2


class SimulatedChargingSite:
    """Energies in Wh and powers in W at the points, charging positive.

    A vehicle takes what its point is told to give, until it has what it can take; it gives back when told
    to, never below the minimum that its driver named. What a point was told holds for the session that it
    was told in. A point that nobody has told anything gives nothing, or (`plug_and_charge`) all it can.
    """

    def __init__(
        self,
        stays: Sequence[Stay],
        points: Sequence[str],
        power_max_w: Sequence[int],
        start_s: int,
        *,
        step_s: int = 300,
        plug_and_charge: bool = False,
        one_way: float = 1.0,
    ) -> None:
        """Begin at an epoch second with whoever is there by then.

        Args:
            stays: vehicles in the order of arrival, one at a time at each point.
            points: names of the points.
            power_max_w: what each can give.
            start_s: the time being.
            step_s: length of a step in seconds.
            plug_and_charge: charge at full power without being told.
            one_way: efficiency of charging, and of discharging.
        """
        self.now_s, self.step_s = start_s, step_s
        self.points = list(points)
        self.power_max_w = np.array(power_max_w, dtype=float)
        self.one_way = one_way
        self.controls = Controls(len(points))
        self.events: list[list[Concept]] = [[] for _ in points]
        self.power_w = np.zeros(len(points))
        self.served_wh: dict[str, float] = {}
        """What each session that has ended got."""
        self._default_w = self.power_max_w if plug_and_charge else np.zeros(len(points))
        self._coming = list(reversed(stays))
        self._here: list[Stay | None] = [None] * len(points)
        self._leaves_s = np.full(len(points), np.inf)
        self._left_wh = np.zeros(len(points))
        self._spare_wh = np.zeros(len(points))
        self._delivered_wh = np.zeros(len(points))
        self._arrive(start_s)

    @property
    def over(self) -> bool:
        """Whether nobody is here or will come."""
        return not self._coming and not any(self._here)

    @property
    def next_arrival_s(self) -> float:
        """When the next vehicle comes."""
        return self._coming[-1].arrival_s if self._coming else np.inf

    def here(self) -> list[tuple[Stay, float]]:
        """Return who is there, in the order of arrival, and what each can still take in Wh."""
        found = [
            (stay, float(self._left_wh[point])) for point, stay in enumerate(self._here) if stay is not None
        ]
        return sorted(found, key=lambda each: each[0].arrival_s)

    def step(self) -> Array:
        """Advance and return the mean power of each point over the step."""
        start_s, end_s = self.now_s, self.now_s + self.step_s
        self.controls.begin_step(start_s, end_s)
        there_s = np.clip(self._leaves_s - start_s, 0, self.step_s)
        there_s[[stay is None for stay in self._here]] = 0.0
        energy_wh = self._charge(there_s)
        self._depart(end_s)
        for point in self._arrive(end_s):
            alone = np.zeros(len(self.points))
            alone[point] = min(end_s, self._leaves_s[point]) - max(start_s, self._arrived_s(point))
            energy_wh += self._charge(alone)
        self._depart(end_s)
        self.power_w = energy_wh * (3600 / self.step_s)
        self.now_s = end_s
        return self.power_w

    def _arrived_s(self, point: int) -> int:
        stay = self._here[point]
        return stay.arrival_s if stay else self.now_s

    def _charge(self, there_s: Array) -> Array:
        """Charge or discharge for some seconds each; return the energy at the points in Wh."""
        hours = np.maximum(there_s, 1e-9) / 3600
        told = np.where(np.isnan(self.controls.setpoint_w), self._default_w, self.controls.setpoint_w)
        most = np.minimum(np.maximum(self._left_wh, 0.0) / hours, self.power_max_w)
        least = np.minimum(self._spare_wh * self.one_way / hours, self.power_max_w)
        power = np.clip(self.controls.limited(told), -least, most)
        energy: Array = np.where(there_s > 0, power * hours, 0.0)
        stored = np.where(energy > 0, energy * self.one_way, energy / self.one_way)
        self._left_wh -= stored / self.one_way
        self._spare_wh += stored
        self._delivered_wh += energy
        return energy

    def _depart(self, until_s: int) -> None:
        for point in np.flatnonzero(self._leaves_s <= until_s).tolist():
            stay = self._here[point]
            assert stay is not None
            got_wh = stay.need_wh - float(self._left_wh[point])
            self.served_wh[stay.session_id] = got_wh
            self.events[point].append(
                EvDisconnectionEvent(
                    session_id=stay.session_id,
                    time_s=stay.departure_s,
                    energy_delivered_wh=max(0, round(got_wh)),
                    reason="departure",
                )
            )
            self._here[point] = None
            self._leaves_s[point] = np.inf
            self._left_wh[point] = self._spare_wh[point] = self._delivered_wh[point] = 0.0

    def _arrive(self, until_s: int) -> list[int]:
        arrived = []
        while self._coming and self._coming[-1].arrival_s < until_s:
            stay = self._coming[-1]
            if self._here[stay.point] is not None:
                break
            self._coming.pop()
            self._plug(stay)
            arrived.append(stay.point)
        return arrived

    def _plug(self, stay: Stay) -> None:
        point, wish = stay.point, stay.wish
        self._here[point] = stay
        self.controls.release(point)
        self._leaves_s[point] = stay.departure_s
        self._left_wh[point] = stay.need_wh
        gives_back = wish is not None and wish.v2g_allowed
        least = wish.minimum_state_of_charge if wish is not None else 0.0
        above = max(0.0, stay.initial_state_of_charge - least) * stay.capacity_wh
        self._spare_wh[point] = above if gives_back else 0.0
        self.events[point].append(
            EvConnectionEvent(
                asset_id=self.points[point],
                session_id=stay.session_id,
                time_s=stay.arrival_s,
                vehicle=stay.vehicle or stay.session_id,
                power_max_w=int(self.power_max_w[point]),
            )
        )
        if wish is not None:
            self.events[point].append(wish)

    def progress(self, point: int) -> EvSocUpdate | None:
        """Return how far the session at a point has got; None where nobody is."""
        stay = self._here[point]
        if stay is None:
            return None
        stored_wh = (stay.need_wh - float(self._left_wh[point])) * self.one_way
        state = stay.initial_state_of_charge + stored_wh / stay.capacity_wh
        return EvSocUpdate(
            session_id=stay.session_id,
            time_s=self.now_s,
            state_of_charge=round(min(1.0, max(0.0, state)), 6),
            energy_delivered_wh=max(0, round(float(self._delivered_wh[point]))),
            power_w=round(float(self.power_w[point])),
        )

    def devices(self) -> list["ChargingPointDevice"]:
        """Return the points as devices."""
        return [ChargingPointDevice(self, point) for point in range(len(self.points))]


class ChargingPointDevice:
    """A charging point: who came and went since it was last asked, and the running session."""

    def __init__(self, site: SimulatedChargingSite, point: int) -> None:
        """Stand for one point of a site."""
        self.name = site.points[point]
        self._site, self._point = site, point

    async def percepts(self) -> Sequence[Concept]:
        """Return comings and goings, each once, and the session's progress."""
        events = self._site.events[self._point]
        self._site.events[self._point] = []
        progress = self._site.progress(self._point)
        return events if progress is None else [*events, progress]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Put an instruction into effect."""
        site = self._site
        status = site.controls.take(self._point, instruction, site.now_s)
        return InstructionStatus(instruction_id=instruction.instruction_id, status=status, time_s=site.now_s)
