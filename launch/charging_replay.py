"""Replaying recorded charging sessions: through the agents, by simple rules, and with perfect foresight."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from agents.charging_site import ChargingGateway, ChargingSite
from agents.repository import RepositoryAgent
from behaviours.agent import Agent, Surroundings
from behaviours.charging.control import ChargingControl
from behaviours.charging.settings import (
    ChargingGatewaySettings,
    ChargingPoint,
    ChargingSiteSettings,
)
from behaviours.decisions.charging.foresight import (
    KnownStay,
    best_with_foresight,
    least_peak_with_foresight,
)
from behaviours.decisions.charging.priority import ChargingNeed, Rule, powers_by_rule
from behaviours.decisions.charging.terms import Objective
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
from launch.charging_outcomes import Book, Outcome, costs
from launch.charging_stays import ReplaySettings, stays_of
from ontology.control import Instruction
from ontology.errors import Unavailable
from ontology.roles import Role
from ontology.weather import WeatherForecast

__all__ = ["ChargingReplay", "foreseen", "replay_by_rule", "replay_through_agents"]

SITE = "charging-site"
DOMAIN = "localhost"
PHASES = ("A", "B", "C")
SETTLING_S = 900


class NoWeather:
    """The weather service of a site that needs none."""

    async def forecast(self, zone: str) -> WeatherForecast:
        """Say that there is none.

        Raises: Unavailable always.
        """
        raise Unavailable("a charging site needs no weather")


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
        self.book = Book(settings, zone)
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
        points = tuple(point.name for point in site.points)
        membership = {
            address: Member(address, cls.role, _site_of(cls.role), keys[address].verify_key, assets=points)
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
    book = Book(settings, sessions[0].zone)
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
