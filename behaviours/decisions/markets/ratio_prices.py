"""Prices for everyone from what a community consumed and produced: mid-market rate, supply–demand ratio."""

from fractions import Fraction

from ontology.base import require
from ontology.market import LemParameters

__all__ = ["mid_market_prices", "supply_demand_prices"]

Prices = tuple[Fraction, Fraction]


def mid_market_prices(consumed_wh: int, produced_wh: int, tariff: LemParameters) -> Prices:
    """Return buying and selling price: local energy at the middle of the usual ones, the rest shared out.

    Whoever is on the longer side shares what the supplier takes or gives for the rest.

    Args:
        consumed_wh: of the whole community in Wh.
        produced_wh: of the whole community in Wh.
        tariff: usual prices in ticks per kWh.

    Raises: InvalidInput when an energy is negative.
    Source: Long et al. 2017, Peer-to-peer energy trading in a community microgrid.
    """
    _check(consumed_wh, produced_wh)
    buy_usual, sell_usual = tariff.buy_usual_ticks_per_kwh, tariff.sell_usual_ticks_per_kwh
    middle = Fraction(buy_usual + sell_usual, 2)
    buy = _shared(middle, buy_usual, produced_wh, consumed_wh)
    sell = _shared(middle, sell_usual, consumed_wh, produced_wh)
    return buy, sell


def supply_demand_prices(consumed_wh: int, produced_wh: int, tariff: LemParameters) -> Prices:
    """Return buying and selling price from the ratio of production to consumption.

    With nothing produced both are usual; the more is produced, the nearer both come to what the supplier
    pays, and from a ratio of one on they are just that.

    Raises: InvalidInput when an energy is negative.
    Source: Liu et al. 2017, Energy-sharing model with price-based demand response for microgrids.
    """
    _check(consumed_wh, produced_wh)
    buy_usual, sell_usual = tariff.buy_usual_ticks_per_kwh, tariff.sell_usual_ticks_per_kwh
    if consumed_wh == 0:
        return Fraction(buy_usual), Fraction(sell_usual)
    if produced_wh >= consumed_wh:
        return Fraction(sell_usual), Fraction(sell_usual)
    ratio = Fraction(produced_wh, consumed_wh)
    scale = (buy_usual - sell_usual) * ratio + sell_usual
    sell = sell_usual * buy_usual / scale if scale else Fraction(0)
    return sell * ratio + buy_usual * (1 - ratio), sell


def _shared(middle: Fraction, usual: int, other_wh: int, own_wh: int) -> Fraction:
    """Return the mean price of one side, of which as much as the other side has is local."""
    if own_wh == 0:
        return Fraction(usual)
    local = Fraction(min(own_wh, other_wh), own_wh)
    return middle * local + usual * (1 - local)


def _check(consumed_wh: int, produced_wh: int) -> None:
    require(consumed_wh >= 0, "consumed_wh", consumed_wh, "not negative")
    require(produced_wh >= 0, "produced_wh", produced_wh, "not negative")
