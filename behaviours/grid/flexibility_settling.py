"""The DSO settles what it ordered: metering in, a proposal out, and what is agreed is paid once (SPEC 2.5).

```
inform FlexMetering → propose FlexSettlement → accept-proposal | reject-proposal FlexSettlementResponse → pay
```
An order's steps are kept, so that a restart at any point repeats a step at most, and pays once.
"""

from collections.abc import Mapping

import structlog

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.flexibility_market.baselines import (
    Baseline,
    control_group,
    high_5_of_10,
    mean_before_and_after,
    same_slot_7d,
)
from behaviours.decisions.flexibility_market.flexibility_settlement import (
    delivered_share,
    settled_interval,
    settled_order,
)
from behaviours.decisions.flexibility_market.terms import ProcurementTerms
from behaviours.decisions.flexibility_market.validation import Known, breaches, reasons
from behaviours.grid.flexibility_orders import OrderRecord
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.information.delivery import grouped
from behaviours.market.flexibility_metering import pay_flexibility
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.flexibility_trading import (
    FlexMetering,
    FlexResponse,
    FlexSettlement,
    FlexSettlementResponse,
    OrderSettlement,
    OrderVerdict,
    ResponseResult,
    TradeDocument,
)
from ontology.letter import Letter
from ontology.measurements import IntervalReading
from ontology.performatives import Performative

__all__ = ["FlexibilitySettling"]

log = structlog.get_logger()

ANSWER_WITHIN_S = 5.0
DAY_S = 86_400
HISTORY_DAYS = 45
"""How far back the days of a baseline may lie."""
WEEKS = 7
_READING = message_type_of(IntervalReading)


class FlexibilitySettling(Behaviour):
    """Takes what aggregators metered, proposes settlements, and pays those that are agreed."""

    def setup(self) -> None:
        """Nothing has been metered since the start; an aggregator says it again until it is taken."""
        self._metered: dict[str, dict[tuple[str, str, int], FlexMetering]] = {}
        """By seller: type, congestion point and start of the period give the newest metering."""
        self.terms: ProcurementTerms | None = getattr(self.settings, "flexibility", None)

    @on(FlexMetering, Performative.REQUEST)
    async def meter(self, metering: FlexMetering, letter: Letter) -> FlexResponse:
        """Settle the orders that a metering is complete for; the same said again is taken again.

        Raises: Refused with every reason when it is not an aggregator's, or breaks the rules.
        """
        market = self.sibling(FlexibilityProcurement)
        if not market.points_of(letter.sender):
            raise Refused("only aggregators meter what they sold")
        key = ("FlexMetering", metering.congestion_point, metering.period_start_s)
        known = self._metered.setdefault(letter.sender, {})
        found = breaches(metering, letter.message_id, self._known(letter.sender))
        if found and known.get(key) != metering:
            raise Refused("; ".join(reasons(found)))
        actual_w = {each.start_s: each.actual_w for each in metering.intervals}
        for record in list(market.orders.values()):
            point = record.order.congestion_point
            due = record.state.accepted and record.state.settlement is None
            mine = record.aggregator == letter.sender and point == metering.congestion_point
            if due and mine and set(record.powers_w) <= set(actual_w):
                settlement = await self._settled(record, actual_w)
                market.advance(record, settlement=settlement)
        known[key] = metering
        return FlexResponse(
            document=TradeDocument.METERING,
            reference_message_id=letter.message_id,
            result=ResponseResult.ACCEPTED,
        )

    def _known(self, seller: str) -> Known:
        return Known(
            now_s=self.now_s(),
            congestion_points=self.sibling(FlexibilityProcurement).points_of(seller),
            revisions={key: each.revision for key, each in self._metered.get(seller, {}).items()},
        )

    async def _settled(self, record: OrderRecord, actual_w: Mapping[int, int]) -> OrderSettlement:
        """Return what an order is worth, by the agreed baseline or else by the prognosis."""
        assert self.terms is not None
        baseline_w = await self._baseline_w(record, actual_w)
        intervals = [
            settled_interval(start_s, baseline_w[start_s], power_w, actual_w[start_s])
            for start_s, power_w in sorted(record.powers_w.items())
        ]
        return settled_order(record.order, intervals, self.terms.penalty_ticks_per_kwh)

    # -- agreeing and paying --------------------------------------------------------------------

    @every(minutes=15, offset_s=720)
    async def settle(self) -> None:
        """Propose what has been metered, pay what has been agreed; what fails is tried again next time."""
        if self.terms is None:
            return
        market = self.sibling(FlexibilityProcurement)
        await market.repeat_orders()
        for record in list(market.orders.values()):
            if record.state.settlement is not None and not record.state.disputed:
                if not record.state.agreed:
                    await self._propose(record, record.state.settlement)
                if record.state.agreed and not record.state.paid:
                    self._pay(record, record.state.settlement)

    async def _propose(self, record: OrderRecord, settled: OrderSettlement) -> None:
        """Propose an order's settlement; what is disputed is not paid, and told to people."""
        proposal = self._proposal(record, settled)
        market = self.sibling(FlexibilityProcurement)
        try:
            answer = await self.ask(
                record.aggregator,
                proposal,
                FlexSettlementResponse,
                within_s=ANSWER_WITHIN_S,
                act=Performative.PROPOSE,
            )
        except ParityError as error:
            self.agent.counts["settlements unanswered"] += 1
            log.info("settlement unanswered", order=settled.order_reference, why=str(error))
            return
        disputes = [each.reason for each in answer.orders if each.verdict is OrderVerdict.DISPUTED]
        if disputes:
            self.agent.counts["settlements disputed"] += 1
            market.advance(record, disputed=disputes[0])
            return
        market.advance(record, agreed=True)
        market.learn(record.aggregator, delivered_share(settled.intervals))
        self.tell(self.settings.repository, proposal)

    def _proposal(self, record: OrderRecord, settled: OrderSettlement) -> FlexSettlement:
        return FlexSettlement(
            reference=settled.order_reference,
            period_start_s=record.order.period_start_s,
            period_end_s=record.order.period_end_s,
            currency=record.order.currency,
            orders=[settled],
        )

    def _pay(self, record: OrderRecord, settled: OrderSettlement) -> None:
        """Order the payment of what was agreed; where penalties prevail, the aggregator pays.

        Who sells from outside holds no account here, and is paid outside.
        """
        assert self.terms is not None
        outside = record.aggregator != self.settings.aggregator
        pay_flexibility(self, settled, "" if outside else self.terms.aggregator_account)
        self.agent.counts["orders paid outside"] += outside
        self.agent.counts["orders paid"] += 1
        self.sibling(FlexibilityProcurement).advance(record, paid=True)

    # -- baselines ------------------------------------------------------------------------------

    async def _baseline_w(self, record: OrderRecord, actual_w: Mapping[int, int]) -> dict[int, int]:
        """Return the agreed baseline in W by start of interval; the prognosis where it cannot be found."""
        assert self.terms is not None
        if self.terms.baseline is Baseline.D_PROGNOSIS:
            return record.baseline_w
        found = {}
        for start_s in record.powers_w:
            power_w = await self._metered_baseline_w(record, start_s, actual_w)
            self.agent.counts["baselines unknown"] += power_w is None
            found[start_s] = record.baseline_w[start_s] if power_w is None else power_w
        return found

    async def _metered_baseline_w(
        self, record: OrderRecord, start_s: int, actual_w: Mapping[int, int]
    ) -> int | None:
        """Return a baseline from what was metered, or None where too little is known."""
        assert self.terms is not None
        point, method = record.order.congestion_point, self.terms.baseline
        if method is Baseline.MBMA:
            return mean_before_and_after(actual_w, min(record.powers_w), record.end_s)
        if method is Baseline.CONTROL_GROUP:
            return await self._control_w(point, start_s, actual_w)
        days = WEEKS if method is Baseline.SAME_SLOT_7D else HISTORY_DAYS
        history_w = await self._drawn_w(self._sites_of(point), start_s - days * DAY_S, start_s)
        if method is Baseline.HIGH_5_OF_10:
            return high_5_of_10(history_w, start_s, self._events(point))
        return same_slot_7d(history_w, start_s)

    async def _control_w(self, point: str, start_s: int, actual_w: Mapping[int, int]) -> int | None:
        """Return what the other segments did, scaled by the day before."""
        others = [each for n in self.settings.networks if n.segment_id != point for each in n.sites]
        first_s = start_s - DAY_S
        group_w = await self._drawn_w(self._sites_of(point), first_s, start_s)
        control_w = await self._drawn_w(others, first_s, start_s + INTERVAL_S)
        reference = set(range(first_s, start_s, INTERVAL_S)) - self._events(point)
        return control_group({**group_w, **actual_w}, control_w, start_s, sorted(reference))

    def _events(self, point: str) -> set[int]:
        """Return the intervals in which flexibility was ordered at a congestion point."""
        orders = self.sibling(FlexibilityProcurement).orders.values()
        return {s for each in orders if each.order.congestion_point == point for s in each.powers_w}

    def _sites_of(self, point: str) -> list[str]:
        return [site for n in self.settings.networks if n.segment_id == point for site in n.sites]

    async def _drawn_w(self, sites: list[str], start_s: int, end_s: int) -> dict[int, int]:
        """Return what sites drew together in W by start of interval, where every reading is there."""
        sums: dict[int, int] = {}
        known: dict[int, int] = {}
        try:
            for site in grouped(sites, 1):
                for day_s in range(start_s, end_s, DAY_S):
                    for reading in await self._readings(site[0], day_s, min(end_s, day_s + DAY_S)):
                        net_w = reading.consumed_w - reading.produced_w
                        sums[reading.start_s] = sums.get(reading.start_s, 0) + net_w
                        known[reading.start_s] = known.get(reading.start_s, 0) + 1
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
        return {start: power_w for start, power_w in sums.items() if known[start] == len(sites)}

    async def _readings(self, site: str, start_s: int, end_s: int) -> list[IntervalReading]:
        query = Query(entity=_READING, subject=site, start_s=start_s, end_s=end_s)
        result = await self.ask(self.settings.repository, query, QueryResult, act=Performative.QUERY_REF)
        return [each for each in result.items if isinstance(each, IntervalReading)]
