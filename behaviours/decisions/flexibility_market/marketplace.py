"""What the DSO's marketplace says of its trade: order by order, and summed over a period (D8.1 3.9.1)."""

from collections.abc import Iterable, Sequence

from behaviours.decisions.flexibility_market.flexibility_settlement import ordered_powers
from behaviours.decisions.flexibility_market.offering import wanted_powers
from ontology.base import INTERVAL_S
from ontology.flexibility_trading import FlexOffer, FlexOrder, FlexRequest, OrderSettlement
from ontology.marketplace import AcquiredFlexibility, AcquisitionState, EmergencyCall, MarketplaceState

__all__ = ["acquired_flexibility", "energy_wh", "marketplace_state"]


def energy_wh(powers_w: Iterable[int]) -> int:
    """Return the energy of powers in W that each last an interval, in Wh."""
    return round(sum(powers_w) * INTERVAL_S / 3600)


def acquired_flexibility(
    order: FlexOrder,
    aggregator: str,
    state: AcquisitionState,
    settlement: OrderSettlement | None = None,
    *,
    offered_wh: int = 0,
    dispute: str = "",
) -> AcquiredFlexibility:
    """Return what an order has come to so far.

    Args:
        order: as it was placed.
        aggregator: with whom.
        state: how far it has come.
        settlement: what was metered of it, once that is known.
        offered_wh: by the greatest option of the offer.
        dispute: why the aggregator does not agree.
    """
    powers_w = ordered_powers(order)
    parts = settlement.intervals if settlement else []
    return AcquiredFlexibility(
        order_reference=order.order_reference,
        congestion_point=order.congestion_point,
        aggregator=aggregator,
        start_s=min(powers_w),
        end_s=max(powers_w) + INTERVAL_S,
        state=state,
        contract_id=order.contract_id,
        offered_wh=offered_wh,
        ordered_wh=energy_wh(powers_w.values()),
        delivered_wh=energy_wh(each.delivered_w for each in parts),
        missing_wh=energy_wh(each.deficiency_w for each in parts),
        price_ticks=order.price_ticks,
        earned_ticks=settlement.price_ticks if settlement else 0,
        penalty_ticks=settlement.penalty_ticks if settlement else 0,
        dispute=dispute[:256],
    )


def marketplace_state(
    congestion_point: str,
    span_s: tuple[int, int],
    requests: Sequence[FlexRequest],
    offers: Sequence[FlexOffer],
    acquired: Sequence[AcquiredFlexibility],
    calls: Sequence[EmergencyCall] = (),
    contracts: Sequence[str] = (),
) -> MarketplaceState:
    """Return what a trade adds up to; energies count without their sign.

    Args:
        congestion_point: of the trade; empty is all.
        span_s: the period.
        requests: of the period.
        offers: of the period.
        acquired: of the period.
        calls: emergencies of the period.
        contracts: ids of the contracts that are held.
    """
    return MarketplaceState(
        congestion_point=congestion_point,
        start_s=span_s[0],
        end_s=span_s[1],
        requests=len(requests),
        asked_wh=sum(abs(energy_wh(wanted_powers(each).values())) for each in requests),
        offers=len(offers),
        orders=len(acquired),
        ordered_wh=sum(abs(each.ordered_wh) for each in acquired),
        delivered_wh=sum(abs(each.delivered_wh) for each in acquired),
        missing_wh=sum(each.missing_wh for each in acquired),
        earned_ticks=sum(each.earned_ticks for each in acquired),
        penalty_ticks=sum(each.penalty_ticks for each in acquired),
        contracts=list(contracts),
        emergency_calls=len(calls),
    )
