"""What a site did for an emergency signal, by the minute where devices are read as often (SPEC 2.7)."""

from collections.abc import Mapping

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.market.payments import PayerSettings
from behaviours.site.metering import SAMPLES
from behaviours.site.planning import SitePlanning
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.base import INTERVAL_S, MAX_STEPS
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.performatives import Performative

__all__ = ["SignalReporting"]

_ORDER, _REPORT = "signal ", "signal report "
REPORTED_S = 86_400
"""How long an aggregator that is away is told what was done for a signal."""
_MEASUREMENT = message_type_of(Measurement)


class Order(msgspec.Struct):
    """A signal, who sent it, and what the devices would have done without it (W by asset and interval)."""

    signal: DRSignal
    sender: str
    planned_w: dict[int, dict[str, int]]
    ordered_w: int


class SignalReporting(Behaviour):
    """Notes the plan before a signal changes it, and reports what the devices did instead."""

    settings: ProsumerSettings

    @on(DRSignal)
    def note(self, signal: DRSignal, letter: Letter) -> None:
        """Keep what the site had planned; told the same signal again, the first plan stands."""
        name = _ORDER + signal.signal_id
        if letter.sender != self.settings.contacts.aggregator or self.agent.kept_bytes(name):
            return
        planning = self.sibling(SitePlanning)
        first_s = signal.start_s // INTERVAL_S * INTERVAL_S
        starts = range(first_s, signal.start_s + signal.duration_s, INTERVAL_S)
        order = Order(
            signal,
            letter.sender,
            {start_s: planning.planned_w(start_s) for start_s in starts},
            ordered_w(signal, planning.planned_net_w(first_s)),
        )
        self.keep(name, msgspec.json.encode(order))

    @every(minutes=15, offset_s=25)
    async def report(self) -> None:
        """Report every signal that is over, until the aggregator has the report."""
        for name in self.agent.kept_names(_ORDER):
            order = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=Order)
            if order.signal.start_s + order.signal.duration_s <= self.now_s():
                self.keep(f"{_REPORT}{order.signal.signal_id}", await self._reported(order))
                self.keep(name, None)
        for name in self.agent.kept_names(_REPORT):
            report = self.kept(name, DemandResponseReport)
            if report is None or report.start_s < self.now_s() - REPORTED_S or await self._is_known(report):
                self.keep(name, None)

    async def _is_known(self, report: DemandResponseReport) -> bool:
        try:
            await self.ask(self.settings.contacts.aggregator, report, Acknowledgement)
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
            return False
        return True

    async def _reported(self, order: Order) -> DemandResponseReport:
        """Return what devices did, once it is metered."""
        signal = order.signal
        step_s = max(60, self.settings.real_time_s) if self.settings.real_time_s else INTERVAL_S
        metered = await self._metered_w(step_s, signal)
        steps = range(signal.start_s // step_s * step_s, signal.start_s + signal.duration_s, step_s)
        payer: PayerSettings | None = self.settings.payer
        return DemandResponseReport(
            signal_id=signal.signal_id,
            contract_id=signal.contract_id,
            subject=self.settings.site,
            start_s=steps[0],
            step_s=step_s,
            ordered_w=order.ordered_w,
            delivered_w=[deviation_w(order, metered.get(start_s), start_s) for start_s in steps][:MAX_STEPS],
            account=payer.account_at(signal.start_s) if payer else "",
        )

    async def _metered_w(self, step_s: int, signal: DRSignal) -> dict[int, dict[str, float]]:
        """Return what each device drew during a signal, in W by start of the step."""
        found: dict[int, dict[str, float]] = {}
        first_s = signal.start_s // step_s * step_s
        for from_s in range(first_s, signal.start_s + signal.duration_s, INTERVAL_S):
            query = Query(
                entity=_MEASUREMENT,
                subject=SAMPLES if step_s < INTERVAL_S else "",
                start_s=from_s,
                end_s=min(from_s + INTERVAL_S, signal.start_s + signal.duration_s),
            )
            try:
                result = await self.ask(
                    self.settings.contacts.gateway, query, QueryResult, act=Performative.QUERY_REF
                )
            except ParityError:
                self.agent.counts["deliveries unmetered"] += 1
                continue
            for each in result.items:
                if isinstance(each, Measurement):
                    found.setdefault(each.time_s, {})[each.subject] = each.value
        return found


def ordered_w(signal: DRSignal, planned_net_w: int) -> int:
    """Return by how many W a signal asks a site to deviate from what it had planned to draw."""
    if signal.limit_w is None:
        return signal.delta_w or 0
    return min(0, signal.limit_w - planned_net_w)


def deviation_w(order: Order, metered_w: Mapping[str, float] | None, start_s: int) -> int:
    """Return by how many W devices deviated from the plan in a step; nothing where they were not metered."""
    if metered_w is None:
        return 0
    planned_w = order.planned_w.get(start_s // INTERVAL_S * INTERVAL_S, {})
    return round(sum(metered_w.get(asset, power_w) - power_w for asset, power_w in planned_w.items()))
