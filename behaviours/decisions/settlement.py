"""What everyone pays and earns for one interval of a local energy market, in integer tokens."""

import hashlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

import msgspec

from behaviours.decisions.markets.auction import AuctionOutcome, MeteredOrder, auction_outcome
from behaviours.decisions.pricing import LemPrices, flow_rate, interval_prices
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY, require
from ontology.errors import InvalidInput, problem
from ontology.grid import GridState
from ontology.market import FlowRule, LemDataset, LemParameters, LemResult, LemRow, Mechanism

__all__ = [
    "MeteredEnergy",
    "Settlement",
    "estimated_energy",
    "metered_energy",
    "result_hash",
    "settle_interval",
]

WH_PER_KWH = 1000
ENERGY_SCALE = WH_PER_KWH * TICKS_PER_CURRENCY
"""Wh · ticks/kWh in one unit of currency."""


class MeteredEnergy(NamedTuple):
    """What a player consumed and produced in an interval, in Wh, and whether that is an estimate."""

    player: str
    consumed_wh: int
    produced_wh: int
    estimated: bool = False
    buy_limit: int | None = None
    """What the player would pay for local energy, in ticks per kWh; the usual price where it has not said."""
    sell_limit: int | None = None
    """What the player asks for its energy, likewise."""
    partners: frozenset[str] = frozenset()
    """From whom it would rather buy."""


class Settlement(NamedTuple):
    """The result of an interval and the token changes (summing to zero) that carry it out."""

    result: LemResult
    entries: dict[str, int]


class Rates(NamedTuple):
    """What one Wh (or, of flow, one Wh against the community's net) is worth, over one denominator."""

    consumption: int
    production: int
    flow: int
    denominator: int


def settle_interval(
    rows: Iterable[MeteredEnergy],
    tariff: LemParameters,
    grid_state: GridState,
    tokens_per_currency: int,
    *,
    start_s: int,
    segment_id: str,
    aggregator: str,
    grid: str,
    flow_cap: int = 1,
) -> Settlement:
    """Settle an interval: every player's net tokens, the supplier's, and the rest to the aggregator.

    Exact rationals inside, one half-even rounding per account. The supplier (`grid`) earns what the
    community imports and pays what it exports at usual prices; the aggregator's account balances the
    batch, so it holds the peer margin, the flow charges and the rounding remainders. When RED everyone
    trades with the supplier at usual prices and no flow is charged. In an auction what is not traded among
    the players is bought and sold as usual.

    Args:
        rows: energies of the players, in any order.
        tariff: prices in ticks per kWh and beta in ticks per kWh².
        grid_state: the state that held in the interval.
        tokens_per_currency: tokens that one unit of currency is worth, positive.
        start_s: start of the interval in epoch seconds.
        segment_id: the grid segment.
        aggregator: account that balances the batch.
        grid: account of the supplier.
        flow_cap: the c of |t_flow| <= c (t_cons + t_prod).

    Raises: InvalidInput for negative energies, accounts named twice, a negative beta or a
    non-positive exchange rate.
    Source: SPEC 2.2, 9.6; DESIGN 7 (arithmetic of money).
    """
    metered = sorted(rows)
    check_rows(metered, tokens_per_currency, (aggregator, grid))
    require(
        tariff.beta_ticks_per_kwh2 >= 0, "beta_ticks_per_kwh2", tariff.beta_ticks_per_kwh2, "not negative"
    )
    consumed_wh = sum(row.consumed_wh for row in metered)
    produced_wh = sum(row.produced_wh for row in metered)
    flow = flow_rate(consumed_wh - produced_wh, len(metered), tariff, grid_state)
    traded_wh: int | None = None
    if tariff.mechanism.is_auction and grid_state is not GridState.RED:
        outcome = auction_outcome([as_order(row) for row in metered], tariff)
        settled = [settle_traded(row, outcome, flow, tokens_per_currency, flow_cap) for row in metered]
        prices, shared_wh = outcome.mean_prices, outcome.traded_wh
        traded_wh = shared_wh
    else:
        prices = interval_prices(consumed_wh, produced_wh, tariff, grid_state)
        rates = common_rates(prices, flow, tokens_per_currency)
        settled = [settle_row(row, rates, flow_cap) for row in metered]
        shared_wh = 0 if grid_state is GridState.RED else min(consumed_wh, produced_wh)
    entries = {row.player: row.tokens_net for row in settled}
    entries[grid] = supplier_tokens(consumed_wh, produced_wh, shared_wh, tariff, tokens_per_currency)
    entries[aggregator] = -sum(entries.values())
    result = LemResult(
        start_s=start_s,
        segment_id=segment_id,
        grid_state=grid_state,
        consumed_wh=consumed_wh,
        produced_wh=produced_wh,
        buy_price_ticks_per_kwh=float(prices.buy),
        sell_price_ticks_per_kwh=float(prices.sell),
        rows=settled,
        result_hash=result_hash(
            start_s, segment_id, grid_state, tariff, tokens_per_currency, settled, entries
        ),
        traded_wh=traded_wh,
        players=len(metered) if flow else 0,
        flow_ticks_per_kwh=float(flow),
    )
    return Settlement(result, entries)


def settle_row(row: MeteredEnergy, rates: Rates, flow_cap: int) -> LemRow:
    """Return a player's tokens where all have the same prices."""
    consumption, production = row.consumed_wh * rates.consumption, row.produced_wh * rates.production
    return settled_row(row, consumption, production, rates.flow, rates.denominator, flow_cap)


def settle_traded(
    row: MeteredEnergy, outcome: AuctionOutcome, flow: Fraction, tokens_per_currency: int, flow_cap: int
) -> LemRow:
    """Return a player's tokens where trades have prices of their own.

    Args:
        row: what was metered.
        outcome: what each player pays and earns, in Wh times ticks per kWh.
        flow: what a kWh in the direction of the community's net flow is charged, in ticks.
        tokens_per_currency: tokens that one unit of currency is worth.
        flow_cap: the c of |t_flow| <= c (t_cons + t_prod).
    """
    scale = tokens_per_currency * flow.denominator
    consumption, production = (part.get(row.player, 0) * scale for part in (outcome.paid, outcome.earned))
    rate = flow.numerator * tokens_per_currency
    return settled_row(row, consumption, production, rate, ENERGY_SCALE * flow.denominator, flow_cap)


def as_order(row: MeteredEnergy) -> MeteredOrder:
    """Return what a player brings to an auction."""
    return MeteredOrder(
        row.player, row.consumed_wh, row.produced_wh, row.buy_limit, row.sell_limit, row.partners
    )


def settled_row(
    row: MeteredEnergy, consumption: int, production: int, flow_rate: int, denominator: int, flow_cap: int
) -> LemRow:
    """Return a player's tokens; its net is rounded once and its parts add up to it exactly.

    Where a flow is charged its part holds the remainder of the rounding, else production's does.
    """
    player, consumed_wh, produced_wh, estimated = row[:4]
    if flow_rate:
        cap = flow_cap * (abs(consumption) + abs(production))
        flow = max(-cap, min(cap, (consumed_wh - produced_wh) * flow_rate))
        tokens_net = round_half_even(production - consumption - flow, denominator)
        tokens_consumption = round_half_even(consumption, denominator)
        tokens_production = round_half_even(production, denominator)
        tokens_flow = tokens_production - tokens_consumption - tokens_net
    else:
        tokens_net = round_half_even(production - consumption, denominator)
        tokens_consumption = round_half_even(consumption, denominator)
        tokens_production = tokens_net + tokens_consumption
        tokens_flow = 0
    return LemRow(
        player=player,
        consumed_wh=consumed_wh,
        produced_wh=produced_wh,
        tokens_consumption=tokens_consumption,
        tokens_production=tokens_production,
        tokens_flow=tokens_flow,
        tokens_net=tokens_net,
        estimated=estimated,
    )


def common_rates(prices: LemPrices, flow_ticks_per_kwh: Fraction, tokens_per_currency: int) -> Rates:
    """Bring the tokens of a Wh consumed, produced and of flow to one denominator, all whole numbers.

    Args:
        prices: exact prices in ticks per kWh.
        flow_ticks_per_kwh: exact charge of a kWh in the direction of the community's net flow.
        tokens_per_currency: tokens that one unit of currency is worth.
    """
    consumption = prices.buy * Fraction(tokens_per_currency, ENERGY_SCALE)
    production = prices.sell * Fraction(tokens_per_currency, ENERGY_SCALE)
    flow = flow_ticks_per_kwh * Fraction(tokens_per_currency, ENERGY_SCALE)
    denominator = lcm(consumption.denominator, production.denominator, flow.denominator)
    scaled = [part.numerator * (denominator // part.denominator) for part in (consumption, production, flow)]
    common = gcd(denominator, *scaled)
    return Rates(scaled[0] // common, scaled[1] // common, scaled[2] // common, denominator // common)


def supplier_tokens(
    consumed_wh: int, produced_wh: int, shared_wh: int, tariff: LemParameters, tokens_per_currency: int
) -> int:
    """Return what the supplier earns: what was not shared, at usual prices."""
    imported = (consumed_wh - shared_wh) * tariff.buy_usual_ticks_per_kwh
    exported = (produced_wh - shared_wh) * tariff.sell_usual_ticks_per_kwh
    return round_half_even((imported - exported) * tokens_per_currency, ENERGY_SCALE)


def round_half_even(numerator: int, denominator: int) -> int:
    """Round a ratio of whole numbers to the nearest whole number, ties to the even one."""
    whole, rest = divmod(numerator, denominator)
    twice = rest + rest
    if twice > denominator or (twice == denominator and whole & 1):
        return whole + 1
    return whole


def metered_energy(dataset: LemDataset) -> MeteredEnergy:
    """Return what a dataset's reading says of its player."""
    reading = dataset.reading
    return MeteredEnergy(
        dataset.player,
        reading.consumed_wh,
        reading.produced_wh,
        buy_limit=dataset.buy_limit_ticks_per_kwh,
        sell_limit=dataset.sell_limit_ticks_per_kwh,
        partners=frozenset(dataset.partners),
    )


def estimated_energy(dataset: LemDataset, start_s: int, step_s: int = INTERVAL_S) -> MeteredEnergy:
    """Estimate a missing interval from the player's last forecast, which is clamped at its ends.

    Without a forecast the last reading is repeated. The result is flagged as estimated.

    Source: SPEC 2.3.
    """
    steps = min(len(dataset.consumption_w), len(dataset.production_w))
    if not steps:
        return metered_energy(dataset)._replace(
            estimated=True, buy_limit=None, sell_limit=None, partners=frozenset()
        )
    index = max(0, min(steps - 1, (start_s - dataset.forecast_start_s) // step_s))
    consumed = round_half_even(max(0, dataset.consumption_w[index]) * step_s, 3600)
    produced = round_half_even(max(0, dataset.production_w[index]) * step_s, 3600)
    return MeteredEnergy(dataset.player, consumed, produced, estimated=True)


def result_hash(
    start_s: int,
    segment_id: str,
    grid_state: GridState,
    tariff: LemParameters,
    tokens_per_currency: int,
    rows: Sequence[LemRow],
    entries: dict[str, int],
) -> str:
    """Return the SHA-256 (hex) of an interval's inputs and outcome, which attestors compare.

    Canonical content: JSON arrays of whole numbers and strings, players in ascending order.
    """
    prices = (
        tariff.buy_usual_ticks_per_kwh,
        tariff.sell_usual_ticks_per_kwh,
        tariff.buy_peer_ticks_per_kwh,
        tariff.sell_peer_ticks_per_kwh,
        tariff.beta_ticks_per_kwh2,
    )
    players = [(r.player, r.consumed_wh, r.produced_wh, r.tokens_net, r.estimated) for r in rows]
    content: tuple[object, ...] = (
        start_s,
        segment_id,
        grid_state.value,
        prices,
        tokens_per_currency,
        players,
        sorted(entries.items()),
    )
    if tariff.mechanism is not Mechanism.COMMUNITY:
        content = (*content, tariff.mechanism.value)
    if tariff.flow_rule is not FlowRule.COMMUNITY:
        content = (*content, tariff.flow_rule.value)
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def check_rows(rows: Sequence[MeteredEnergy], tokens_per_currency: int, others: tuple[str, str]) -> None:
    """Refuse negative energies, accounts that are named twice and a non-positive exchange rate."""
    problems = [
        problem(f"rows[{row.player}]", (row.consumed_wh, row.produced_wh), "energies must not be negative")
        for row in rows
        if row.consumed_wh < 0 or row.produced_wh < 0
    ]
    names = [*(row.player for row in rows), *others]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        problems.append(problem("rows", twice, "each account once"))
    if tokens_per_currency <= 0:
        problems.append(problem("tokens_per_currency", tokens_per_currency, "must be positive"))
    if problems:
        raise InvalidInput(problems)
