"""The aggregator meters what it sold, and says what it thinks of the DSO's settlement (SPEC 2.5)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.flexibility_market.baselines import ADJACENT_S, Baseline
from behaviours.decisions.flexibility_market.flexibility_settlement import verdicts
from behaviours.decisions.flexibility_market.terms import FlexibilityTerms, Metered
from behaviours.decisions.payments import tokens_of
from behaviours.information.delivery import grouped
from behaviours.market.flexibility_offering import FlexibilityOffering, SoldOrder
from behaviours.market.opening import AggregatorSettings
from behaviours.market.payments import PayerSettings, Paying
from behaviours.vpp.initiation import VppInitiation
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.flexibility_trading import (
    FlexMetering,
    FlexResponse,
    FlexSettlement,
    FlexSettlementResponse,
    MeteredInterval,
    OrderSettlement,
    OrderStatus,
    OrderVerdict,
)
from ontology.ledger import SettlementKind
from ontology.letter import Letter
from ontology.measurements import IntervalReading
from ontology.performatives import Performative

__all__ = ["FlexibilityMetering"]

ATTEMPTS = 96
"""How often it is tried to meter an order and to tell the DSO: a day long."""
_REVISION = "flex metering revision"
READINGS_A_QUERY = 100
SECONDS_AN_HOUR = 3600
_READING = message_type_of(IntervalReading)


class FlexibilityMetering(Behaviour):
    """Tells the DSO what the pool drew in the intervals that it sold, and accepts or disputes settlements."""

    settings: AggregatorSettings

    def setup(self) -> None:
        """Everything that lasts stands in the orders."""
        self.terms: FlexibilityTerms | None = getattr(self.settings, "flexibility", None)

    @every(minutes=15, offset_s=690)
    async def meter(self) -> None:
        """Meter the orders whose intervals are over; what is missing or not taken is tried again."""
        if self.terms is None:
            return
        market = self.sibling(FlexibilityOffering)
        for sold in list(market.sold.values()):
            if sold.reported or self._known_at_s(sold) > self.now_s() or sold.attempts >= ATTEMPTS:
                continue
            sold.attempts += 1
            market.remember(sold)
            if not sold.metered_w:
                sold.metered_w = await self._metered_w(sold)
            if sold.metered_w:
                await self._report(sold)

    def _known_at_s(self, sold: SoldOrder) -> int:
        """Return when all that the baseline needs has been measured."""
        return sold.end_s + self._margin_s

    @property
    def _margin_s(self) -> int:
        needs_more = self.terms is not None and self.terms.baseline is Baseline.MBMA
        return ADJACENT_S if needs_more else 0

    async def _report(self, sold: SoldOrder) -> None:
        starts = sorted(sold.metered_w)
        metering = FlexMetering(
            period_start_s=starts[0],
            period_end_s=starts[-1] + INTERVAL_S,
            congestion_point=sold.order.congestion_point,
            revision=self._next_revision(),
            intervals=[
                MeteredInterval(
                    start_s=start_s,
                    baseline_w=sold.baseline_w.get(start_s),
                    actual_w=sold.metered_w[start_s],
                )
                for start_s in starts
            ],
        )
        market = self.sibling(FlexibilityOffering)
        try:
            await self.ask(market.buyer(sold.order.congestion_point), metering, FlexResponse)
        except ParityError:
            self.agent.counts["meterings not taken"] += 1
            return
        sold.reported = True
        market.remember(sold)

    def _next_revision(self) -> int:
        """Return a number above those of all meterings so far, over restarts as well."""
        revision = int(self.agent.kept_bytes(_REVISION) or b"0") + 1
        self.keep(_REVISION, str(revision).encode())
        return revision

    async def _metered_w(self, sold: SoldOrder) -> dict[int, int]:
        """Return what is measured of an order, in W by start of interval; nothing while that is not known."""
        if self.terms is not None and self.terms.metered is Metered.DEVICES:
            return self._metered_at_devices_w(sold)
        return await self._drawn_w(sold)

    def _metered_at_devices_w(self, sold: SoldOrder) -> dict[int, int]:
        """Return the baseline, changed by what the devices of the order's plant were metered to deviate by.

        Who has not said it did nothing.
        """
        record = self.sibling(VppInitiation).plants.get(f"vpp-{sold.order.order_reference}")
        told = record.delivered.values() if record else ()
        return {
            start_s: sold.baseline_w[start_s]
            + sum(own.get(start_s, 0) for own in told) * SECONDS_AN_HOUR // INTERVAL_S
            for start_s in sold.powers_w
        }

    async def _drawn_w(self, sold: SoldOrder) -> dict[int, int]:
        """Return what the pool drew in W by start of interval; nothing while a reading is missing."""
        first_s, end_s = min(sold.powers_w) - self._margin_s, sold.end_s + self._margin_s
        sites = sorted(
            each.site for each in self.settings.portfolio if each.segment_id == sold.order.congestion_point
        )
        starts = range(first_s, end_s, INTERVAL_S)
        readings: dict[tuple[str, int], int] = {}
        for group in grouped(sites, max(1, READINGS_A_QUERY // len(starts))):
            query = Query(entity=_READING, subjects=list(group), start_s=first_s, end_s=end_s)
            try:
                result = await self.ask(
                    self.settings.repository, query, QueryResult, act=Performative.QUERY_REF
                )
            except ParityError:
                self.agent.counts["repository unavailable"] += 1
                return {}
            for each in result.items:
                if isinstance(each, IntervalReading):
                    readings[each.subject, each.start_s] = each.consumed_w - each.produced_w
        if len(readings) < len(sites) * len(starts):
            self.agent.counts["readings missing"] += 1
            return {}
        return {start_s: sum(readings[site, start_s] for site in sites) for start_s in starts}

    @on(FlexSettlement, Performative.PROPOSE)
    def judge(self, settlement: FlexSettlement, letter: Letter) -> None:
        """Accept what follows from both sides' figures, and dispute the rest with the reason.

        Raises: Refused when it is not a buyer's.
        """
        market = self.sibling(FlexibilityOffering)
        if self.terms is None or not market.points_of(letter.sender):
            raise Refused("no flexibility is sold here")
        sold = {
            name: each
            for name, each in market.sold.items()
            if market.buyer(each.order.congestion_point) == letter.sender
        }
        statuses = verdicts(
            settlement,
            {name: each.order for name, each in sold.items()},
            {name: each.baseline_w for name, each in sold.items()} if self._foresaw else {},
            {name: each.metered_w for name, each in sold.items()},
            self.terms.penalty_ticks_per_kwh,
        )
        for status, settled in zip(statuses, settlement.orders, strict=True):
            self._note(sold.get(status.order_reference), status)
            if status.verdict is OrderVerdict.ACCEPTED:
                back = msgspec.structs.replace(settled, net_ticks=-settled.net_ticks)
                pay_flexibility(self, back, self._account_of(letter.sender))
        disputed = any(each.verdict is OrderVerdict.DISPUTED for each in statuses)
        act = Performative.REJECT_PROPOSAL if disputed else Performative.ACCEPT_PROPOSAL
        answer = FlexSettlementResponse(settlement_message_id=letter.message_id, orders=statuses)
        self.agent.post.reply(letter, answer, act)

    def _account_of(self, buyer: str) -> str:
        """Return the account of who buys; who buys from outside has none here, and is paid outside."""
        return self.terms.dso_account if self.terms and buyer == self.settings.dso else ""

    @property
    def _foresaw(self) -> bool:
        """Whether the baseline is the aggregator's own prognosis."""
        return self.terms is not None and self.terms.baseline is Baseline.D_PROGNOSIS

    def _note(self, sold: SoldOrder | None, status: OrderStatus) -> None:
        if sold is not None:
            sold.agreed, sold.disputed = status.verdict is OrderVerdict.ACCEPTED, status.reason
            self.sibling(FlexibilityOffering).remember(sold)
        self.agent.counts[f"settlements {status.verdict.lower()}"] += 1


def pay_flexibility(payer: Behaviour, settled: OrderSettlement, account: str) -> None:
    """Order the payment of a settlement's net to an account, if there is one and it is to get something.

    Both sides know what is owed: who owes pays, under the order's reference, so that it is paid once.
    """
    terms: PayerSettings | None = payer.settings.payer
    if terms is None or not account or settled.net_ticks <= 0:
        return
    tokens = tokens_of([(account, settled.net_ticks)], terms.tokens_per_currency)
    payer.sibling(Paying).pay(SettlementKind.FLEXIBILITY_ORDER, settled.order_reference, tokens)
