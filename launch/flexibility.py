"""The terms of the explicit flexibility market that a scenario asks for."""

from behaviours.decisions.flexibility_market.baselines import Baseline
from behaviours.decisions.flexibility_market.terms import FlexibilityTerms, ProcurementTerms
from launch.schema import Scenario
from ontology.base import TICKS_PER_CURRENCY

__all__ = ["CONTRACT", "flexibility_terms", "procurement_terms"]

CONTRACT = "reserve"
"""The contract under which flexibility is kept ready."""


def procurement_terms(scenario: Scenario, accounts: tuple[str, str]) -> ProcurementTerms | None:
    """Return the DSO's terms, given the accounts of aggregator and DSO; None without a market."""
    market, common = scenario.flexibility_market, flexibility_terms(scenario, accounts)
    if common is None:
        return None
    return ProcurementTerms(
        baseline=common.baseline,
        penalty_ticks_per_kwh=common.penalty_ticks_per_kwh,
        contracts_w=common.contracts_w,
        aggregator_account=common.aggregator_account,
        dso_account=common.dso_account,
        willingness_ticks_per_kwh=round(market.willingness * TICKS_PER_CURRENCY),
        loading_max=market.loading,
        request_lead_s=market.request_minutes * 60,
        offer_lead_s=market.offer_minutes * 60,
        order_lead_s=market.order_minutes * 60,
    )


def flexibility_terms(scenario: Scenario, accounts: tuple[str, str]) -> FlexibilityTerms | None:
    """Return the terms that both share, given the accounts of aggregator and DSO; None without a market."""
    market = scenario.flexibility_market
    if not market.active:
        return None
    reserved_w = round(market.reserved_kw * 1000)
    return FlexibilityTerms(
        baseline=Baseline[market.baseline.upper().replace("-", "_")],
        penalty_ticks_per_kwh=round(market.penalty * TICKS_PER_CURRENCY),
        contracts_w={CONTRACT: reserved_w} if reserved_w else {},
        aggregator_account=accounts[0],
        dso_account=accounts[1],
    )
