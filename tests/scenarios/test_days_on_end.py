"""Days on end over XMPP without a hand (SPEC 8): all is settled, nothing estimated, memory holds."""

import asyncio
import os
from collections.abc import Mapping

import psutil
import pytest
from scenario_helpers import LABORATORY, entries_by_start

from launch.live import LiveCommunity
from launch.results import run_tables
from launch.scenario import load_scenario
from launch.tables import RunTables

A_DAY = 96
MEGABYTE = 1 << 20


def memory_mb() -> float:
    """Return what this process and its children, the server among them, hold in main memory."""
    own = psutil.Process(os.getpid())
    return sum(each.memory_info().rss for each in [own, *own.children(recursive=True)]) / MEGABYTE


async def lived(days: int) -> tuple[RunTables, Mapping[str, int], list[float], int]:
    """Let the laboratory live for some days; return its tables, counts and the memory after each day."""
    scenario = load_scenario(LABORATORY, {"days": days, "record": False})
    held_mb: list[float] = []
    async with LiveCommunity(scenario) as run:
        for _ in range(days):
            for _ in range(A_DAY):
                await run.step()
            held_mb.append(memory_mb())
            print(f"day {len(held_mb)}: {held_mb[-1]:.0f} MB")
        await run.settle()
        return (await run_tables(run.community)).checked(), run.community.counts(), held_mb, run.clock.missed


@pytest.mark.parametrize(
    "days", [pytest.param(2, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.soak)]
)
def test_days_pass_live_without_a_hand(days):
    tables, counts, held_mb, missed = asyncio.run(lived(days))
    assert missed == 0
    starts = [int(each) for each in tables.market["start_s"]]
    assert starts == list(range(starts[0], starts[0] + days * A_DAY * 900, 900))
    assert set(tables.market["lem_state"]) == {"SOLVED"}
    assert sum(tables.market["estimated"]) == 0
    entries = entries_by_start(tables)
    assert sorted(entries) == starts
    assert all(sum(changes.values()) == 0 for changes in entries.values())
    assert not {name for name in ("errors", "settlements failed", "markets disputed") if counts.get(name)}
    growth_mb = (held_mb[-1] - held_mb[0]) / (days - 1)
    assert growth_mb < 20
