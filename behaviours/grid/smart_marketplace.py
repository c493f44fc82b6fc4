"""The DSO's smart marketplace: one place that holds its trade of flexibility and answers for it (D8.1 3.9.1).

```
requests, offers ──┐
orders, settlements ├─> kept over a restart ─> query-ref by DSO, market operator, people: all
contracts, calls ──┘                        └> by an aggregator: its own
                    └─> inform the repository: the run's tables
```
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.decisions.flexibility_market.marketplace import marketplace_state
from behaviours.grid.dso_settings import DsoSettings
from behaviours.grid.flexibility_orders import OrderRecord, acquired
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.grid.marketplace_keeping import REMEMBERED_S, MarketplaceKeeping
from ontology.base import Concept
from ontology.codec import encode_body, message_type_of
from ontology.discourse import Query, QueryResult
from ontology.errors import Refused
from ontology.flexibility_trading import (
    FlexOffer,
    FlexOrder,
    FlexRequest,
)
from ontology.letter import Letter
from ontology.marketplace import (
    AcquiredFlexibility,
    EmergencyCall,
    FlexibilityContract,
    MarketplaceState,
)
from ontology.performatives import Performative
from ontology.roles import Role
from ontology.service_level import Sla

__all__ = ["SmartMarketplace"]

_ANSWERED = {
    message_type_of(cls): cls
    for cls in (
        FlexRequest,
        FlexOffer,
        FlexOrder,
        AcquiredFlexibility,
        EmergencyCall,
        FlexibilityContract,
        MarketplaceState,
        Sla,
    )
}
SELLERS = (Role.AGGREGATOR, Role.FLEXIBILITY_GATEWAY)
READERS = (Role.DSO, Role.MARKET_OPERATOR, Role.UI)
"""Who may read everything; sellers read what is their own, nobody else reads anything."""
MOST_BYTES = 40_000
"""Of an answer: with what is around it, it stays under the longest letter."""


class _Asked(NamedTuple):
    """What somebody asks for: whose (empty: everybody's), of which point (empty: all), from when to when."""

    seller: str
    point: str
    start_s: int
    end_s: int

    def is_about(self, point: str, start_s: int) -> bool:
        """Tell whether something at a point that begins at a time is asked for."""
        return self.point in ("", point) and self.start_s <= start_s < self.end_s


class SmartMarketplace(Behaviour):
    """Answers for requests, offers, orders, what was acquired, contracts and emergency calls."""

    settings: DsoSettings

    # -- answering --------------------------------------------------------------------------------

    @on(Query)
    async def answer(self, query: Query, letter: Letter) -> QueryResult:
        """Return what is held, oldest first, of a time where one is named: to a seller what is its own.

        Raises: Refused when the asker may not read it, it is not held here, or more than a letter holds.
        """
        role = self.agent.surroundings.membership[letter.sender].role
        if role not in (*READERS, *SELLERS):
            raise Refused(f"a {role} may not read the marketplace")
        kind = _ANSWERED.get(query.entity)
        if kind is None:
            raise Refused(f"the marketplace holds {', '.join(sorted(_ANSWERED))}")
        seller = letter.sender if role in SELLERS else ""
        asked = _Asked(seller, query.subject, query.start_s, query.end_s or 2**62)
        items = await self._agreements(asked) if kind is Sla else self._held(kind, asked)
        answer = QueryResult(entity=query.entity, items=list(items))  # type: ignore[arg-type]
        if len(encode_body(answer)) > MOST_BYTES:
            raise Refused(f"{len(answer.items)} are held of that time: ask for a part of it")
        return answer

    def _held(self, kind: type[Concept], asked: _Asked) -> Iterable[Concept]:
        """Return what is held of a type."""
        if kind is FlexRequest:
            return self.requests(asked)
        if kind is FlexOffer:
            return self.offers(asked)
        if kind is FlexOrder:
            return [each.order for each in self._orders(asked)]
        if kind is AcquiredFlexibility:
            return [acquired(each) for each in self._orders(asked)]
        if kind is EmergencyCall:
            return self.calls(asked)
        if kind is FlexibilityContract:
            return self.contracts(asked)
        return [self.state(asked)]

    def requests(self, asked: _Asked) -> list[FlexRequest]:
        """Return requests; a seller is shown those that were put to it."""
        procurement = self.sibling(FlexibilityProcurement)
        points = procurement.points_of(asked.seller) if asked.seller else None
        return [
            each
            for each in self.sibling(MarketplaceKeeping).requests()
            if asked.is_about(each.congestion_point, each.period_start_s)
            and (points is None or each.congestion_point in points)
        ]

    def offers(self, asked: _Asked) -> list[FlexOffer]:
        """Return offers that kept the rules."""
        return [
            offer
            for seller, offer in self.sibling(MarketplaceKeeping).offers()
            if asked.seller in ("", seller) and asked.is_about(offer.congestion_point, offer.period_start_s)
        ]

    def calls(self, asked: _Asked) -> list[EmergencyCall]:
        """Return calls for direct control; they go to the own aggregator only."""
        if asked.seller not in ("", self.settings.aggregator):
            return []
        calls = self.sibling(MarketplaceKeeping).calls()
        return [each for each in calls if asked.is_about(each.segment_id, each.start_s)]

    def contracts(self, asked: _Asked) -> list[FlexibilityContract]:
        """Return the bilateral contracts; they are with the own aggregator."""
        if asked.seller not in ("", self.settings.aggregator):
            return []
        calls = list(self.sibling(MarketplaceKeeping).calls())
        return [
            self._described(each, [call for call in calls if call.contract_id == each.contract_id])
            for each in sorted(self.settings.contracts, key=lambda each: each.contract_id)
        ]

    def state(self, asked: _Asked) -> MarketplaceState:
        """Return what the trade of a time adds up to."""
        bought = [acquired(each) for each in self._orders(asked)]
        requests, offers, calls = self.requests(asked), self.offers(asked), self.calls(asked)
        contracts = [each.contract_id for each in self.contracts(asked)]
        span_s = asked.start_s, min(asked.end_s, self.now_s() + REMEMBERED_S)
        return marketplace_state(asked.point, span_s, requests, offers, bought, calls, contracts)

    async def _agreements(self, asked: _Asked) -> list[Sla]:
        """Return service-level agreements, as the repository has them; a seller is shown its own."""
        query = Query(entity=message_type_of(Sla), end_s=2**40)
        answer = await self.ask(self.settings.repository, query, QueryResult, act=Performative.QUERY_REF)
        terms = self.settings.flexibility
        account = terms.aggregator_account if terms and asked.seller == self.settings.aggregator else ""
        agreements = [each for each in answer.items if isinstance(each, Sla)]
        return [each for each in agreements if not asked.seller or account in each.parties]

    def _orders(self, asked: _Asked) -> Sequence[OrderRecord]:
        orders = self.sibling(FlexibilityProcurement).orders.values()
        return sorted(
            (
                each
                for each in orders
                if asked.seller in ("", each.aggregator)
                and asked.is_about(each.order.congestion_point, min(each.powers_w))
            ),
            key=lambda each: (min(each.powers_w), each.order.order_reference),
        )

    def _described(self, contract: BilateralContract, calls: Sequence[EmergencyCall]) -> FlexibilityContract:
        return FlexibilityContract(
            contract_id=contract.contract_id,
            aggregator=self.settings.aggregator,
            segment_id=contract.segment_id,
            reserved_w=contract.reserved_w,
            availability_ticks_per_kw_hour=contract.availability_ticks_per_kw_hour,
            activation_ticks_per_kwh=contract.activation_ticks_per_kwh,
            activations_a_day=contract.activations_a_day,
            activated=len(calls),
            paid_ticks=sum(each.paid_ticks for each in calls),
        )
