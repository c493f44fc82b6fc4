"""A small community's results, made up, for tests of what is written about them."""

import numpy as np

from launch.run_folder import RunResult, RunTables
from launch.scenario import Scenario, parse_scenario, span_s

MINIMAL = "start: 2024-05-02\nzone: Europe/Berlin\n"


def small_scenario(more: str = "") -> Scenario:
    """Two sites and eight intervals from noon."""
    text = "name: small\nstart: 2024-05-02T12:00\nzone: Europe/Berlin\nintervals: 8\n"
    return parse_scenario(text + "sites: [{id: h001, pv: {kwp: 5}}, {id: h002}]\n" + more, environment={})


def made_up_tables(scenario: Scenario, sites: int = 2) -> RunTables:
    """One site sells what the others buy."""
    start_s, end_s = span_s(scenario)
    starts = np.arange(start_s, end_s, 900)
    names = [f"h{number:03d}" for number in range(1, sites + 1)]
    consumed, produced = 100 * (sites - 1), 400
    traded = min(consumed, produced)
    seller = [name == "h001" for name in names for _ in starts]
    each = {"start_s": np.tile(starts, sites), "segment": ["feeder-1"] * len(seller)}
    power = np.where(seller, -1600.0, 400.0)
    count = len(starts)
    market = {
        "start_s": starts,
        "segment": ["feeder-1"] * count,
        "consumed_wh": [consumed] * count,
        "produced_wh": [produced] * count,
        "traded_wh": [traded] * count,
        "buy_ticks_per_kwh": [1400.0] * count,
        "sell_ticks_per_kwh": [687.5] * count,
        "grid_state": ["GREEN"] * (count - 3) + ["YELLOW"] * 2 + ["RED"],
        "lem_state": ["SOLVED"] * count,
        "players": [sites] * count,
        "estimated": [0] * (count - 1) + [1],
    }
    grid = {
        "start_s": starts,
        "segment": ["feeder-1"] * count,
        "grid_state": market["grid_state"],
        "loading": np.linspace(0.1, 1.1, count),
        "transformer_w": [-1200.0] * count,
        "losses_w": [20.0] * count,
        "voltage_min_pu": [0.99] * count,
        "voltage_max_pu": [1.02] * count,
        "outdoor_degc": [15.0] * count,
    }
    settlement = {
        "start_s": np.repeat(starts, sites),
        "account": [f"0x{name}" for _ in starts for name in names],
        "tokens": [(sites - 1) if name == "h001" else -1 for _ in starts for name in names],
    }
    table = {
        **each,
        "site": [name for name in names for _ in starts],
        "consumed_wh": np.where(seller, 0, 100),
        "produced_wh": np.where(seller, 400, 0),
        "base_w": np.full(len(seller), 400.0),
        "pv_w": np.where(seller, power - 400.0, np.nan),
        "bess_soc": np.where(seller, 0.5, np.nan),
    }
    return RunTables(sites=table, market=market, grid=grid, settlement=settlement)


def made_up_result(sites: int = 2, complete: bool = True) -> RunResult:
    """A result of the small scenario."""
    scenario = small_scenario()
    return RunResult(
        scenario=scenario,
        tables=made_up_tables(scenario, sites),
        mode="offline",
        complete=complete,
        letters=1234,
        wall_s=0.5,
        accounts={f"0xh{number:03d}": f"h{number:03d}" for number in range(1, sites + 1)},
    )
