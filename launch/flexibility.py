"""The explicit flexibility market of a scenario: its terms, and what came of it."""

from collections.abc import Iterable, Sequence
from typing import Any

from behaviours.decisions.flexibility_market.baselines import Baseline
from behaviours.decisions.flexibility_market.flexibility_settlement import ordered_powers
from behaviours.decisions.flexibility_market.offering import wanted_powers
from behaviours.decisions.flexibility_market.terms import FlexibilityTerms, Metered, ProcurementTerms
from launch.schema import Scenario
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY
from ontology.flexibility_trading import (
    FlexOrder,
    FlexRequest,
    FlexSettlement,
    OrderSettlement,
    SettlementInterval,
)
from ontology.marketplace import AcquiredFlexibility, EmergencyCall

__all__ = [
    "CONTRACT",
    "acquired_columns",
    "emergency_columns",
    "flexibility_columns",
    "flexibility_terms",
    "procurement_terms",
]

ANSWER_OUTSIDE_S = 300.0
"""How long sellers may take to answer an order where some of them are outside, in seconds."""
CONTRACT = "reserve"
"""The contract under which flexibility is kept ready."""


def procurement_terms(scenario: Scenario, accounts: tuple[str, str]) -> ProcurementTerms | None:
    """Return the DSO's terms, given the accounts of aggregator and DSO; None without a market."""
    market, common = scenario.flexibility_market, flexibility_terms(scenario, accounts)
    if common is None:
        return None
    return ProcurementTerms(
        baseline=common.baseline,
        metered=common.metered,
        penalty_ticks_per_kwh=common.penalty_ticks_per_kwh,
        contracts_w=common.contracts_w,
        aggregator_account=common.aggregator_account,
        dso_account=common.dso_account,
        willingness_ticks_per_kwh=round(market.willingness * TICKS_PER_CURRENCY),
        loading_max=market.loading,
        request_lead_s=market.request_minutes * 60,
        offer_lead_s=market.offer_minutes * 60,
        order_lead_s=market.order_minutes * 60,
        **_terms_outside(scenario),
    )


def _terms_outside(scenario: Scenario) -> dict[str, Any]:
    """Return what changes for a DSO that buys outside: requests keep to a day, answers may take long."""
    trade = scenario.flexibility_market.uftp
    if trade is None or trade.role != "dso":
        return {}
    return {"day_zone": trade.zone or scenario.zone, "answer_within_s": ANSWER_OUTSIDE_S}


def flexibility_terms(scenario: Scenario, accounts: tuple[str, str]) -> FlexibilityTerms | None:
    """Return the terms that both share, given the accounts of aggregator and DSO; None without a market."""
    market = scenario.flexibility_market
    if not market.active:
        return None
    reserved_w = round(market.reserved_kw * 1000)
    return FlexibilityTerms(
        baseline=Baseline[market.baseline.upper().replace("-", "_")],
        metered=Metered[market.metered.upper()],
        penalty_ticks_per_kwh=round(market.penalty * TICKS_PER_CURRENCY),
        contracts_w={CONTRACT: reserved_w} if reserved_w else {},
        aggregator_account=accounts[0],
        dso_account=accounts[1],
    )


def flexibility_columns(
    requests: Sequence[FlexRequest],
    orders: Sequence[FlexOrder],
    settlements: Sequence[FlexSettlement],
    acquired: Sequence[AcquiredFlexibility] = (),
) -> dict[str, list[Any]]:
    """Return a row for each order, and for each request that led to none."""
    settled = {each.order_reference: each for every in settlements for each in every.orders}
    bought = {each.order_reference: each for each in acquired}
    by_request: dict[tuple[str, int], list[FlexOrder | None]] = {}
    for order in orders:
        by_request.setdefault((order.congestion_point, order.period_start_s), []).append(order)
    none: list[FlexOrder | None] = [None]
    rows = [
        _row(request, order, settled.get(order.order_reference) if order else None)
        | _seller(bought.get(order.order_reference) if order else None)
        for request in requests
        for order in by_request.get((request.congestion_point, request.period_start_s), none)
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def acquired_columns(
    orders: Sequence[FlexOrder], settlements: Sequence[FlexSettlement]
) -> dict[str, list[Any]]:
    """Return a row for each interval of each order."""
    settled = {
        (order.order_reference, part.start_s): part
        for every in settlements
        for order in every.orders
        for part in order.intervals
    }
    rows = [
        _interval(order, start_s, power_w, settled.get((order.order_reference, start_s)))
        for order in orders
        for start_s, power_w in sorted(ordered_powers(order).items())
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def emergency_columns(calls: Sequence[EmergencyCall]) -> dict[str, list[Any]]:
    """Return a row for each call for direct control."""
    if not calls:
        return {}
    return {
        "start_s": [each.start_s for each in calls],
        "segment": [each.segment_id for each in calls],
        "signal": [each.signal_id for each in calls],
        "contract": [each.contract_id for each in calls],
        "limit_w": [each.limit_w or 0 for each in calls],
        "ordered_wh": [each.ordered_wh for each in calls],
        "delivered_wh": [each.delivered_wh for each in calls],
        "reported": [each.reported for each in calls],
        "paid_ticks": [each.paid_ticks for each in calls],
    }


def _interval(
    order: FlexOrder, start_s: int, power_w: int, part: SettlementInterval | None
) -> dict[str, Any]:
    return {
        "start_s": start_s,
        "segment": order.congestion_point,
        "order": order.order_reference,
        "ordered_w": power_w,
        "settled": part is not None,
        "baseline_w": part.baseline_w if part else 0,
        "metered_w": part.actual_w if part else 0,
        "delivered_w": part.delivered_w if part else 0,
        "missing_w": part.deficiency_w if part else 0,
    }


def _seller(bought: AcquiredFlexibility | None) -> dict[str, Any]:
    return {
        "aggregator": bought.aggregator if bought else "",
        "offered_wh": bought.offered_wh if bought else 0,
    }


def _row(request: FlexRequest, order: FlexOrder | None, settled: OrderSettlement | None) -> dict[str, Any]:
    parts: Sequence[SettlementInterval] = settled.intervals if settled else ()
    return {
        "start_s": request.period_start_s,
        "end_s": request.period_end_s,
        "segment": request.congestion_point,
        "order": order.order_reference if order else "",
        "state": "SETTLED" if settled else "ORDERED" if order else "UNCOVERED",
        "needed_wh": _energy_wh(wanted_powers(request).values()),
        "ordered_wh": _energy_wh(ordered_powers(order).values()) if order else 0,
        "delivered_wh": _energy_wh(each.delivered_w for each in parts),
        "deficiency_wh": _energy_wh(each.deficiency_w for each in parts),
        "price_ticks": order.price_ticks if order else 0,
        "earned_ticks": settled.price_ticks if settled else 0,
        "penalty_ticks": settled.penalty_ticks if settled else 0,
    }


def _energy_wh(powers_w: Iterable[int]) -> int:
    return round(sum(powers_w) * INTERVAL_S / 3600)
