"""What end-to-end tests share: the laboratory, live runs, and questions to the tables of a run."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from launch.live import LiveCommunity
from launch.model import CommunityModel
from launch.results import completed, run_tables
from launch.scenario import Scenario, load_scenario
from launch.tables import TABLES, RunTables

SCENARIOS = Path(__file__).parents[2] / "launch" / "scenarios"
LABORATORY = SCENARIOS / "laboratory.yaml"
MORNING = "2024-05-02T10:00"
MORNING_S = 1_714_636_800
"""Ten o'clock in Berlin, when the laboratory's plants produce."""


def laboratory(**overrides: Any) -> Scenario:
    """Return D8.1's laboratory from ten o'clock on."""
    return load_scenario(LABORATORY, {"start": MORNING, "record": False, **overrides})


class Deaths:
    """Who dies, and who comes back, before which interval of a run (counted from 0)."""

    def __init__(self, kill: Mapping[int, str], restart: Mapping[int, str] | None = None) -> None:
        self.kill = kill
        self.restart = restart or {}


def offline(scenario: Scenario, deaths: Deaths) -> CommunityModel:
    """Run a community in virtual time in which agents die and come back."""
    model = CommunityModel(scenario)
    for interval in range(model.intervals):
        if name := deaths.kill.get(interval):
            model.kill(f"{name}@localhost")
        if name := deaths.restart.get(interval):
            model.restart(f"{name}@localhost")
        model.step()
    return model


def live(scenario: Scenario, deaths: Deaths) -> tuple[RunTables, Mapping[str, int]]:
    """Run a community over XMPP in which agents die and come back; return its tables and counts."""
    return asyncio.run(_live(scenario, deaths))


async def _live(scenario: Scenario, deaths: Deaths) -> tuple[RunTables, Mapping[str, int]]:
    async with LiveCommunity(scenario) as run:
        for interval in range(scenario.intervals or 96):
            if name := deaths.kill.get(interval):
                run.kill(f"{name}@localhost")
            if name := deaths.restart.get(interval):
                await run.restart(f"{name}@localhost")
            await run.step()
        await run.settle()
        assert run.clock.missed == 0
        return (await run_tables(run.community)).checked(), run.community.counts()


def assert_same_tables(one: RunTables, other: RunTables) -> None:
    """Every cell of every table is the same."""
    for table in TABLES:
        for name, values in getattr(one, table).items():
            np.testing.assert_array_equal(values, getattr(other, table)[name], err_msg=f"{table}.{name}")


def entries_by_start(tables: RunTables) -> dict[int, dict[str, int]]:
    """Return each settlement's token changes by account; no account stands twice in one."""
    entries: defaultdict[int, dict[str, int]] = defaultdict(dict)
    columns = tables.settlement
    for start_s, account, tokens in zip(
        columns["start_s"], columns["account"], columns["tokens"], strict=True
    ):
        assert account not in entries[int(start_s)]
        entries[int(start_s)][account] = int(tokens)
    return dict(entries)


def settled_intervals(tables: RunTables, first_s: int = MORNING_S) -> list[int]:
    """Return which intervals the ledger holds a settlement of, counted from the first."""
    return sorted((start_s - first_s) // 900 for start_s in entries_by_start(tables))


def cleared_intervals(tables: RunTables, first_s: int = MORNING_S) -> list[int]:
    """Return the intervals of the markets that were cleared, one cleared twice stands twice."""
    return [(int(start_s) - first_s) // 900 for start_s in tables.market["start_s"]]


def estimated_intervals(tables: RunTables, site: str, first_s: int = MORNING_S) -> list[int]:
    """Return the intervals that were settled with an estimate of a site's reading."""
    sites = tables.sites
    rows = (sites["site"] == site) & sites["estimated"]
    return [(int(start_s) - first_s) // 900 for start_s in sites["start_s"][rows]]


def balances(model: CommunityModel) -> dict[str, int]:
    """Return the tokens of every account, by the name that a reader knows."""
    accounts = model.community.cast.accounts
    held = completed(model.community.ground.ledger.balances(list(accounts)))
    return {accounts[account]: tokens for account, tokens in held.items()}
