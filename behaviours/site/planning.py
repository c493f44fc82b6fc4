"""The prosumer's plan: when its devices run, from what they could do and what energy will cost (D8.1 3.8)."""

from collections.abc import Iterable, Mapping

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.bilateral_contract import ramped
from behaviours.decisions.envelopes import advanced, pinned
from behaviours.decisions.flexibility import flexibility_of_plan
from behaviours.decisions.flexibility_costs import Curves, cost_steps
from behaviours.decisions.markets.auction import limits_of_plan
from behaviours.decisions.site_plan import SitePlan
from behaviours.decisions.site_planners import planner_of
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.heat_settings import MAX_CONTROL_S
from behaviours.site.load_forecasting import LoadForecasting
from behaviours.site.market_listening import MarketListening, shifted
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.site.turns import is_turn
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.control import Instruction, InstructionBatch, InstructionBatchStatus, InstructionState, Priority
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.flexibility import FlexEnvelope
from ontology.flexibility_trading import DRSignal
from ontology.forecasts import Forecast, ForecastKind
from ontology.letter import Letter
from ontology.market import LemOrder
from ontology.performatives import Performative

__all__ = ["SitePlanning"]

_ENVELOPE = "envelope "
HEATED = ("heat_pump", "dhw", "lighting")
"""Devices that the heat manager steers."""
FLEXIBLE_STEPS = 8
"""How far ahead a site offers to deviate from its plan: two hours, enough for the intraday gate."""
TOLD_STEPS = 12
"""How far ahead the aggregator is told of it: three hours, enough for the DSO's requests between turns."""
FLEXIBILITY_TICKS_PER_KWH = 300
"""What a site wants for a kWh of deviation: 0.03 EUR, beside what the energy costs it."""


class SitePlanning(Behaviour):
    """Plans the day in turns or when something happens, steers the devices and tells what will be drawn."""

    settings: ProsumerSettings

    def setup(self) -> None:
        """Recall what devices could do before a restart; nobody limits the site."""
        self._envelopes: dict[str, FlexEnvelope] = {}
        for name in self.agent.kept_names(_ENVELOPE):
            envelope = self.kept(name, FlexEnvelope)
            if envelope is not None and self._interval_s() < end_of_envelope(envelope):
                self._envelopes[envelope.subject] = envelope
        self._plan = SitePlan({}, [])
        self._plan_start_s = 0
        self._limit_w: int | None = None
        self.tells_flexibility = True
        """Whether the site's people agree to it."""
        self._floor_w: int | None = None
        self._told_w: dict[str, int] = {}
        self._ramp_w: dict[str, int] = {}
        self._limit_until_s = self._ramp_start_s = 0
        self._plans_made = 0
        self._pins: dict[str, dict[int, int]] = {}
        self.foreseen_w: dict[int, int] = {}
        """What the plans of the last day meant at the meter, in W by start of interval."""
        self.flexibility_w: tuple[list[int], list[int]] = ([], [])
        """By how many W the site could consume less and more, in the next two hours."""

    @on(FlexEnvelope)
    def note_envelope(self, envelope: FlexEnvelope, letter: Letter) -> None:
        """Note what a device could do; it tells so only at its turns, so that is kept over a restart."""
        self._envelopes[envelope.subject] = envelope
        self.keep(_ENVELOPE + envelope.subject, envelope)

    @on(InstructionBatchStatus)
    def note_statuses(self, batch: InstructionBatchStatus, letter: Letter) -> None:
        """Count instructions that no device carries out."""
        refused = (InstructionState.REJECTED, InstructionState.ABORTED)
        self.agent.counts["instructions refused"] += sum(s.status in refused for s in batch.statuses)

    @on(DRSignal)
    def obey(self, signal: DRSignal, letter: Letter) -> Acknowledgement:
        """Keep to the aggregator's limit, or deviate from the plan, from the signal's start on.

        Raises: Refused when somebody else calls for it.
        """
        if letter.sender != self.settings.contacts.aggregator:
            raise Refused("only the aggregator's signals are obeyed")
        self._limit_w, self._floor_w = self._bounds_of(signal)
        self._limit_until_s = signal.start_s + signal.duration_s
        if signal.start_s <= self.now_s():
            self._make_plan(self._interval_s())
            self._steer(self._interval_s())
        return Acknowledgement(of=letter.message_id)

    def _bounds_of(self, signal: DRSignal) -> tuple[int | None, int | None]:
        """Return the most and the least that the site may draw under a signal, in W."""
        if signal.limit_w is not None:
            return signal.limit_w, None
        wanted_w = self.planned_net_w(signal.start_s // INTERVAL_S * INTERVAL_S) + (signal.delta_w or 0)
        return (wanted_w, None) if (signal.delta_w or 0) < 0 else (None, wanted_w)

    def planned_w(self, start_s: int) -> dict[str, int]:
        """Return what the devices but the plants would do in an interval by the present plan, in W."""
        step = (start_s - self._plan_start_s) // INTERVAL_S
        return {
            asset_id: power_w[step]
            for asset_id, power_w in self._plan.setpoints.items()
            if 0 <= step < len(power_w) and not asset_id.endswith("-pv")
        }

    def planned_net_w(self, start_s: int) -> int:
        """Return what the present plan means at the meter in an interval, in W."""
        step = (start_s - self._plan_start_s) // INTERVAL_S
        return self._plan.net_w[step] if 0 <= step < len(self._plan.net_w) else 0

    @every(seconds=lambda settings: 60 if 0 < settings.real_time_s <= 60 else 0, offset_s=20)
    def ramp(self) -> None:
        """Bring devices back to their plan step by step after a limit."""
        if self._ramp_w and self.now_s() % INTERVAL_S >= 60:
            self._steer(self._interval_s())

    def _begin_ramp(self) -> None:
        """Remember, when a limit has just ended, what devices were told under it."""
        if self._limit_until_s and not self._is_limited():
            fast = 0 < self.settings.real_time_s <= 60
            self._ramp_w = dict(self._told_w) if fast else {}
            self._ramp_start_s = self._limit_until_s
            self._limit_w = self._floor_w = None
            self._limit_until_s = 0

    def _on_the_way_back(self, asset_id: str, planned_w: int) -> int:
        """Return a device's power on the way from an emergency back to its plan."""
        before_w = self._ramp_w.get(asset_id)
        if before_w is None:
            return planned_w
        power_w = ramped(before_w, planned_w, self.now_s() - self._ramp_start_s)
        if power_w == planned_w:
            del self._ramp_w[asset_id]
        return power_w

    @every(minutes=15, offset_s=20)
    def plan(self) -> None:
        """Plan when it is time to, and steer the devices for the interval that has just begun."""
        start_s = self._interval_s()
        self._begin_ramp()
        if self._is_due(start_s):
            self._make_plan(start_s)
        self._steer(start_s)
        self._order(start_s)

    def _order(self, start_s: int) -> None:
        """Say, where the market is an auction, what local energy is worth in the interval that begins."""
        listening = self.sibling(MarketListening)
        step = (start_s - self._plan_start_s) // INTERVAL_S
        if not listening.is_auction or step >= len(self._plan.net_w):
            return
        buy, sell = listening.ahead(start_s)
        buy_limit, sell_limit = limits_of_plan(
            buy[:FLEXIBLE_STEPS], sell[:FLEXIBLE_STEPS], self._shiftable(step)
        )
        order = LemOrder(
            subject=self.settings.site,
            start_s=start_s,
            buy_limit_ticks_per_kwh=buy_limit,
            sell_limit_ticks_per_kwh=sell_limit,
            partners=list(self.settings.partners),
        )
        self.tell(self.settings.contacts.oracle, order)

    def _shiftable(self, step: int) -> float:
        """Return the share of the power planned for a step that storage and flexible loads could shift."""
        net_w = abs(self._plan.net_w[step])
        flexible_w = sum(
            abs(power_w[step])
            for asset_id, power_w in self._plan.setpoints.items()
            if step < len(power_w) and not asset_id.endswith("-pv")
        )
        return min(1.0, flexible_w / net_w) if net_w else 0.0

    def _is_due(self, start_s: int) -> bool:
        """Tell whether to plan: at the site's turn, on news of a device, or under a limit."""
        return (
            is_turn(self.settings.site, start_s, self.settings.planning_intervals)
            or not self._plan.net_w
            or any(envelope.start_s == start_s for envelope in self._envelopes.values())
            or self._is_limited()
        )

    def _make_plan(self, start_s: int) -> None:
        """Plan the day from a time, and tell what it means at the meter and what could still be changed."""
        for name, envelope in self._envelopes.items():
            self._envelopes[name] = self._present(envelope, start_s)
        self._plan, self._plan_start_s = self.planned(start_s), start_s
        self._plans_made += 1
        self._tell_flexibility(self._plan)
        self.sibling(FactReporting).report(net_forecast(self.settings.site, start_s, self._plan))

    def planned(self, start_s: int) -> SitePlan:
        """Return the plan of the day from a time: load, envelopes, prices and limits brought together."""
        buy, sell = self.sibling(MarketListening).ahead(start_s)
        return planner_of(self.settings.solver)(
            self.sibling(LoadForecasting).outlook_w(start_s),
            buy,
            sell,
            [pinned(each, self._held_w(each)) for _, each in sorted(self._envelopes.items())],
            import_max_w=self._import_limit_w(start_s),
            export_max_w=self._export_limit_w(start_s),
            flow=self.sibling(MarketListening).flow_ahead(start_s, self._before_w(start_s)),
            wear_ticks_per_kwh=self.settings.wear_ticks_per_kwh,
        )

    def _held_w(self, envelope: FlexEnvelope) -> Mapping[int, int]:
        """Return the powers that a device is held to: by promise, or by its manager's own schedule.

        Under a limit that schedule gives way.
        """
        promised_w = self._pins.get(envelope.subject, {})
        if envelope.subject not in self.settings.led_by or self._is_limited():
            return promised_w
        own_w = {
            envelope.start_s + step * envelope.step_s: power_w
            for step, power_w in enumerate(envelope.preferred_w)
        }
        return own_w | promised_w

    def _before_w(self, start_s: int) -> list[int]:
        """Return what the present plan means at the meter from a time on, in W; nothing without a plan."""
        if not self._plan.net_w:
            return [0] * INTERVALS_A_DAY
        return shifted(self._plan.net_w, (start_s - self._plan_start_s) // INTERVAL_S)

    def laid_out(self) -> tuple[int, dict[str, list[int]], list[FlexEnvelope]]:
        """Return a plan from the running interval on: its start, each device's powers and envelope."""
        start_s = self._interval_s()
        if self._plan_start_s != start_s or any(e.start_s != start_s for e in self._envelopes.values()):
            for name, envelope in self._envelopes.items():
                self._envelopes[name] = self._present(envelope, start_s)
            self._plan, self._plan_start_s = self.planned(start_s), start_s
        envelopes = [self._envelopes[name] for name in sorted(self._plan.setpoints)]
        return start_s, self._plan.setpoints, envelopes

    def present_envelopes(self) -> list[FlexEnvelope]:
        """Return what each device could do from the running interval on, by its name."""
        start_s = self._interval_s()
        return [self._present(self._envelopes[name], start_s) for name in sorted(self._envelopes)]

    @property
    def net_w(self) -> list[int]:
        """What the present plan means at the meter, in W by step."""
        return self._plan.net_w

    def pin(self, pins: Mapping[str, Mapping[int, int]]) -> None:
        """Hold devices (by asset, by start of interval) to powers in W that the site has promised.

        What was promised of an interval before is replaced; what is a day old is forgotten.
        """
        start_s = self._interval_s()
        for asset_id, powers_w in pins.items():
            day_ago_s = start_s - INTERVALS_A_DAY * INTERVAL_S
            held = {s: w for s, w in self._pins.get(asset_id, {}).items() if s >= day_ago_s}
            self._pins[asset_id] = held | dict(powers_w)
        if self._plan.net_w:
            self._make_plan(start_s)

    def unpin(self) -> None:
        """Hold no device to what was promised of the intervals to come."""
        start_s = self._interval_s()
        self._pins = {
            asset_id: {s: w for s, w in powers_w.items() if s <= start_s}
            for asset_id, powers_w in self._pins.items()
        }
        if self._plan.net_w:
            self._make_plan(start_s)

    def release(self, asset_id: str, starts: Iterable[int]) -> None:
        """Hold a device no longer to what it was held to in the intervals that start then."""
        gone = frozenset(starts)
        held = self._pins.get(asset_id, {})
        self._pins[asset_id] = {s: w for s, w in held.items() if s not in gone}
        if self._plan.net_w:
            self._make_plan(self._interval_s())

    def _present(self, envelope: FlexEnvelope, start_s: int) -> FlexEnvelope:
        """Return what a device could do from a time on: its last word, less what it was told to do since."""
        steps = (start_s - envelope.start_s) // INTERVAL_S
        if steps <= 0:
            return envelope
        planned_w = self._plan.setpoints.get(envelope.subject)
        if planned_w is None:  # after a restart only what was promised is known
            held_w = self._pins.get(envelope.subject, {})
            starts = range(envelope.start_s, start_s, INTERVAL_S)
            return advanced(envelope, [held_w.get(begun_s, 0) for begun_s in starts])
        first = (envelope.start_s - self._plan_start_s) // INTERVAL_S
        executed_w = planned_w[max(0, first) : max(0, first) + steps]
        return advanced(envelope, executed_w + [0] * (steps - len(executed_w)))

    def _interval_s(self) -> int:
        return self.now_s() // INTERVAL_S * INTERVAL_S

    def _import_limit_w(self, start_s: int) -> int | list[int]:
        if not self._is_limited() or self._limit_w is None:
            return self.settings.import_max_w
        limited = min(INTERVALS_A_DAY, -(-(self._limit_until_s - start_s) // INTERVAL_S))
        return [self._limit_w] * limited + [self.settings.import_max_w] * (INTERVALS_A_DAY - limited)

    def _export_limit_w(self, start_s: int) -> int | list[int]:
        """Return the most that may be fed in; below zero where the site shall draw at least something."""
        if not self._is_limited() or self._floor_w is None:
            return self.settings.export_max_w
        limited = min(INTERVALS_A_DAY, -(-(self._limit_until_s - start_s) // INTERVAL_S))
        return [-self._floor_w] * limited + [self.settings.export_max_w] * (INTERVALS_A_DAY - limited)

    def _is_limited(self) -> bool:
        return self._limit_until_s > self.now_s()

    def _steer(self, start_s: int) -> None:
        """Instruct each device for the interval, through the gateway."""
        step = (start_s - self._plan_start_s) // INTERVAL_S
        if step < len(self._plan.net_w):
            self.foreseen_w[start_s] = self._plan.net_w[step]
            self.foreseen_w.pop(start_s - INTERVALS_A_DAY * INTERVAL_S, None)
        priority = Priority.DSO_RED if self._is_limited() else Priority.MARKET
        instructions = [
            Instruction(
                instruction_id=f"{asset_id}-{start_s}-{self._plans_made}",
                asset_id=asset_id,
                execution_time_s=self.now_s(),
                valid_until_s=start_s + INTERVAL_S,
                setpoint_w=self._on_the_way_back(asset_id, power_w[step]),
                reason="plan",
                priority=priority,
            )
            for asset_id, power_w in self._plan.setpoints.items()
            if step < len(power_w)
            and not self._runs_free(asset_id, start_s, power_w[step])
            and self._is_ordered(asset_id, start_s)
        ]
        self._told_w = {each.asset_id: each.setpoint_w or 0 for each in instructions}
        self._instruct(instructions)

    def _instruct(self, instructions: list[Instruction]) -> None:
        """Tell the gateway what devices shall do, and those managers that lead theirs what is ordered."""
        for receiver, told in by_receiver(instructions, self.settings).items():
            batch = InstructionBatch(site=self.settings.site, instructions=told)
            self.tell(receiver, batch, Performative.REQUEST)

    def instruct_beside(self, setpoints_w: Mapping[str, int], order: Instruction) -> None:
        """Let devices deviate from the plan as somebody orders, for as long as the order is valid.

        Args:
            setpoints_w: powers of the devices by asset, in W.
            order: what was ordered of the site.
        """
        self._instruct(
            [
                msgspec.structs.replace(
                    order,
                    instruction_id=f"{order.instruction_id}-{asset_id}",
                    asset_id=asset_id,
                    execution_time_s=self.now_s(),
                    setpoint_w=power_w,
                    mode="",
                )
                for asset_id, power_w in setpoints_w.items()
            ]
        )

    def _is_ordered(self, asset_id: str, start_s: int) -> bool:
        """Tell whether a device is to do something else than its manager lets it do by itself."""
        led = asset_id in self.settings.led_by
        return not led or self._is_limited() or start_s in self._pins.get(asset_id, {})

    def _tell_flexibility(self, plan: SitePlan) -> None:
        """Tell the aggregator how far the site could deviate in the next three hours."""
        if not self.tells_flexibility:
            return
        envelopes = [self._envelopes[name] for name in plan.setpoints]
        flexibility = flexibility_of_plan(
            self.settings.site,
            [opening(each) for each in envelopes],
            {asset_id: power_w[:TOLD_STEPS] for asset_id, power_w in plan.setpoints.items()},
            FLEXIBILITY_TICKS_PER_KWH,
            self._curves(plan, envelopes),
        )
        if flexibility is not None:
            self.flexibility_w = flexibility.up_w[:FLEXIBLE_STEPS], flexibility.down_w[:FLEXIBLE_STEPS]
            self.tell(self.settings.contacts.aggregator, flexibility)

    def _curves(self, plan: SitePlan, envelopes: list[FlexEnvelope]) -> Curves:
        """Return what deviating from a plan costs, at the prices that hold at the meter."""
        buy, sell = self.sibling(MarketListening).ahead(self._plan_start_s)
        price = [b if net > 0 else s for b, s, net in zip(buy, sell, plan.net_w, strict=True)]
        return cost_steps(envelopes, plan.setpoints, price, TOLD_STEPS, FLEXIBILITY_TICKS_PER_KWH)

    def _runs_free(self, asset_id: str, start_s: int, power_w: int) -> bool:
        """Tell whether a plant shall give all it can: then its forecast must not cap it."""
        envelope = self._envelopes[asset_id]
        step = (start_s - envelope.start_s) // INTERVAL_S
        if not asset_id.endswith("-pv") or step >= len(envelope.power_min_w):
            return False
        return power_w <= envelope.power_min_w[step]


def by_receiver(instructions: list[Instruction], settings: ProsumerSettings) -> dict[str, list[Instruction]]:
    """Return instructions by the agent that carries them out."""
    sorted_out: dict[str, list[Instruction]] = {}
    for each in instructions:
        receiver = settings.led_by.get(each.asset_id) or steerer_of(each.asset_id, settings)
        sorted_out.setdefault(receiver, []).append(each)
    return sorted_out


def steerer_of(asset_id: str, settings: ProsumerSettings) -> str:
    """Return who steers a device: the heat manager between two plans, otherwise the gateway."""
    contacts, device = settings.contacts, asset_id.removeprefix(f"{settings.site}-")
    steered = 0 < settings.real_time_s <= MAX_CONTROL_S and device in HEATED and contacts.p2h
    return contacts.p2h if steered else contacts.gateway


def net_forecast(site: str, start_s: int, plan: SitePlan) -> Forecast:
    """Return what a plan means at the site's meter."""
    return Forecast(
        subject=site, kind=ForecastKind.NET, issued_at_s=start_s, start_s=start_s, power_w=plan.net_w
    )


def end_of_envelope(envelope: FlexEnvelope) -> int:
    """Return until when an envelope says something, in epoch seconds."""
    return envelope.start_s + len(envelope.power_min_w) * envelope.step_s


def opening(envelope: FlexEnvelope) -> FlexEnvelope:
    """Return the first three hours of an envelope."""
    return msgspec.structs.replace(
        envelope,
        power_min_w=envelope.power_min_w[:TOLD_STEPS],
        power_max_w=envelope.power_max_w[:TOLD_STEPS],
        energy_min_wh=envelope.energy_min_wh[:TOLD_STEPS],
        energy_max_wh=envelope.energy_max_wh[:TOLD_STEPS],
        preferred_w=envelope.preferred_w[:TOLD_STEPS],
    )
