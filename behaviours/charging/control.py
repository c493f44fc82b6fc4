"""Planning and steering a charging site: every few minutes, and at once when a limit comes (SPEC 4.5.4)."""

from collections.abc import Callable

from behaviours.behaviour import Behaviour, every, on
from behaviours.charging.settings import ChargingSiteSettings
from behaviours.charging.site_outlook import SiteOutlook
from behaviours.charging.usage_monitoring import UsageMonitoring
from behaviours.decisions.charging.limits import SiteRequest
from behaviours.decisions.charging.plan import charging_plan
from behaviours.decisions.charging.priority import ChargingNeed, Rule, powers_by_rule
from behaviours.decisions.charging.requests import (
    VehicleModel,
    demand_of,
    is_full,
    kept_whole,
    within_reserve,
)
from behaviours.decisions.charging.sessions import ChargingSession
from behaviours.decisions.charging.terms import (
    ChargingDemand,
    ChargingPlan,
)
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
from ontology.performatives import Performative

__all__ = ["ChargingControl"]

_REQUEST = "request "
_MOST_A_BATCH = 100
_BINDING = (Priority.CONTRACT, Priority.DSO_RED)
"""Priorities that hold whatever drivers miss; others are refused when somebody would miss a request."""
_MISSED_WH = 50.0


class ChargingControl(Behaviour):
    """Plans all sessions again and again and tells the points, through the gateway, what to do."""

    settings: ChargingSiteSettings

    def setup(self) -> None:
        """Nobody has been told anything; what others asked of the site is recalled."""
        settings = self.settings
        self.plan: ChargingPlan | None = None
        self._unasked: ChargingPlan | None = None
        self.demands: list[ChargingDemand] = []
        self.solve_s: list[float] = []
        """How long each plan took, where the agent was handed a stopwatch (`extra`)."""
        self._stopwatch: Callable[[], float] = self.agent.surroundings.extra.get("stopwatch", lambda: 0.0)
        self._points = {point.name: point for point in settings.points}
        self._told_w: dict[str, int] = {}
        """The least that each session was told to draw in the running step."""
        self._told_before_w: dict[str, int] = {}
        """The same of the step that the last reading is about."""
        self._full: dict[str, int] = {}
        """Vehicles that take no more, by the time of the wish that this holds for."""
        self.requests: list[SiteRequest] = []
        for name in self.agent.kept_names(_REQUEST):
            told = self.kept(name, Instruction)
            if told is not None:
                self.requests.append(request_of(told))

    @every(seconds=lambda settings: settings.step_s, offset_s=2)
    def replan(self) -> None:
        """Note the power of the step that has ended, plan anew and tell the points."""
        self.sibling(SiteOutlook).note_peak()
        self._told_before_w, self._told_w = self._told_w, {}
        active = self.sibling(UsageMonitoring).active
        self._full = {name: wish_s for name, wish_s in self._full.items() if name in active}
        for request in [each for each in self.requests if each.end_s <= self.now_s()]:
            self._forget(request.request_id)
        self._act()

    @on(Instruction, Performative.REQUEST)
    def obey(self, told: Instruction, letter: Letter) -> InstructionStatus:
        """Take a request to manage the load, or a limit of the grid, and plan at once.

        Raises: Refused when it is not the aggregator's, or would make somebody miss a request and does not
            bind; InvalidInput when it names no limit.
        """
        if letter.sender != self.settings.contacts.aggregator or told.asset_id != self.settings.site:
            raise Refused("a charging site is asked as a whole, by its aggregator")
        if told.power_max_w is None and told.power_min_w is None:
            raise InvalidInput(problem("power_max_w", None, "a limit of the site's power"))
        if told.valid_until_s <= self.now_s():
            raise Refused("that time is over")
        before = self.requests
        self.requests = [each for each in before if each.request_id != told.instruction_id] + [
            request_of(told)
        ]
        if (
            told.priority not in _BINDING
            and self._missed_wh(self.requests) > self._missed_wh(before) + _MISSED_WH
        ):
            self.requests = before
            raise Refused("somebody would miss a request")
        self.keep(_REQUEST + told.instruction_id, told)
        self._act()
        if told.execution_time_s > self.now_s():
            self.agent.spawn(self._act_at(told.execution_time_s))
        return InstructionStatus(
            instruction_id=told.instruction_id, status=InstructionState.ACCEPTED, time_s=self.now_s()
        )

    @on(Instruction, Performative.CANCEL)
    def release(self, told: Instruction, letter: Letter) -> None:
        """Forget a request that is called back, and plan without it."""
        if letter.sender == self.settings.contacts.aggregator:
            self._forget(told.instruction_id)
            self._act()

    @on(InstructionBatchStatus)
    def note_status(self, batch: InstructionBatchStatus, letter: Letter) -> None:
        """Count what points did not take."""
        refused = sum(each.status is InstructionState.REJECTED for each in batch.statuses)
        if refused:
            self.agent.counts["set-points rejected"] += refused

    # -- planning -----------------------------------------------------------------------------

    def _forget(self, request_id: str) -> None:
        self.requests = [each for each in self.requests if each.request_id != request_id]
        self.keep(_REQUEST + request_id, None)

    async def _act_at(self, start_s: int) -> None:
        """Plan anew when a limit begins."""
        await self.clock.sleep_until(start_s)
        self._act()

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
                        full=self._is_full(session),
                        phases=point.phases,
                    )
                )
        return found

    def _is_full(self, session: ChargingSession) -> bool:
        """Tell whether a vehicle takes no more, as it stays until its driver asks for something else."""
        wish_s = session.wish.time_s if session.wish else 0
        if is_full(session, self._told_before_w.get(session.session_id, 0)):
            self._full[session.session_id] = wish_s
        return self._full.get(session.session_id) == wish_s

    def _powers_w(self) -> dict[str, int]:
        """Return what each session shall draw now: by the plan, or by least laxity where there is none."""
        if self.settings.rule is not None:
            return self._by_rule(self.settings.rule)
        began_s = self._stopwatch()
        try:
            self.plan = self._planned(self.demands, self.requests)
            if not self.requests:
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
        outlook = self.sibling(SiteOutlook)
        terms = outlook.terms(demands, requests)
        if any(each.discharge_max_w > 0 for each in demands):
            share_w = outlook.least_share_w(terms)
            demands = within_reserve(demands, share_w)
        return charging_plan(demands, terms, self.settings.objective)

    def _by_rule(self, rule: Rule) -> dict[str, int]:
        needs = [
            ChargingNeed(each.session_id, round(each.remaining_wh), each.departure_s, int(each.power_max_w))
            for each in self.demands
        ]
        terms = self.sibling(SiteOutlook).terms(self.demands, self.requests)
        room_w = int(max(0.0, terms.power_max_w[0] - terms.base_w[0]))
        return powers_by_rule(rule, needs, self.now_s(), room_w, self.settings.step_s)

    def _missed_wh(self, requests: list[SiteRequest]) -> float:
        """Return what drivers would miss under requests to the site, in Wh."""
        try:
            plan = self._planned(self._demands(), requests)
        except Failed:
            return float("inf")
        return sum(plan.shortfall_wh.values())

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
        for session_id, power_w in powers_w.items():
            self._told_w[session_id] = min(power_w, self._told_w.get(session_id, power_w))


def request_of(told: Instruction) -> SiteRequest:
    """Return what an instruction asks of the site."""
    return SiteRequest(
        told.instruction_id,
        told.execution_time_s,
        told.valid_until_s,
        told.power_min_w,
        told.power_max_w,
        told.priority,
    )
