"""Planning and steering a charging site: every few minutes, and at once when a limit comes (SPEC 4.5.4)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from behaviours.behaviour import Behaviour, every, on
from behaviours.charging.settings import ChargingSiteSettings
from behaviours.charging.usage_monitoring import UsageMonitoring
from behaviours.decisions.charging.limits import SiteRequest, bounds_w
from behaviours.decisions.charging.load import spread_by_limit
from behaviours.decisions.charging.plan import charging_plan
from behaviours.decisions.charging.priority import ChargingNeed, Rule, powers_by_rule
from behaviours.decisions.charging.requests import VehicleModel, demand_of, kept_whole, within_reserve
from behaviours.decisions.charging.terms import (
    ChargingDemand,
    ChargingPlan,
    SiteTerms,
    averaged,
    plan_steps,
)
from behaviours.decisions.series import FloatArray, IntArray
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
)
from ontology.errors import Failed, InvalidInput, Refused, problem
from ontology.letter import Letter
from ontology.market import PriceProfile
from ontology.performatives import Performative

__all__ = ["ChargingControl"]

_PEAK = "peak"
_MOST_A_BATCH = 100
_HORIZON_S = 86_400
_BINDING = (Priority.CONTRACT, Priority.DSO_RED)
"""Priorities that hold whatever drivers miss; others are refused when somebody would miss a request."""
_MISSED_WH = 50.0
_UNKNOWN_USE = 0.3
"""The share of the free points' power that is kept for newcomers while it is not known when they come."""


class ObservedPeak(msgspec.Struct):
    """The highest mean power of a billing month so far, in W."""

    month: str
    power_w: float


class ChargingControl(Behaviour):
    """Plans all sessions again and again and tells the points, through the gateway, what to do."""

    settings: ChargingSiteSettings

    def setup(self) -> None:
        """Nobody has been told anything; the month's highest power is recalled."""
        settings = self.settings
        self.plan: ChargingPlan | None = None
        self._unasked: ChargingPlan | None = None
        self.demands: list[ChargingDemand] = []
        self.solve_s: list[float] = []
        """How long each plan took, where the agent was handed a stopwatch (`extra`)."""
        self._stopwatch: Callable[[], float] = self.agent.surroundings.extra.get("stopwatch", lambda: 0.0)
        self._points = {point.name: point for point in settings.points}
        self._zone = ZoneInfo(settings.zone)
        self._told_w: dict[str, int] = {}
        self._requests: list[SiteRequest] = []
        self._prices: PriceProfile | None = None
        kept = self.agent.kept_bytes(_PEAK)
        self._peak = msgspec.json.decode(kept, type=ObservedPeak) if kept else ObservedPeak("", 0.0)

    @every(seconds=lambda settings: settings.step_s, offset_s=2)
    def replan(self) -> None:
        """Note the power of the step that has ended, plan anew and tell the points."""
        self._note_peak()
        self._requests = [each for each in self._requests if each.end_s > self.now_s()]
        self._act()

    @on(Instruction)
    def obey(self, told: Instruction, letter: Letter) -> InstructionStatus:
        """Take a request to manage the load, or a limit of the grid, and plan at once.

        Raises: Refused when it is not the aggregator's, or would make somebody miss a request and does not
            bind; InvalidInput when it names no limit.
        """
        if letter.sender != self.settings.contacts.aggregator or told.asset_id != self.settings.site:
            raise Refused("a charging site is asked as a whole, by its aggregator")
        if told.power_max_w is None and told.power_min_w is None:
            raise InvalidInput(problem("power_max_w", None, "a limit of the site's power"))
        request = SiteRequest(
            told.instruction_id,
            told.execution_time_s,
            told.valid_until_s,
            told.power_min_w,
            told.power_max_w,
            told.priority,
        )
        before = self._requests
        self._requests = [each for each in before if each.request_id != request.request_id] + [request]
        if told.priority not in _BINDING and self._missed_wh() > self._missed_wh(before) + _MISSED_WH:
            self._requests = before
            raise Refused("somebody would miss a request")
        self._act()
        return InstructionStatus(
            instruction_id=told.instruction_id, status=InstructionState.ACCEPTED, time_s=self.now_s()
        )

    @on(Instruction, Performative.CANCEL)
    def release(self, told: Instruction, letter: Letter) -> None:
        """Forget a request that is called back."""
        self._requests = [each for each in self._requests if each.request_id != told.instruction_id]

    @on(PriceProfile)
    def note_prices(self, prices: PriceProfile, letter: Letter) -> None:
        """Plan with these prices from now on; beyond them the tariff holds."""
        self._prices = prices

    @on(InstructionBatchStatus)
    def note_status(self, batch: InstructionBatchStatus, letter: Letter) -> None:
        """Count what points did not take."""
        refused = sum(each.status is InstructionState.REJECTED for each in batch.statuses)
        if refused:
            self.agent.counts["set-points rejected"] += refused

    @property
    def observed_peak_w(self) -> float:
        """The highest mean power of this local month so far, base load included."""
        return self._peak.power_w if self._peak.month == self._month() else 0.0

    def room_w(self, steps: IntArray, plan_w: Mapping[str, FloatArray]) -> FloatArray:
        """Return what a plan may be changed to draw at most, by step: within site, requests and each phase.

        The phase with the least room decides, whichever phases are used.
        """
        settings = self.settings
        most, _ = bounds_w(steps, settings.power_max_w, self._requests)
        room = most - self._hourly(settings.base_w, steps)
        total = np.zeros(len(room))
        on_phase = {phase: np.zeros(len(room)) for phase in settings.phase_max_w}
        for demand in self.demands:
            power_w = plan_w.get(demand.session_id, np.zeros(len(room)))
            total = total + power_w
            for phase in set(demand.phases) & set(on_phase):
                on_phase[phase] += power_w / len(demand.phases)
        for phase, limit_w in settings.phase_max_w.items():
            room = np.minimum(room, total + limit_w - on_phase[phase])
        return room

    # -- planning -----------------------------------------------------------------------------

    def _act(self) -> None:
        self.demands = self._demands()
        self._tell(self._powers_w())

    def _demands(self) -> list[ChargingDemand]:
        settings, monitoring = self.settings, self.sibling(UsageMonitoring)
        model = VehicleModel(settings.capacity_wh, settings.efficiency)
        found = []
        for session in monitoring.active.values():
            point = self._points.get(session.connection.asset_id)
            if point is not None:
                found.append(
                    demand_of(
                        session,
                        monitoring.expected(session),
                        model,
                        point.power_max_w,
                        self.now_s(),
                        told_w=self._told_w.get(session.session_id, 0),
                        phases=point.phases,
                    )
                )
        return found

    def _powers_w(self) -> dict[str, int]:
        """Return what each session shall draw now: by the plan, or by least laxity where there is none."""
        if self.settings.rule is not None:
            return self._by_rule(self.settings.rule)
        began_s = self._stopwatch()
        try:
            self.plan = self._planned(self.demands, self._requests)
            if not self._requests:
                self._unasked = self.plan
        except Failed:
            self.agent.counts["plans failed"] += 1
            self.plan = None
            return self._by_rule(Rule.LEAST_LAXITY)
        if self.demands:
            self.solve_s.append(self._stopwatch() - began_s)
        return {session: int(power_w[0]) for session, power_w in self.plan.power_w.items()}

    def _planned(self, demands: list[ChargingDemand], requests: list[SiteRequest]) -> ChargingPlan:
        """Plan all sessions; those that give back keep what they can regain whatever comes.

        While requests of the market run, whom the plan before served is served first.

        Raises: Failed when the solver finds no plan.
        """
        if self._unasked is not None and any(each.priority not in _BINDING for each in requests):
            demands = kept_whole(demands, self._unasked)
        terms = self._terms(requests)
        if any(each.discharge_max_w > 0 for each in demands):
            share_w = self._least_share_w(terms)
            demands = within_reserve(demands, share_w, self.now_s(), self.settings.step_s, terms.round_trip)
        return charging_plan(demands, terms, self.settings.objective)

    def _least_share_w(self, terms: SiteTerms) -> float:
        """Return what each point can count on, were all of them taken."""
        points = self.settings.points
        shares = [float((terms.power_max_w - terms.base_w).min()) / len(points)]
        for phase, limit_w in terms.phase_max_w.items():
            on_phase = sum((phase in point.phases) / len(point.phases) for point in points)
            shares.append(limit_w / max(1.0, on_phase))
        return max(0.0, min(shares))

    def _by_rule(self, rule: Rule) -> dict[str, int]:
        needs = [
            ChargingNeed(each.session_id, round(each.remaining_wh), each.departure_s, int(each.power_max_w))
            for each in self.demands
        ]
        terms = self._terms(self._requests)
        room_w = int(max(0.0, terms.power_max_w[0] - terms.base_w[0]))
        return powers_by_rule(rule, needs, self.now_s(), room_w, self.settings.step_s)

    def _missed_wh(self, requests: list[SiteRequest] | None = None) -> float:
        """Return what drivers would miss under requests to the site, in Wh."""
        try:
            plan = self._planned(self._demands(), self._requests if requests is None else requests)
        except Failed:
            return float("inf")
        return sum(plan.shortfall_wh.values())

    def _terms(self, requests: list[SiteRequest]) -> SiteTerms:
        settings, now_s = self.settings, self.now_s()
        until_s = now_s + _HORIZON_S
        steps = plan_steps(
            now_s,
            [min(each.departure_s, until_s) for each in self.demands],
            settings.step_s,
            extra_s=[moment for each in requests for moment in (each.start_s, each.end_s)],
        )
        base = self._hourly(settings.base_w, steps)
        most, least = bounds_w(steps, settings.power_max_w, requests)
        expected_w, reserved_w = self._newcomers(steps, most - base)
        return SiteTerms(
            starts_s=steps,
            power_max_w=most,
            at_least_w=least,
            base_w=base,
            expected_w=expected_w,
            reserved_w=reserved_w,
            charge_price_per_kwh=self._priced(settings.tariff.charge_per_kwh, steps, "buy_ticks_per_kwh"),
            discharge_price_per_kwh=self._priced(
                settings.tariff.discharge_per_kwh, steps, "sell_ticks_per_kwh"
            ),
            power_min_w=-float(settings.export_max_w),
            peak_price_per_kw=settings.tariff.peak_per_kw,
            observed_peak_w=self.observed_peak_w,
            phase_max_w={phase: float(limit) for phase, limit in settings.phase_max_w.items()},
            round_trip=settings.efficiency**2,
        )

    def _newcomers(self, steps: IntArray, room_w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what sessions still to come will want, and may want at most, by step of the plan.

        Both are delayed by the limit. While the site is not known yet, free points are thought to be taken
        as often as points of busy sites are.
        """
        now_s, number = int(steps[0]), -(-int(steps[-1] - steps[0]) // INTERVAL_S)
        monitoring = self.sibling(UsageMonitoring)
        begun_today = monitoring.begun_today
        expected = monitoring.load.newcomers(now_s, number, INTERVAL_S, begun_today=begun_today)
        quarters = now_s + INTERVAL_S * np.arange(number)
        room = np.interp(quarters, steps[:-1], room_w)
        mean_w, high_w = (
            averaged(spread_by_limit(power_w, room), now_s, INTERVAL_S, steps)
            for power_w in (expected.power_w, np.maximum(expected.high_w, expected.power_w))
        )
        if monitoring.load.knows(now_s):
            return mean_w, high_w
        points = self.settings.points
        free = 1 - len(monitoring.active) / len(points)
        wanted_w = _UNKNOWN_USE * free * sum(point.power_max_w for point in points)
        return mean_w, np.concatenate([[0.0], np.clip(room_w[1:], 0.0, wanted_w)])

    def _hourly(self, values: tuple[float, ...] | tuple[int, ...], steps: IntArray) -> FloatArray:
        """Return values by local hour as means over the steps of a plan."""
        first_s = int(steps[0]) // 3600 * 3600
        hours = range(first_s, int(steps[-1]) + 3600, 3600)
        local = [values[datetime.fromtimestamp(each, self._zone).hour] for each in hours]
        return averaged(local, first_s, 3600, steps)

    def _priced(self, tariff: tuple[float, ...], steps: IntArray, name: str) -> FloatArray:
        prices, by_tariff = self._prices, self._hourly(tariff, steps)
        if prices is None:
            return by_tariff
        said = np.array(getattr(prices, name)) / TICKS_PER_CURRENCY
        end_s = prices.start_s + len(said) * prices.step_s
        if not len(said):
            return by_tariff
        covered = (steps[:-1] >= prices.start_s) & (steps[:-1] < end_s)
        return np.where(covered, averaged(said, prices.start_s, prices.step_s, steps), by_tariff)

    # -- steering -----------------------------------------------------------------------------

    def _tell(self, powers_w: dict[str, int]) -> None:
        """Tell the points what holds until the plan after the next."""
        now_s, sessions = self.now_s(), self.sibling(UsageMonitoring).active
        instructions = [
            Instruction(
                instruction_id=f"{session_id}-{now_s}",
                asset_id=sessions[session_id].connection.asset_id,
                execution_time_s=now_s,
                valid_until_s=now_s + 2 * self.settings.step_s,
                setpoint_w=power_w,
                priority=Priority.MARKET,
            )
            for session_id, power_w in powers_w.items()
        ]
        for first in range(0, len(instructions), _MOST_A_BATCH):
            batch = InstructionBatch(
                site=self.settings.site, instructions=instructions[first : first + _MOST_A_BATCH]
            )
            self.tell(self.settings.contacts.gateway, batch, Performative.REQUEST)
        self._told_w = powers_w

    def _note_peak(self) -> None:
        sessions = self.sibling(UsageMonitoring).active.values()
        local = datetime.fromtimestamp(self.now_s() - self.settings.step_s, self._zone)
        drawn_w = sum(each.progress.power_w for each in sessions if each.progress)
        drawn_w += self.settings.base_w[local.hour]
        if drawn_w > self.observed_peak_w:
            self._peak = ObservedPeak(self._month(), float(drawn_w))
            self.keep(_PEAK, msgspec.json.encode(self._peak))

    def _month(self) -> str:
        return datetime.fromtimestamp(self.now_s() - self.settings.step_s, self._zone).strftime("%Y-%m")
