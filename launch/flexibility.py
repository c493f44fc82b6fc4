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

__all__ = ["CONTRACT", "flexibility_columns", "flexibility_terms", "procurement_terms"]

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
    requests: Sequence[FlexRequest], orders: Sequence[FlexOrder], settlements: Sequence[FlexSettlement]
) -> dict[str, list[Any]]:
    """Return a row for each order, and for each request that led to none."""
    settled = {each.order_reference: each for every in settlements for each in every.orders}
    by_request: dict[tuple[str, int], list[FlexOrder | None]] = {}
    for order in orders:
        by_request.setdefault((order.congestion_point, order.period_start_s), []).append(order)
    none: list[FlexOrder | None] = [None]
    rows = [
        _row(request, order, settled.get(order.order_reference) if order else None)
        for request in requests
        for order in by_request.get((request.congestion_point, request.period_start_s), none)
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


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
