"""What YELLOW parameters do to a segment's peak and to its bill (SPEC 2.4: -10 % at most +2 %).

Thirty households in January, most of them with a car, a heat pump or a tank, behind a transformer that
cannot carry the evening. The same two days run three times: with GREEN's parameters whatever the light
says, with YELLOW's and a flow charge shared among the players (the default), and with YELLOW's and the
flow charge as published. On the first day nobody knows of the congestion before it is there; on the
second the sites plan for it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from launch.model import CommunityModel
from launch.scenario import load_scenario
from launch.tables import RunTables

__all__ = ["Day", "days_of", "flexible_share", "rows", "run_with"]

SCENARIO = Path(__file__).parents[1] / "launch" / "scenarios" / "stressed.yaml"
REFERENCE = {
    "start": "2024-01-10T12:00",
    "intervals": 192,
    "grid.transformer_kva": 100,
    "record": False,
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "GREEN's": {
        "tariffs.yellow": {
            "buy_usual": 0.20,
            "sell_usual": 0.065,
            "buy_peer": 0.14,
            "sell_peer": 0.08,
            "beta": 0.0,
        }
    },
    "YELLOW's, flow a player": {},
    "YELLOW's, flow as published": {"tariffs.flow": "community"},
}
INTERVALS_A_DAY = 96
FLEXIBLE = ("ev_w", "heat_pump_w", "dhw_w")


class Day(NamedTuple):
    """What became of a day: the greatest net flow either way, energy, the members' bill, the light."""

    peak_wh: int
    net_wh: int
    bill_tokens: int
    yellow: int
    red: int


def run_with(parameters: str) -> CommunityModel:
    """Run the reference days under some parameters of YELLOW."""
    return CommunityModel(load_scenario(SCENARIO, REFERENCE | PARAMETERS[parameters])).run()


def days_of(run: CommunityModel) -> list[Day]:
    """Return the days of a run, each of 96 intervals."""
    tables, names = run.tables(), run.community.cast.accounts
    starts = tables.market["start_s"]
    return [
        _day(tables, names, start_s, start_s + INTERVALS_A_DAY * 900)
        for start_s in range(int(starts[0]), int(starts[-1]) + 1, INTERVALS_A_DAY * 900)
    ]


def _day(tables: RunTables, names: Mapping[str, str], start_s: int, end_s: int) -> Day:
    market, settlement = tables.market, tables.settlement
    within = (market["start_s"] >= start_s) & (market["start_s"] < end_s)
    net_wh = (market["consumed_wh"] - market["produced_wh"])[within]
    states = market["grid_state"][within].tolist()
    settled = zip(settlement["start_s"], settlement["account"], settlement["tokens"], strict=True)
    bill = -sum(
        int(tokens)
        for time_s, account, tokens in settled
        if start_s <= time_s < end_s and names[account] not in ("aggregator", "grid")
    )
    return Day(
        peak_wh=int(np.abs(net_wh).max()),
        net_wh=int(net_wh.sum()),
        bill_tokens=bill,
        yellow=states.count("YELLOW"),
        red=states.count("RED"),
    )


def flexible_share(run: CommunityModel) -> float:
    """Return the share of the loads' energy that cars, heat pumps and tanks took."""
    sites = run.tables().sites
    flexible = sum(float(np.nansum(sites[name])) for name in FLEXIBLE)
    return flexible / (flexible + float(sites["base_w"].sum()))


def rows() -> list[dict[str, Any]]:
    """Return a row for each day and each set of parameters."""
    runs = {name: run_with(name) for name in PARAMETERS}
    share = flexible_share(runs["GREEN's"])
    found = []
    for number in range(2):
        green = days_of(runs["GREEN's"])[number]
        for name, run in runs.items():
            day = days_of(run)[number]
            found.append(
                {
                    "day": number + 1,
                    "parameters while YELLOW": name,
                    "flexible load %": 100 * share,
                    "YELLOW / RED": f"{day.yellow} / {day.red}",
                    "peak Wh": day.peak_wh,
                    "peak change %": 100 * day.peak_wh / green.peak_wh - 100,
                    "bill tokens": day.bill_tokens,
                    "bill change %": 100 * day.bill_tokens / green.bill_tokens - 100,
                    "tokens a kWh": 1000 * day.bill_tokens / day.net_wh,
                }
            )
    return found
