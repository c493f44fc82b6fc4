"""Mid-market rate and supply–demand ratio: what everyone pays and earns balances."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.markets.ratio_prices import mid_market_prices, supply_demand_prices
from ontology.errors import InvalidInput
from ontology.market import GREEN_PARAMETERS
from tests.behaviours.decisions.quick import quick
from tests.behaviours.decisions.test_pricing import tariffs

WH = st.integers(0, 100_000)
BOTH = pytest.mark.parametrize("prices_of", [mid_market_prices, supply_demand_prices])


@pytest.mark.parametrize(
    ("consumed_wh", "produced_wh", "buy", "sell"),
    [
        (5_000, 5_000, 1325, 1325),
        (10_000, 5_000, Fraction(1325 + 2000, 2), 1325),
        (5_000, 10_000, 1325, Fraction(1325 + 650, 2)),
        (10_000, 0, 2000, 650),
        (0, 10_000, 2000, 650),
    ],
)
def test_the_middle_is_paid_for_what_is_local(consumed_wh, produced_wh, buy, sell):
    assert mid_market_prices(consumed_wh, produced_wh, GREEN_PARAMETERS) == (buy, sell)


def test_the_ratio_of_supply_to_demand_moves_prices_from_one_usual_price_to_the_other():
    assert supply_demand_prices(10_000, 0, GREEN_PARAMETERS) == (2000, 2000)
    assert supply_demand_prices(10_000, 10_000, GREEN_PARAMETERS) == (650, 650)
    buy, sell = supply_demand_prices(10_000, 5_000, GREEN_PARAMETERS)
    assert sell == Fraction(650 * 2000 * 2, 1350 + 2 * 650)
    assert buy == sell / 2 + 1000


@BOTH
@quick
@given(consumed_wh=WH, produced_wh=WH, tariff=tariffs())
def test_payments_balance_with_the_suppliers_and_nobody_is_worse_off(
    prices_of, consumed_wh, produced_wh, tariff
):
    buy, sell = prices_of(consumed_wh, produced_wh, tariff)
    assert tariff.sell_usual_ticks_per_kwh <= sell <= buy <= tariff.buy_usual_ticks_per_kwh
    local = min(consumed_wh, produced_wh)
    supplier = (consumed_wh - local) * tariff.buy_usual_ticks_per_kwh
    supplier -= (produced_wh - local) * tariff.sell_usual_ticks_per_kwh
    assert consumed_wh * buy - produced_wh * sell == supplier


@BOTH
def test_energies_are_not_negative(prices_of):
    with pytest.raises(InvalidInput, match="produced_wh"):
        prices_of(1, -1, GREEN_PARAMETERS)
