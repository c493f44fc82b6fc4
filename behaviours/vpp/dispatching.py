"""DER dispatch: while a plant delivers, the aggregator corrects it by the minute (SPEC 4.9).

```
prosumer    inform Measurement (what it deviates by) ─> aggregator     every minute
            <─ request InstructionBatch (how far beyond its promise) ──  where there is something to correct
            ─> request InstructionBatch ─> gateway, or manager          the only way to devices (SPEC 9.3)
```
"""

from collections.abc import Iterator

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.dispatch import MemberRange, disaggregate
from behaviours.decisions.dispatch_loop import (
    DispatchOrder,
    DispatchState,
    Responder,
    dispatched,
    room_left,
)
from behaviours.decisions.flexibility import deviations, first_step
from behaviours.decisions.site_plan import is_storage
from behaviours.market.opening import AggregatorSettings
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.site.metering import SAMPLES
from behaviours.site.planning import SitePlanning
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.vpp.initiation import VppInitiation, VppRecord
from behaviours.vpp.membership import Promise, VppMembership
from behaviours.vpp.portfolio import end_of, starts_of
from ontology.base import INTERVAL_S
from ontology.coalition import ProductKind
from ontology.codec import message_type_of
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
)
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity
from ontology.performatives import Performative
from ontology.vpp import VppState

__all__ = ["DerDispatch", "DispatchFollowing"]

CYCLE_S = 60
PRIORITIES = {
    ProductKind.DEMAND_RESPONSE: Priority.DSO_RED,
    ProductKind.FLEX_REQUEST: Priority.CONTRACT,
    ProductKind.EXTERNAL: Priority.MARKET,
    ProductKind.LOCAL_MARKET: Priority.MARKET,
}
"""Whose will a product is (SPEC 3.4, concept 20)."""
DEVIATION = "deviation"
"""The mode of an instruction to a site: its set-point counts from what the site has promised."""
FRESH_S = 90
_MEASUREMENT = message_type_of(Measurement)


def is_fast(real_time_s: int) -> int:
    """Return the period of the loop, or 0 where devices are not read so often."""
    return CYCLE_S if 0 < real_time_s <= CYCLE_S else 0


class DerDispatch(Behaviour):
    """Asks members for more or less than they promised, so that the plant delivers what was ordered."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Nobody has said what it does."""
        self._states: dict[str, tuple[int, DispatchState]] = {}
        self._reported: dict[str, dict[str, tuple[int, int]]] = {}

    @on(Measurement)
    def note(self, measured: Measurement, letter: Letter) -> None:
        """Note by how much a member deviates for a plant."""
        record = self.sibling(VppInitiation).plants.get(measured.subject)
        if record is not None and letter.sender in record.commitments:
            reported = self._reported.setdefault(measured.subject, {})
            reported[letter.sender] = measured.time_s, round(measured.value)

    @every(seconds=lambda settings: is_fast(settings.real_time_s), offset_s=50)
    def correct(self) -> None:
        """Correct every plant that delivers, the most important orders first."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        taken_w: dict[str, int] = {}
        for order, record in sorted(self._running(start_s), key=lambda each: -each[0].priority):
            members = room_left(self._responders(record, start_s), taken_w)
            before = self._state_of(order.name, start_s)
            beyond_w, after = dispatched(order.power_w, members, before)
            self._states[order.name] = start_s, after
            for member, power_w in beyond_w.items():
                taken_w[member] = taken_w.get(member, 0) + power_w
            self._tell(order, beyond_w, before)
        recent = {name for name, (time_s, _) in self._states.items() if time_s >= start_s - INTERVAL_S}
        self._states = {name: self._states[name] for name in recent}
        self._reported = {name: told for name, told in self._reported.items() if name in recent}

    def _state_of(self, name: str, start_s: int) -> DispatchState:
        """Return what is remembered of a plant; of an interval before, only who has failed."""
        known = self._states.get(name)
        if known is None:
            return DispatchState()
        return known[1] if known[0] == start_s else known[1].renewed()

    def _running(self, start_s: int) -> Iterator[tuple[DispatchOrder, VppRecord]]:
        """Return the orders of the running interval, and the plants that deliver them."""
        for record in self.sibling(VppInitiation).plants.values():
            product = record.product
            if record.state is VppState.ACTIVE and product.start_s <= start_s < end_of(product):
                target_w = product.target_w[starts_of(product).index(start_s)]
                yield DispatchOrder(record.vpp_id, target_w, PRIORITIES[product.kind]), record

    def _responders(self, record: VppRecord, start_s: int) -> list[Responder]:
        """Return what the members of a plant promised, could do beyond, and do."""
        sites = {member.prosumer: member.site for member in self.settings.portfolio}
        portfolio, step = self.sibling(PortfolioKeeping), starts_of(record.product).index(start_s)
        reported = self._reported.get(record.vpp_id, {})
        members = []
        for who, commitment in sorted(record.commitments.items()):
            less_w, more_w = portfolio.of(sites.get(who, ""), start_s)
            time_s, power_w = reported.get(who, (0, 0))
            delivered_w = power_w if self.now_s() - time_s <= FRESH_S else None
            bid = record.bids.get(who)
            cost = bid.cost_ticks_per_kwh if bid is not None else 0
            members.append(Responder(who, commitment.schedule_w[step], -less_w, more_w, cost, delivered_w))
        return members

    def _tell(self, order: DispatchOrder, beyond_w: dict[str, int], before: DispatchState) -> None:
        """Instruct members of whom something else is wanted than a minute ago."""
        sites = {member.prosumer: member.site for member in self.settings.portfolio}
        now_s = self.now_s()
        for member, power_w in beyond_w.items():
            if not power_w and member not in self._corrected(order.name, before):
                continue
            site = sites[member]
            instruction = Instruction(
                instruction_id=f"{order.name}-{site}-{now_s}",
                asset_id=site,
                execution_time_s=now_s,
                valid_until_s=now_s // INTERVAL_S * INTERVAL_S + INTERVAL_S,
                setpoint_w=power_w,
                mode=DEVIATION,
                reason=order.name,
                priority=order.priority,
            )
            batch = InstructionBatch(site=site, instructions=[instruction])
            self.tell(member, batch, Performative.REQUEST)
            self.agent.counts["dispatch corrections"] += 1

    def _corrected(self, name: str, before: DispatchState) -> set[str]:
        """Return who was asked for something else than its promise in the cycle before."""
        record = self.sibling(VppInitiation).plants[name]
        step = starts_of(record.product).index(self.now_s() // INTERVAL_S * INTERVAL_S)
        return {
            who
            for who, commitment in record.commitments.items()
            if before.asked_w.get(who, commitment.schedule_w[step]) != commitment.schedule_w[step]
        }


class DispatchFollowing(Behaviour):
    """The prosumer's part: says by the minute what it deviates by, and goes beyond its promise when asked."""

    settings: ProsumerSettings

    @every(seconds=lambda settings: is_fast(settings.real_time_s), offset_s=40)
    async def report(self) -> None:
        """Tell initiators what the devices deviated by in the minute that has ended."""
        now_s = self.now_s()
        minute_s = now_s // CYCLE_S * CYCLE_S - CYCLE_S
        start_s = minute_s // INTERVAL_S * INTERVAL_S
        running = [
            each for each in self.sibling(VppMembership).promises.items() if start_s in each[1].schedule_w
        ]
        if not running or now_s // INTERVAL_S * INTERVAL_S != start_s:
            return
        metered = await self._metered_w(minute_s)
        for vpp_id, promise in running:
            if all(asset in metered for asset in promise.assets):
                deviation_w = sum(metered[a] - promise.baseline_w[a].get(start_s, 0) for a in promise.assets)
                self._tell(vpp_id, promise, minute_s + CYCLE_S, deviation_w)

    @on(InstructionBatch)
    def follow(self, batch: InstructionBatch, letter: Letter) -> InstructionBatchStatus:
        """Share out among the devices of a promise how far to go beyond it, within what they can do.

        Raises: Refused for anybody but the aggregator.
        """
        if letter.sender != self.settings.contacts.aggregator:
            raise Refused("only the aggregator dispatches a site")
        statuses = [self._follow(each) for each in batch.instructions]
        return InstructionBatchStatus(site=self.settings.site, statuses=statuses)

    def _follow(self, told: Instruction) -> InstructionStatus:
        promise = self.sibling(VppMembership).promises.get(told.reason)
        state = InstructionState.REJECTED
        if promise is not None and told.mode == DEVIATION and told.setpoint_w is not None:
            setpoints_w = self._setpoints_w(promise, told.setpoint_w)
            self.sibling(VppMembership).widen(told.reason, setpoints_w)
            self.sibling(SitePlanning).instruct_beside(setpoints_w, told)
            state = InstructionState.ACCEPTED
        return InstructionStatus(instruction_id=told.instruction_id, status=state, time_s=self.now_s())

    def _setpoints_w(self, promise: Promise, power_w: int) -> dict[str, int]:
        """Return set-points in W: of the devices of a promise, and of storages where those do not suffice.

        Those count from what was promised, not from the present plan, which may have changed meanwhile.
        """
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S
        base_w, ranges = dict(self.sibling(SitePlanning).planned_w(start_s)), []
        for each in self.sibling(SitePlanning).present_envelopes():
            asset, promised = each.subject, each.subject in promise.assets
            if asset in base_w and (promised or is_storage(each)):
                base_w[asset] = promise.power_w(asset, start_s) if promised else base_w[asset]
                less, more = deviations(first_step(each), [base_w[asset]])
                ranges.append(MemberRange(asset, -int(less[0]), int(more[0]), int(not promised)))
        shares = disaggregate(power_w, ranges)
        return {a: base_w[a] + share for a, share in shares.items() if share or a in promise.assets}

    async def _metered_w(self, minute_s: int) -> dict[str, float]:
        query = Query(entity=_MEASUREMENT, subject=SAMPLES, start_s=minute_s, end_s=minute_s + CYCLE_S)
        try:
            answer = await self.ask(
                self.settings.contacts.gateway, query, QueryResult, act=Performative.QUERY_REF
            )
        except ParityError:
            self.agent.counts["deliveries unmetered"] += 1
            return {}
        return {each.subject: each.value for each in answer.items if isinstance(each, Measurement)}

    def _tell(self, vpp_id: str, promise: Promise, time_s: int, deviation_w: float) -> None:
        measured = Measurement(
            subject=vpp_id, quantity=Quantity.ACTIVE_POWER_W, time_s=time_s, value=float(round(deviation_w))
        )
        self.tell(promise.initiator, measured)
