"""The bilateral contracts that a scenario names, as DSO and aggregator both hold them."""

from behaviours.decisions.bilateral_contract import BilateralContract, Window
from launch.schema import Contract, Scenario
from launch.schema import Window as WindowSection
from ontology.base import TICKS_PER_CURRENCY

__all__ = ["contracts_of"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def contracts_of(scenario: Scenario, payee: str) -> tuple[BilateralContract, ...]:
    """Return the contracts between DSO and aggregator, whose account is given."""
    return tuple(_contract(each, scenario.zone, payee) for each in scenario.contracts)


def _contract(wanted: Contract, zone: str, payee: str) -> BilateralContract:
    return BilateralContract(
        contract_id=wanted.id,
        segment_id=wanted.segment,
        reserved_w=round(wanted.power_kw * 1000),
        availability_ticks_per_kw_hour=round(wanted.availability * TICKS_PER_CURRENCY),
        activation_ticks_per_kwh=round(wanted.activation * TICKS_PER_CURRENCY),
        response_s=wanted.response_s,
        activations_a_day=wanted.activations_a_day,
        windows=tuple(_window(each) for each in wanted.windows),
        zone=zone,
        payee=payee,
        members_percent=round(wanted.members * 100),
    )


def _window(wanted: WindowSection) -> Window:
    return Window(
        months=wanted.months,
        weekdays=tuple(WEEKDAYS.index(day) for day in wanted.weekdays),
        from_minute=round(wanted.from_hour * 60),
        to_minute=round(wanted.to_hour * 60),
    )
