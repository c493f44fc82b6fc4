"""Serving the DSO's emergency signals: the aggregator shares them out among its members (SPEC 2.7).

```
DSO ── request DRSignal ──> aggregator ── request DRSignal ──> prosumers
    <── refuse | agree ──              <── inform DemandResponseReport ──
    <── inform DemandResponseReport ── (when it is over)
```
"""

from collections.abc import Mapping

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.bilateral_contract import (
    BilateralContract,
    activation_ticks,
    member_ticks,
    reason_to_refuse_signal,
)
from behaviours.decisions.coalition.products import product_of_signal
from behaviours.decisions.dispatch import MemberRange, disaggregate, limits_of_members
from behaviours.decisions.payments import tokens_of
from behaviours.information.delivery import grouped
from behaviours.market.opening import AggregatorSettings, PortfolioMember
from behaviours.market.payments import Paying
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.vpp.initiation import VppInitiation
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from ontology.forecasts import Forecast
from ontology.ledger import SettlementKind
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["DemandResponse"]

SIGNAL_TICKS_PER_KWH = 5000
"""What the DSO pays at most for a kWh that it calls for in an emergency: 0.50 EUR."""
REPORTED_AFTER_S = 45
"""When all members have said what they did, after the quarter of an hour in which a signal ends."""
REMEMBERED_S = 2 * 86_400
_FORECAST = message_type_of(Forecast)
_ACTIVATED, _SERVED, _MEMBER = "activated ", "served ", "member report "

log = structlog.get_logger()


class Activation(msgspec.Struct, frozen=True):
    """A signal that members were told of, and by how many W all of them are to deviate."""

    signal: DRSignal
    ordered_w: int


class DemandResponse(Behaviour):
    """Turns a segment's signal into one a member, by what each plans and how far it could deviate."""

    settings: AggregatorSettings

    @on(DRSignal)
    async def serve(self, signal: DRSignal, letter: Letter) -> Acknowledgement | DemandResponseReport:
        """Agree, share the signal out and, when it is over, say what it brought about.

        For a change of power without a contract a plant is formed.

        Raises: Refused when the signal is not the DSO's, the contract does not allow it, or it calls for
        what is not served here.
        """
        if letter.sender != self.settings.dso:
            raise Refused("only the DSO's signals are served")
        contract = self._contract(signal, letter)
        if contract is None and signal.limit_w is None:
            return self._form_plant(signal, letter)
        self.agent.post.reply(letter, Acknowledgement(of=letter.message_id), Performative.AGREE)
        shares_w = await self._share_out(signal, contract)
        served = Activation(signal, signal.delta_w or sum(shares_w.values()))
        self.keep(f"{_SERVED}{signal.signal_id}", msgspec.json.encode(served))
        self.agent.commit()
        self.agent.counts["signals served"] += 1
        await self.clock.sleep_until(reported_s(signal))
        return self._report(served)

    @on(DemandResponseReport)
    def note(self, report: DemandResponseReport, letter: Letter) -> Acknowledgement:
        """Note what a member did for a signal.

        Raises: Refused when another than the member's own prosumer reports.
        """
        known = {member.site: member.prosumer for member in self.settings.portfolio}
        if known.get(report.subject) != letter.sender:
            raise Refused(f"{letter.sender} does not report for {report.subject}")
        self.keep(f"{_MEMBER}{report.signal_id} {report.subject}", report)
        return Acknowledgement(of=letter.message_id)

    @every(minutes=15, offset_s=REPORTED_AFTER_S + 5)
    async def bring_reports(self) -> None:
        """Bring the DSO what came of its signals until it says that it knows, and pay the members then.

        So neither side's death in the middle of an activation leaves its energy unpaid.
        """
        for name in self.agent.kept_names(_SERVED):
            served = msgspec.json.decode(self.agent.kept_bytes(name) or b"", type=Activation)
            if reported_s(served.signal) <= self.now_s() and await self._is_settled(served):
                self.keep(name, None)
                for each in self.agent.kept_names(f"{_MEMBER}{served.signal.signal_id} "):
                    self.keep(each, None)
                self.agent.commit()

    async def _is_settled(self, served: Activation) -> bool:
        """Tell whether nothing more is to be done for an activation."""
        contract = next(
            (c for c in self.settings.contracts if c.contract_id == served.signal.contract_id), None
        )
        if contract is None or served.signal.start_s < self.now_s() - REMEMBERED_S:
            return True
        report = self._report(served)
        try:
            await self.ask(self.settings.dso, report, Acknowledgement)
        except Refused as refusal:
            log.warning("report refused", signal=report.signal_id, why=str(refusal))
            return True
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
            return False
        self._pay_members(contract, report)
        return True

    def _pay_members(self, contract: BilateralContract, report: DemandResponseReport) -> None:
        """Hand the members' part of the payment for energy on to those that delivered it, once a signal."""
        payer = self.settings.payer
        if payer is None:
            return
        reports = self._member_reports(report.signal_id)
        account_of = {each.subject: each.account for each in reports}
        ticks = member_ticks(contract, activation_ticks(contract, report), reports)
        paid = [(account_of[site], amount) for site, amount in ticks.items() if account_of[site]]
        tokens = tokens_of(paid, payer.tokens_per_currency)
        self.sibling(Paying).pay(SettlementKind.DEMAND_RESPONSE, f"{report.signal_id}-members", tokens)

    def _member_reports(self, signal_id: str) -> list[DemandResponseReport]:
        found = (
            self.kept(name, DemandResponseReport) for name in self.agent.kept_names(f"{_MEMBER}{signal_id} ")
        )
        return [each for each in found if each is not None]

    @every(minutes=60, offset_s=15)
    def forget(self) -> None:
        """Forget activations that no day's number of them depends on any more."""
        for name in self.agent.kept_names(_ACTIVATED):
            if int(name.rpartition(" ")[2]) < self.now_s() - REMEMBERED_S:
                self.keep(name, None)

    def _contract(self, signal: DRSignal, letter: Letter) -> BilateralContract | None:
        """Return the contract under which a signal is served, its activation written down.

        Where no contracts were made the DSO's limits are served all the same.

        Raises: Refused when there is no such contract, or it does not allow the signal.
        """
        if not self.settings.contracts:
            return None
        contract = next((c for c in self.settings.contracts if c.contract_id == signal.contract_id), None)
        if contract is None:
            raise Refused(f"there is no contract {signal.contract_id}")
        prefix = f"{_ACTIVATED}{contract.contract_id} "
        activated = [int(name.removeprefix(prefix)) for name in self.agent.kept_names(prefix)]
        reason = reason_to_refuse_signal(contract, signal, self.clock.now_s(), letter.sent_at_s, activated)
        if reason:
            raise Refused(reason)
        self.keep(f"{prefix}{signal.start_s}", signal)
        return contract

    async def _share_out(self, signal: DRSignal, contract: BilateralContract | None) -> dict[str, int]:
        """Signal every member of the segment its part; return by how much each is to deviate, in W."""
        members = [m for m in self.settings.portfolio if m.segment_id == signal.segment_id]
        ranges = self._ranges(members, signal.start_s)
        if signal.limit_w is None:
            shares_w = disaggregate(signal.delta_w or 0, ranges)
            parts = {
                site: msgspec.structs.replace(signal, delta_w=share_w)
                for site, share_w in shares_w.items()
                if share_w
            }
        else:
            expected_w = await self._expected_w(members, signal.start_s)
            limit_w = signal.limit_w
            if contract is not None:
                limit_w = max(limit_w, sum(expected_w.values()) - contract.reserved_w)
            limits_w = limits_of_members(limit_w, expected_w, ranges)
            shares_w = {site: limits_w[site] - planned_w for site, planned_w in expected_w.items()}
            parts = {site: msgspec.structs.replace(signal, limit_w=limits_w[site]) for site in limits_w}
        self._tell(members, parts)
        return shares_w

    def _tell(self, members: list[PortfolioMember], parts: Mapping[str, DRSignal]) -> None:
        for member in members:
            if member.site in parts:
                self.tell(member.prosumer, parts[member.site], Performative.REQUEST)

    def _report(self, served: Activation) -> DemandResponseReport:
        """Add up what the members did; who has not said it did nothing."""
        signal = served.signal
        reports = self._member_reports(signal.signal_id)
        step_s = max((each.step_s for each in reports), default=signal.duration_s)
        steps = min(200, -(-signal.duration_s // step_s))
        series = [each.delivered_w + [0] * (steps - len(each.delivered_w)) for each in reports]
        return DemandResponseReport(
            signal_id=signal.signal_id,
            contract_id=signal.contract_id,
            subject=signal.segment_id,
            start_s=signal.start_s,
            step_s=step_s,
            ordered_w=served.ordered_w,
            delivered_w=[sum(column) for column in zip(*series, strict=True)] or [0] * steps,
        )

    def _form_plant(self, signal: DRSignal, letter: Letter) -> Acknowledgement:
        """Let those who can do so most cheaply change their power together."""
        product = product_of_signal(signal, SIGNAL_TICKS_PER_KWH)
        if product is None or "demand-response" not in self.settings.plants_for:
            raise Refused("only limits of power are served")
        self.sibling(VppInitiation).offer(product)
        self.agent.counts["signals served"] += 1
        return Acknowledgement(of=letter.message_id)

    def _ranges(self, members: list[PortfolioMember], time_s: int) -> list[MemberRange]:
        """Return how far each member could deviate from its plan."""
        portfolio = self.sibling(PortfolioKeeping)
        ranges = []
        for member in members:
            less_w, more_w = portfolio.of(member.site, time_s)
            ranges.append(MemberRange(member.site, -less_w, more_w))
        return ranges

    async def _expected_w(self, members: list[PortfolioMember], start_s: int) -> dict[str, int]:
        """Return what each member's newest forecast says of a time, in W; 0 where there is none."""
        expected_w = {member.site: 0 for member in members}
        for group in grouped(sorted(expected_w), 24):
            query = Query(entity=_FORECAST, subjects=list(group), latest=True)
            try:
                result = await self.ask(
                    self.settings.repository, query, QueryResult, act=Performative.QUERY_REF
                )
            except ParityError:
                self.agent.counts["repository unavailable"] += 1
                continue
            for forecast in result.items:
                if isinstance(forecast, Forecast):
                    expected_w[forecast.subject] = power_at(forecast, start_s)
        return expected_w


def reported_s(signal: DRSignal) -> int:
    """Return when everyone has said what came of a signal: after the quarter of an hour in which it ends."""
    end_s = signal.start_s + signal.duration_s
    return -(-end_s // 900) * 900 + REPORTED_AFTER_S


def power_at(forecast: Forecast, time_s: int) -> int:
    """Return the power in W that a forecast gives for a time, held at its ends."""
    step = (time_s - forecast.start_s) // forecast.step_s
    return forecast.power_w[max(0, min(step, len(forecast.power_w) - 1))]
