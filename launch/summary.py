"""The headline numbers of a run: what was bought and sold, at which prices, and how local it was."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from launch.run_folder import RunResult
from ontology.base import INTERVAL_S, TICKS_PER_CURRENCY

__all__ = ["Spread", "Summary", "as_row", "site_rows", "summarise"]

HOURS = INTERVAL_S / 3600
LOADS = ("base_w", "ev_w", "heat_pump_w", "dhw_w", "lighting_w")


@dataclass(frozen=True)
class Spread:
    """Least, mean and greatest of a quantity; NaN when there is none."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Headline numbers; energies in kWh, prices in EUR/kWh, shares 0 to 1 (NaN when undefined)."""

    intervals: int
    sites: int
    buy_eur_per_kwh: Spread
    sell_eur_per_kwh: Spread
    bought_locally_kwh: float
    imported_kwh: float
    exported_kwh: float
    load_kwh: float
    pv_kwh: float
    losses_kwh: float
    self_consumption: float
    self_sufficiency: float
    green: int
    yellow: int
    red: int
    tokens_moved: int
    benefit_eur: float
    estimated: int
    loading_max: float
    voltage_min_pu: float
    voltage_max_pu: float
    neutral_a: float
    neutral_v: float
    letters: int
    wall_s: float


def summarise(result: RunResult) -> Summary:
    """Compute the headline numbers of a run.

    Self-consumption is the share of the PV energy that did not leave the community; self-sufficiency
    the share of the loads (without battery charging) that was not imported. The benefit is what all
    sites together pay less than at the usual prices of the same grid states.
    """
    tables = result.tables.checked()
    sites, market, grid = (
        {name: np.asarray(column) for name, column in table.items()}
        for table in (tables.sites, tables.market, tables.grid)
    )
    traded = _kwh(market["traded_wh"])
    imported = _kwh(sites["consumed_wh"]) - traded
    exported = _kwh(sites["produced_wh"]) - traded
    load = sum(float(np.nansum(sites[name].clip(min=0))) for name in LOADS) * HOURS / 1000
    pv = abs(float(np.nansum(sites["pv_w"]))) * HOURS / 1000
    states = _state_per_interval(market)
    return Summary(
        intervals=len(states),
        sites=len(np.unique(sites["site"].astype(str))),
        buy_eur_per_kwh=_spread(market["buy_ticks_per_kwh"] / TICKS_PER_CURRENCY),
        sell_eur_per_kwh=_spread(market["sell_ticks_per_kwh"] / TICKS_PER_CURRENCY),
        bought_locally_kwh=traded,
        imported_kwh=imported,
        exported_kwh=exported,
        load_kwh=load,
        pv_kwh=pv,
        losses_kwh=float(np.nansum(grid["losses_w"])) * HOURS / 1000,
        self_consumption=_share(exported, pv),
        self_sufficiency=_share(imported, load),
        green=states.count("GREEN"),
        yellow=states.count("YELLOW"),
        red=states.count("RED"),
        tokens_moved=int(np.asarray(tables.settlement["tokens"]).clip(min=0).sum()),
        benefit_eur=_benefit(result, market),
        estimated=int(market["estimated"].sum()),
        loading_max=_extreme(np.nanmax, grid["loading"]),
        voltage_min_pu=_extreme(np.nanmin, grid["voltage_min_pu"]),
        voltage_max_pu=_extreme(np.nanmax, grid["voltage_max_pu"]),
        neutral_a=_extreme(np.nanmax, grid["neutral_a"]),
        neutral_v=_extreme(np.nanmax, grid["neutral_v"]),
        letters=result.letters,
        wall_s=result.wall_s,
    )


def as_row(summary: Summary) -> dict[str, Any]:
    """Return a summary as one flat row; a spread becomes three columns."""
    row: dict[str, Any] = {}
    for name, value in asdict(summary).items():
        if isinstance(value, dict):
            row.update({f"{name}_{part}": number for part, number in value.items()})
        else:
            row[name] = value
    return row


def site_rows(result: RunResult) -> list[dict[str, Any]]:
    """Return one row a site: energies in kWh, its own self-consumption and the tokens that it gained."""
    sites = {name: np.asarray(column) for name, column in result.tables.checked().sites.items()}
    names, index = np.unique(sites["site"].astype(str), return_inverse=True)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(index, weights=np.nan_to_num(values.astype(float)), minlength=len(names))

    bought, sold = total(sites["consumed_wh"]) / 1000, total(sites["produced_wh"]) / 1000
    pv = np.abs(total(sites["pv_w"])) * HOURS / 1000
    load = total(np.sum([np.nan_to_num(sites[name]).clip(min=0) for name in LOADS], axis=0)) * HOURS / 1000
    tokens = _tokens_by_name(result)
    return [
        {
            "site": str(name),
            "load_kwh": float(load[i]),
            "pv_kwh": float(pv[i]),
            "bought_kwh": float(bought[i]),
            "sold_kwh": float(sold[i]),
            "self_consumption": _share(sold[i], pv[i]),
            "tokens": tokens.get(str(name)),
        }
        for i, name in enumerate(names)
    ]


def _tokens_by_name(result: RunResult) -> Mapping[str, int]:
    totals: dict[str, int] = {}
    tables = result.tables.checked()
    for table in (tables.settlement, tables.corrections):
        for account, tokens in zip(table["account"], table["tokens"], strict=True):
            name = result.accounts.get(account, account)
            totals[name] = totals.get(name, 0) + int(tokens)
    return totals


def _state_per_interval(market: Mapping[str, np.ndarray]) -> list[str]:
    """The worst state of any segment in each interval."""
    rank = {"GREEN": 0, "YELLOW": 1, "RED": 2}
    worst: dict[int, str] = {}
    for start_s, state in zip(market["start_s"].tolist(), market["grid_state"], strict=True):
        if rank.get(state, 0) >= rank.get(worst.get(start_s, "GREEN"), 0):
            worst[start_s] = state
    return list(worst.values())


def _benefit(result: RunResult, market: Mapping[str, np.ndarray]) -> float:
    tariffs = result.scenario.tariffs
    yellow = market["grid_state"] == "YELLOW"
    buy_usual = np.where(yellow, tariffs.yellow.buy_usual, tariffs.green.buy_usual)
    sell_usual = np.where(yellow, tariffs.yellow.sell_usual, tariffs.green.sell_usual)
    saved = (buy_usual - market["buy_ticks_per_kwh"] / TICKS_PER_CURRENCY) * market["consumed_wh"]
    earned = (market["sell_ticks_per_kwh"] / TICKS_PER_CURRENCY - sell_usual) * market["produced_wh"]
    return float(np.nansum(saved + earned)) / 1000


def _share(leaving: float, whole: float) -> float:
    """What remains of a whole, as a share between 0 and 1 (a battery may return what it held before)."""
    return float(np.clip(1 - leaving / whole, 0, 1)) if whole > 0 else float("nan")


def _kwh(values_wh: np.ndarray) -> float:
    return float(values_wh.sum()) / 1000


def _spread(values: np.ndarray) -> Spread:
    values = values[~np.isnan(values)]
    if not len(values):
        return Spread(float("nan"), float("nan"), float("nan"))
    return Spread(float(values.min()), float(values.mean()), float(values.max()))


def _extreme(of: Any, values: np.ndarray) -> float:
    return float(of(values)) if len(values) and not np.isnan(values).all() else float("nan")
