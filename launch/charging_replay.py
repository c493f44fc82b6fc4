"""Replaying recorded charging sessions: through the agents, by simple rules, and with perfect foresight."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from agents.charging_site import ChargingGateway, ChargingSite
from agents.repository import RepositoryAgent
from behaviours.agent import Agent, Surroundings
from behaviours.charging.control import ChargingControl
from behaviours.charging.settings import (
    ChargingGatewaySettings,
    ChargingPoint,
    ChargingSiteSettings,
    Tariff,
)
from behaviours.decisions.charging.foresight import (
    KnownStay,
    best_with_foresight,
    least_peak_with_foresight,
)
from behaviours.decisions.charging.priority import ChargingNeed, Rule, powers_by_rule
from behaviours.decisions.charging.terms import Objective
from behaviours.decisions.series import FloatArray
from behaviours.membership import Member
from behaviours.signing import Signer
from behaviours.site.contacts import SiteContacts
from environments.charging.session_files import RecordedSession
from environments.repository.agent_store import MemoryAgentStore
from environments.repository.memory import MemoryRepository
from environments.simulation.charging_site import SimulatedChargingSite, Stay
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import InProcessTransport
from ontology.charging import EvUserInput
from ontology.control import Instruction
from ontology.errors import Unavailable
from ontology.roles import Role
from ontology.weather import WeatherForecast

__all__ = [
    "ChargingReplay",
    "Outcome",
    "ReplaySettings",
    "foreseen",
    "replay_by_rule",
    "replay_through_agents",
    "stays_of",
]

SITE = "charging-site"
DOMAIN = "localhost"
MET = 0.99
"""The share of its need with which a session counts as met."""
PHASES = ("A", "B", "C")
TARGET = 0.9
"""How full vehicles are once they have what they need, where batteries matter (V2G)."""
SETTLING_S = 900


class ReplaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a data set is replayed: limits in W, step in s, what drivers say, what plans are for.

    `stated` lets drivers say what they said (or nothing) instead of what turned out to be true;
    `single_phase` connects the points to one phase each, in turn, and limits each phase to a third.
    """

    power_max_w: int
    point_power_w: int = 6_656
    step_s: int = 300
    stated: bool = False
    v2g: bool = False
    single_phase: bool = False
    objective: Objective = Objective.COST
    tariff: Tariff = Tariff()
    capacity_wh: int = 60_000
    minimum_state_of_charge: float = 0.3
    efficiency: float = 0.95
    """One way, where V2G lets batteries matter; metered energies count at the point anyway."""


class Outcome(NamedTuple):
    """What a replay came to: energies in Wh, highest power in W, cost in currency, CPU seconds a plan.

    `met` counts sessions that got what they need, −1 where that is not known.
    """

    name: str
    requested_wh: float
    delivered_wh: float
    sessions: int
    met: int
    peak_w: float
    energy_cost: float
    peak_cost: float
    solve_s: tuple[float, ...] = ()
    served_wh: dict[str, float] = {}

    @property
    def share(self) -> float:
        """Delivered of requested energy, in percent."""
        return 100.0 * self.delivered_wh / self.requested_wh if self.requested_wh else 100.0


class NoWeather:
    """The weather service of a site that needs none."""

    async def forecast(self, zone: str) -> WeatherForecast:
        """Say that there is none.

        Raises: Unavailable always.
        """
        raise Unavailable("a charging site needs no weather")


def stays_of(sessions: Sequence[RecordedSession], settings: ReplaySettings) -> tuple[list[Stay], list[str]]:
    """Return what is replayed, and the names of the points.

    A session needs what it took, and no more than its driver asked for. Where a data set has two vehicles
    at a point at once, the second has a point of its own.
    """
    free_s: dict[str, int] = {}
    numbers: dict[str, int] = {}
    stays = []
    for session in sorted(sessions, key=lambda each: each.arrival_s):
        name, copy = session.point, 1
        while free_s.get(name, 0) > session.arrival_s:
            copy += 1
            name = f"{session.point}/{copy}"
        free_s[name] = session.departure_s
        point = numbers.setdefault(name, len(numbers))
        stays.append(_stay(session, point, settings))
    return stays, list(numbers)


def _stay(session: RecordedSession, point: int, settings: ReplaySettings) -> Stay:
    wish = session.wishes[-1] if session.wishes else None
    need_wh = session.delivered_wh
    if settings.stated and wish is not None:
        need_wh = min(need_wh, wish.energy_wh)
    said: tuple[int, int] | None = (need_wh, session.departure_s)
    if settings.stated:
        said = (wish.energy_wh, max(wish.departure_s, session.arrival_s)) if wish is not None else None
    stored_wh = need_wh * (settings.efficiency if settings.v2g else 1.0)
    return Stay(
        session_id=session.session_id,
        point=point,
        vehicle=session.driver,
        arrival_s=session.arrival_s,
        departure_s=session.departure_s,
        need_wh=float(need_wh),
        wish=EvUserInput(
            session_id=session.session_id,
            time_s=session.arrival_s,
            requested_energy_wh=said[0],
            departure_s=said[1],
            minimum_state_of_charge=settings.minimum_state_of_charge,
            v2g_allowed=settings.v2g,
        )
        if said is not None
        else None,
        capacity_wh=float(max(settings.capacity_wh, stored_wh / TARGET)),
        initial_state_of_charge=max(0.0, TARGET - stored_wh / max(settings.capacity_wh, stored_wh / TARGET)),
    )


class ChargingReplay:
    """A charging site offline: its agents in virtual time, its vehicles from a data set."""

    def __init__(self, sessions: Sequence[RecordedSession], settings: ReplaySettings) -> None:
        """Prepare; nothing happens before `step`."""
        self.settings = settings
        stays, points = stays_of(sessions, settings)
        self.stays, zone = stays, sessions[0].zone
        start_s = stays[0].arrival_s // 3600 * 3600
        self.world = _world(stays, points, settings, start_s)
        self.loop = VirtualLoop(start_s)
        self.clock = VirtualClock(self.loop)
        self.book = _Book(settings, zone)
        contacts = SiteContacts(
            gateway=f"gateway@{DOMAIN}", ev=f"{SITE}@{DOMAIN}", repository=f"repository@{DOMAIN}"
        )
        site = ChargingSiteSettings(
            site=SITE,
            contacts=contacts,
            points=tuple(
                ChargingPoint(
                    name=name,
                    power_max_w=settings.point_power_w,
                    phases=PHASES[number % 3] if settings.single_phase else "ABC",
                )
                for number, name in enumerate(points)
            ),
            power_max_w=settings.power_max_w,
            zone=zone,
            step_s=settings.step_s,
            objective=settings.objective,
            tariff=settings.tariff,
            phase_max_w=dict.fromkeys(PHASES, settings.power_max_w // 3) if settings.single_phase else {},
            export_max_w=settings.power_max_w if settings.v2g else 0,
            capacity_wh=settings.capacity_wh,
            efficiency=settings.efficiency if settings.v2g else 1.0,
        )
        gateway = ChargingGatewaySettings(site=SITE, contacts=contacts, step_s=settings.step_s)
        self._start(contacts, site, gateway)

    def _start(
        self, contacts: SiteContacts, site: ChargingSiteSettings, gateway: ChargingGatewaySettings
    ) -> None:
        cast: list[tuple[type[Agent], str, Any, dict[str, Any]]] = [
            (
                RepositoryAgent,
                contacts.repository,
                None,
                {"repository": MemoryRepository(), "weather": NoWeather()},
            ),
            (ChargingSite, contacts.ev, site, {"extra": {"stopwatch": time.process_time}}),
            (ChargingGateway, contacts.gateway, gateway, {"devices": self.world.devices()}),
        ]
        keys = {address: Signer(address.encode().ljust(32, b"\0")[:32]) for _, address, _, _ in cast}
        membership = {
            address: Member(address, cls.role, _site_of(cls.role), keys[address].verify_key)
            for cls, address, _, _ in cast
        }
        transport, store = InProcessTransport(), MemoryAgentStore()
        self.agents: dict[str, Agent] = {}
        for cls, address, settings, ports in cast:
            surroundings = Surroundings(
                clock=self.clock,
                transport=transport,
                membership=membership,
                store=store,
                run_id="replay",
                signer=keys[address],
                **ports,
            )
            self.agents[address] = cls(membership[address], settings, surroundings)
        self.loop.call_soon(self._wake)

    def _wake(self) -> None:
        for agent in self.agents.values():
            agent.post.open()
        for agent in self.agents.values():
            agent.start()

    @property
    def site(self) -> Agent:
        """The agent that plans the site."""
        return self.agents[f"{SITE}@{DOMAIN}"]

    def step(self) -> None:
        """Let the agents act, then the world go on by a step."""
        self.clock.advance_to(self.world.now_s + self.world.step_s)
        start_s = self.world.now_s
        self.book.note(start_s, self.world.step())

    def run(self, progress: Callable[[float], None] = lambda _: None) -> Outcome:
        """Replay to the end and return what came of it."""
        first_s, last_s = self.world.now_s, max(stay.departure_s for stay in self.stays)
        while not self.world.over:
            self.step()
            progress((self.world.now_s - first_s) / max(1, last_s - first_s))
        self.clock.advance_to(self.world.now_s + SETTLING_S)
        self.loop.close()
        control = self.site.behaviour(ChargingControl)
        return self.book.outcome("agents", self.stays, self.world.served_wh, tuple(control.solve_s))


def _site_of(role: Role) -> str:
    return "" if role is Role.REPOSITORY else SITE


def replay_through_agents(
    sessions: Sequence[RecordedSession],
    settings: ReplaySettings,
    progress: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Replay a data set through the agents of a charging site."""
    return ChargingReplay(sessions, settings).run(progress)


def replay_by_rule(sessions: Sequence[RecordedSession], settings: ReplaySettings, rule: Rule) -> Outcome:
    """Replay a data set with a simple rule; of drivers who say nothing it knows the truth."""
    stays, points = stays_of(sessions, settings)
    uncontrolled = rule is Rule.UNCONTROLLED
    world = _world(stays, points, settings, stays[0].arrival_s // 3600 * 3600, plug_and_charge=uncontrolled)
    book = _Book(settings, sessions[0].zone)
    while not world.over:
        if not uncontrolled:
            _instruct(world, settings, rule)
        start_s = world.now_s
        book.note(start_s, world.step())
    return book.outcome(str(rule), stays, world.served_wh)


def foreseen(sessions: Sequence[RecordedSession], settings: ReplaySettings) -> Outcome:
    """Return what perfect foresight reaches: the most energy, then (by objective) least cost or least peak.

    It gives nothing back, and pays for its highest power without having planned for it.
    """
    stays, _ = stays_of(sessions, settings)
    zone, step_s = ZoneInfo(sessions[0].zone), settings.step_s
    start_s = stays[0].arrival_s // 3600 * 3600
    steps = -(-(max(stay.departure_s for stay in stays) - start_s) // step_s)
    starts_s = [start_s + step_s * step for step in range(steps)]
    prices = np.array(
        [settings.tariff.charge_per_kwh[datetime.fromtimestamp(each, zone).hour] for each in starts_s]
    )
    known = [
        KnownStay(stay.arrival_s, stay.departure_s, stay.need_wh, settings.point_power_w) for stay in stays
    ]
    search = least_peak_with_foresight if settings.objective is Objective.PEAK else best_with_foresight
    best = search(known, prices, start_s, step_s, settings.power_max_w)
    energy_cost, peak_cost = costs(starts_s, best.power_w.tolist(), step_s, settings.tariff, zone)
    return Outcome(
        name="foresight",
        requested_wh=sum(stay.need_wh for stay in stays),
        delivered_wh=best.served_wh,
        sessions=len(stays),
        met=-1,
        peak_w=float(best.power_w.max()),
        energy_cost=energy_cost,
        peak_cost=peak_cost,
    )


def _world(
    stays: Sequence[Stay],
    points: Sequence[str],
    settings: ReplaySettings,
    start_s: int,
    *,
    plug_and_charge: bool = False,
) -> SimulatedChargingSite:
    return SimulatedChargingSite(
        stays,
        points,
        [settings.point_power_w] * len(points),
        start_s,
        step_s=settings.step_s,
        plug_and_charge=plug_and_charge,
        one_way=settings.efficiency if settings.v2g else 1.0,
    )


def _instruct(world: SimulatedChargingSite, settings: ReplaySettings, rule: Rule) -> None:
    here = world.here()
    needs = [
        ChargingNeed(stay.session_id, -int(-left_wh), _departure_s(stay, world.now_s), settings.point_power_w)
        for stay, left_wh in here
    ]
    powers = powers_by_rule(rule, needs, world.now_s, settings.power_max_w, settings.step_s)
    for stay, _ in here:
        told = Instruction(
            instruction_id="rule",
            asset_id=world.points[stay.point],
            execution_time_s=world.now_s,
            valid_until_s=world.now_s + settings.step_s,
            setpoint_w=powers[stay.session_id],
        )
        world.controls.take(stay.point, told, world.now_s)


def _departure_s(stay: Stay, now_s: int) -> int:
    """Return when a vehicle leaves as far as its driver said so; who stays beyond that may leave at once."""
    said_s = stay.wish.departure_s if stay.wish else stay.departure_s
    return max(said_s, now_s + 1)


class _Book:
    """Sums what a site draws: its highest power, and what it costs."""

    def __init__(self, settings: ReplaySettings, zone: str) -> None:
        self._settings, self._zone = settings, ZoneInfo(zone)
        self._starts_s: list[int] = []
        self._powers_w: list[float] = []

    def note(self, start_s: int, power_w: FloatArray) -> None:
        """Note the powers of the points over a step."""
        self._starts_s.append(start_s)
        self._powers_w.append(float(power_w.sum()))

    def outcome(
        self,
        name: str,
        stays: Sequence[Stay],
        served_wh: dict[str, float],
        solve_s: tuple[float, ...] = (),
    ) -> Outcome:
        """Return what a replay came to."""
        energy_cost, peak_cost = costs(
            self._starts_s, self._powers_w, self._settings.step_s, self._settings.tariff, self._zone
        )
        return Outcome(
            name=name,
            requested_wh=sum(stay.need_wh for stay in stays),
            delivered_wh=sum(served_wh.values()),
            sessions=len(stays),
            met=sum(served_wh.get(stay.session_id, 0.0) >= MET * stay.need_wh - 1 for stay in stays),
            peak_w=max(self._powers_w, default=0.0),
            energy_cost=energy_cost,
            peak_cost=peak_cost,
            solve_s=solve_s,
            served_wh=dict(served_wh),
        )


def costs(
    starts_s: Sequence[int], powers_w: Sequence[float], step_s: int, tariff: Tariff, zone: ZoneInfo
) -> tuple[float, float]:
    """Return what energy and the months' highest powers cost, in currency."""
    energy, peaks = 0.0, dict[str, float]()
    for start_s, power_w in zip(starts_s, powers_w, strict=True):
        local = datetime.fromtimestamp(start_s, zone)
        prices = tariff.charge_per_kwh if power_w >= 0 else tariff.discharge_per_kwh
        energy += prices[local.hour] * power_w * step_s / 3.6e6
        month = local.strftime("%Y-%m")
        peaks[month] = max(peaks.get(month, 0.0), power_w)
    return energy, tariff.peak_per_kw * sum(peaks.values()) / 1000
