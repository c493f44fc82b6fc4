"""The two prices of a local energy market interval, exact, and those of the intervals to come."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from behaviours.decisions.markets.ratio_prices import mid_market_prices, supply_demand_prices
from ontology.base import INTERVAL_S, require
from ontology.grid import GridState
from ontology.market import (
    GREEN_PARAMETERS,
    YELLOW_PARAMETERS,
    FlowRule,
    LemParameters,
    Mechanism,
    PriceProfile,
)

__all__ = [
    "FlowCharge",
    "LemPrices",
    "community_prices",
    "effective_parameters",
    "flow_ahead",
    "flow_rate",
    "forward_prices",
    "interval_prices",
    "price_profile",
    "prices_with_block",
    "usual_prices",
]

IntArray = npt.NDArray[np.int64]

WH_PER_KWH = 1000
BLOCK_WH = 500
"""What a large device takes or gives in an interval: 2 kW for 15 minutes."""


class LemPrices(NamedTuple):
    """What everyone pays and earns in an interval, in exact ticks per kWh."""

    buy: Fraction
    sell: Fraction


class FlowCharge(NamedTuple):
    """What a plan expects of the flow charge: a rate at the plan before, and how it rises beyond it.

    The slope stands for the others who plan now as well and see the same prices: what one site shifts,
    they shift too.
    """

    ticks_per_kwh: list[float]
    """In each step, positive where the community imports: at `before_w`."""
    ticks_per_kwh_and_kw: float
    before_w: list[int]
    """What the site's last plan meant at the meter, in each step."""

    def at(self, step: int, net_w: float) -> float:
        """Return the charge of one more kWh in a step in which the site's net power is so many W."""
        return self.ticks_per_kwh[step] + self.ticks_per_kwh_and_kw * (net_w - self.before_w[step]) / 1000


def flow_rate(net_wh: int, players: int, tariff: LemParameters, grid_state: GridState) -> Fraction:
    """Return what a kWh in the direction of the community's net flow is charged, in exact ticks.

    Args:
        net_wh: consumption minus production of the community.
        players: how many share it.
        tariff: beta in ticks per kWh², and the rule by which it counts.
        grid_state: in RED nothing is charged.

    Source: SPEC 2.2 (t_flow, and "Scaling of beta").
    """
    if grid_state is GridState.RED:
        return Fraction(0)
    shared_among = max(1, players) if tariff.flow_rule is FlowRule.PER_PLAYER else 1
    return Fraction(tariff.beta_ticks_per_kwh2 * net_wh, WH_PER_KWH * shared_among)


def flow_ahead(
    net_wh: Sequence[int], players: int, tariff: LemParameters, before_w: Sequence[int], reacting: float
) -> FlowCharge | None:
    """Return the flow charge to plan with, linearised at the forecast; None where none is charged.

    Args:
        net_wh: forecast consumption minus production of the community in each step.
        players: whose forecast that is.
        tariff: beta and its rule.
        before_w: the site's part of that forecast, in W.
        reacting: share of the players who plan at the same time and would do the same.

    Source: SPEC 4.9 (linearised beta term), 2.2 (damping by a proximal term).
    """
    if not tariff.beta_ticks_per_kwh2 or tariff.case is GridState.RED or not players:
        return None
    rates = [float(flow_rate(net, players, tariff, tariff.case)) for net in net_wh]
    a_kwh = float(flow_rate(WH_PER_KWH, players, tariff, tariff.case))
    together = max(1.0, reacting * players)
    return FlowCharge(rates, a_kwh * together * INTERVAL_S / 3600, list(before_w))


def community_prices(consumed_wh: int, produced_wh: int, tariff: LemParameters) -> LemPrices:
    """Return one buying and one selling price for everyone in the interval.

    The share that consumption and production have in common is priced peer to peer, the rest as usual.

    Args:
        consumed_wh: energy consumed by the whole community in Wh, non-negative.
        produced_wh: energy produced by the whole community in Wh, non-negative.
        tariff: the four prices in ticks per kWh.

    Raises: InvalidInput when an energy is negative.
    Source: SPEC 2.2; the tariff is ordered by its class (psBAU <= psP2P <= pbP2P <= pbBAU).
    """
    check_energies(consumed_wh, produced_wh)
    shared_wh = min(consumed_wh, produced_wh)
    buy = blend(tariff.buy_usual_ticks_per_kwh, tariff.buy_peer_ticks_per_kwh, shared_wh, consumed_wh)
    sell = blend(tariff.sell_usual_ticks_per_kwh, tariff.sell_peer_ticks_per_kwh, shared_wh, produced_wh)
    return LemPrices(buy, sell)


def usual_prices(tariff: LemParameters) -> LemPrices:
    """Return the prices of business as usual, which hold while the market is paused (SPEC 9.6)."""
    return LemPrices(Fraction(tariff.buy_usual_ticks_per_kwh), Fraction(tariff.sell_usual_ticks_per_kwh))


def interval_prices(
    consumed_wh: int, produced_wh: int, tariff: LemParameters, grid_state: GridState
) -> LemPrices:
    """Return the prices in ticks per kWh that hold under a grid state: the mechanism's, or usual when RED.

    Of an auction they are what to expect before it: the mid-market rate.
    """
    if grid_state is GridState.RED:
        check_energies(consumed_wh, produced_wh)
        return usual_prices(tariff)
    if tariff.mechanism is Mechanism.COMMUNITY:
        return community_prices(consumed_wh, produced_wh, tariff)
    if tariff.mechanism is Mechanism.SUPPLY_DEMAND:
        return LemPrices(*supply_demand_prices(consumed_wh, produced_wh, tariff))
    return LemPrices(*mid_market_prices(consumed_wh, produced_wh, tariff))


def effective_parameters(given: LemParameters, grid_state: GridState) -> LemParameters:
    """Return the parameters given, or the state's defaults when all four prices are zero (SPEC 2.2)."""
    prices = (
        given.buy_usual_ticks_per_kwh,
        given.sell_usual_ticks_per_kwh,
        given.buy_peer_ticks_per_kwh,
        given.sell_peer_ticks_per_kwh,
    )
    if any(prices):
        return given
    default = GREEN_PARAMETERS if grid_state is GridState.GREEN else YELLOW_PARAMETERS
    return msgspec.structs.replace(default, case=grid_state)


def forward_prices(
    consumed_wh: npt.ArrayLike, produced_wh: npt.ArrayLike, tariff: LemParameters
) -> tuple[IntArray, IntArray]:
    """Return buying and selling prices in whole ticks per kWh for forecast energies in Wh.

    The same formula as at settlement, rounded half to even; for planning and display only.

    Raises: InvalidInput when the lengths differ or an energy is negative.
    Source: SPEC 2.2, `energyPrices`.
    """
    consumed = np.asarray(consumed_wh, dtype=np.int64)
    produced = np.asarray(produced_wh, dtype=np.int64)
    check_profiles(consumed, produced)
    if tariff.mechanism is not Mechanism.COMMUNITY:
        return _each_interval(consumed, produced, tariff)
    shared = np.minimum(consumed, produced)
    if tariff.case is GridState.RED:
        shared = np.zeros_like(shared)
    buy = blend_all(tariff.buy_usual_ticks_per_kwh, tariff.buy_peer_ticks_per_kwh, shared, consumed)
    sell = blend_all(tariff.sell_usual_ticks_per_kwh, tariff.sell_peer_ticks_per_kwh, shared, produced)
    return buy, sell


def _each_interval(
    consumed: IntArray, produced: IntArray, tariff: LemParameters
) -> tuple[IntArray, IntArray]:
    """Return the prices of intervals one by one, for mechanisms without a closed form in integers."""
    pairs = zip(consumed.tolist(), produced.tolist(), strict=True)
    prices = [interval_prices(c, p, tariff, tariff.case) for c, p in pairs]
    rounded = np.array([(round(each.buy), round(each.sell)) for each in prices], dtype=np.int64)
    return rounded.reshape(-1, 2)[:, 0], rounded.reshape(-1, 2)[:, 1]


def price_profile(
    start_s: int,
    consumed_wh: Sequence[int],
    produced_wh: Sequence[int],
    tariff: LemParameters,
    step_s: int = INTERVAL_S,
    players: int = 0,
) -> PriceProfile:
    """Return the forward prices of a community's forecast as the profile that prosumers plan with.

    Raises: InvalidInput as `forward_prices`.
    """
    buy, sell = forward_prices(consumed_wh, produced_wh, tariff)
    return PriceProfile(
        start_s=start_s,
        step_s=step_s,
        buy_ticks_per_kwh=buy.tolist(),
        sell_ticks_per_kwh=sell.tolist(),
        basis=f"forecast, {tariff.case.value} parameters",
        consumed_wh=list(consumed_wh),
        produced_wh=list(produced_wh),
        players=players,
    )


def prices_with_block(
    profile: PriceProfile, tariff: LemParameters, block_wh: int = BLOCK_WH
) -> tuple[list[int], list[int]]:
    """Return what the community's prices would be if one more site took, or gave, a block of energy.

    The prices ahead say what is paid if nobody changes anything: where nobody takes the surplus yet,
    energy looks dear. A device that is to be planned shifts the balance itself. Without the energies
    behind them, or in red, the prices are taken as they are.

    Args:
        profile: prices ahead with the energies behind them.
        tariff: the tariff of the coming market.
        block_wh: what a device takes or gives in an interval.

    Source: SPEC 2.2 (forward prices), with the block added.
    """
    if not profile.consumed_wh or tariff.case is GridState.RED:
        return list(profile.buy_ticks_per_kwh), list(profile.sell_ticks_per_kwh)
    consumed = np.asarray(profile.consumed_wh, dtype=np.int64)
    produced = np.asarray(profile.produced_wh, dtype=np.int64)
    buy, _ = forward_prices(consumed + block_wh, produced, tariff)
    _, sell = forward_prices(consumed, produced + block_wh, tariff)
    return buy.tolist(), sell.tolist()


def blend(usual: int, peer: int, shared_wh: int, total_wh: int) -> Fraction:
    """Return the mean price of a total of which a shared part is priced peer to peer."""
    if total_wh == 0:
        return Fraction(usual)
    return usual + Fraction((peer - usual) * shared_wh, total_wh)


def blend_all(usual: int, peer: int, shared_wh: IntArray, total_wh: IntArray) -> IntArray:
    """Return `blend` for many totals at once, rounded half to even in integer arithmetic."""
    total = np.maximum(total_wh, 1)
    whole, rest = np.divmod((peer - usual) * shared_wh, total)
    twice = 2 * rest
    up = (twice > total) | ((twice == total) & ((usual + whole) % 2 == 1))
    return np.asarray(usual + whole + up, dtype=np.int64)


def check_energies(consumed_wh: int, produced_wh: int) -> None:
    """Refuse negative energies."""
    require(consumed_wh >= 0, "consumed_wh", consumed_wh, "not negative")
    require(produced_wh >= 0, "produced_wh", produced_wh, "not negative")


def check_profiles(consumed: IntArray, produced: IntArray) -> None:
    """Refuse profiles of different lengths or with negative energies."""
    require(consumed.shape == produced.shape, "produced_wh", produced.shape, f"shape {consumed.shape}")
    if consumed.size:
        check_energies(int(consumed.min()), int(produced.min()))
