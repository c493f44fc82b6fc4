"""Serving the DSO's emergency signals: the aggregator shares a limit out among its members (SPEC 2.7)."""

import msgspec

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.coalition.products import product_of_signal
from behaviours.decisions.dispatch import MemberRange, limits_of_members
from behaviours.information.delivery import grouped
from behaviours.market.opening import AggregatorSettings, PortfolioMember
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.vpp.initiation import VppInitiation
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.flexibility_trading import DRSignal
from ontology.forecasts import Forecast
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["DemandResponse"]

SIGNAL_TICKS_PER_KWH = 5000
"""What the DSO pays at most for a kWh that it calls for in an emergency: 0.50 EUR."""
_FORECAST = message_type_of(Forecast)


class DemandResponse(Behaviour):
    """Turns a segment's limit into one limit a member, by what each plans and how far it could deviate."""

    settings: AggregatorSettings

    @on(DRSignal)
    async def serve(self, signal: DRSignal, letter: Letter) -> Acknowledgement:
        """Share a limit out and signal every member of the segment; for a change of power form a plant.

        Raises: Refused when the signal is not the DSO's, or calls for what is not served here.
        """
        if letter.sender != self.settings.dso:
            raise Refused("only the DSO's signals are served")
        if signal.limit_w is None:
            return self._form_plant(signal, letter)
        members = [m for m in self.settings.portfolio if m.segment_id == signal.segment_id]
        expected_w = await self._expected_w(members, signal.start_s)
        limits_w = limits_of_members(signal.limit_w, expected_w, self._ranges(members, signal.start_s))
        for member in members:
            limit = msgspec.structs.replace(signal, limit_w=limits_w[member.site])
            self.tell(member.prosumer, limit, Performative.REQUEST)
        self.agent.counts["signals served"] += 1
        return Acknowledgement(of=letter.message_id)

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


def power_at(forecast: Forecast, time_s: int) -> int:
    """Return the power in W that a forecast gives for a time, held at its ends."""
    step = (time_s - forecast.start_s) // forecast.step_s
    return forecast.power_w[max(0, min(step, len(forecast.power_w) - 1))]
