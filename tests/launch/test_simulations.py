"""Simulations that the console starts: each a process, watched, stopped, compared."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from environments.http.console.simulations import SimulationState
from launch.simulations import MOST_WAITING, LocalSimulations
from ontology.errors import InvalidInput, Refused


async def until_over(simulations: LocalSimulations, seconds: float = 120) -> SimulationState:
    async with asyncio.timeout(seconds):
        while not simulations.started()[0].state.is_over:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.05)  # noqa: TID251 - a real process
    return simulations.started()[0].state


async def until_settled(simulations: LocalSimulations, intervals: int) -> None:
    async with asyncio.timeout(120):
        while simulations.started()[0].interval < intervals:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.05)  # noqa: TID251 - a real process


def test_a_simulation_runs_to_its_end_and_is_found_with_its_report(tmp_path: Path) -> None:
    async def scenario() -> None:
        simulations = LocalSimulations(tmp_path)
        started = simulations.start("laboratory", {"seed": 5, "intervals": 2})
        assert await until_over(simulations) is SimulationState.DONE
        (run,) = simulations.runs()
        assert (run.name, run.seed, run.intervals_done, run.is_complete) == (started.run, 5, 2, True)
        assert b"<html" in simulations.report(run.name).read_bytes()
        rows = await simulations.compared([run.name])
        assert "Traded locally" in [what for what, _, _ in rows]

    asyncio.run(scenario())


@pytest.mark.slow
def test_one_that_is_stopped_leaves_a_readable_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        simulations = LocalSimulations(tmp_path)
        number = simulations.start("laboratory", {}).number
        await until_settled(simulations, 1)
        simulations.stop(number)
        assert await until_over(simulations) is SimulationState.STOPPED
        (run,) = simulations.runs()
        assert not run.is_complete
        assert 1 <= run.intervals_done < 96

    asyncio.run(scenario())


@pytest.mark.slow
def test_one_whose_process_is_killed_has_failed_and_the_next_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        simulations = LocalSimulations(tmp_path)
        simulations.start("laboratory", {})
        await until_settled(simulations, 1)
        (process,) = simulations._processes.values()
        os.kill(process.pid, signal.SIGKILL)
        assert await until_over(simulations) is SimulationState.FAILED
        simulations.start("laboratory", {"intervals": 1})
        assert await until_over(simulations) is SimulationState.DONE

    asyncio.run(scenario())


def test_names_are_looked_up_and_all_that_is_wrong_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        simulations = LocalSimulations(tmp_path / "runs")
        (tmp_path / "report.html").write_text("not a run's")
        with pytest.raises(InvalidInput, match="scenario"):
            simulations.start("../laboratory", {})
        with pytest.raises(InvalidInput, match="intervals"):
            simulations.start("laboratory", {"intervals": 0})
        with pytest.raises(InvalidInput, match="report"):
            simulations.report("..")
        with pytest.raises(InvalidInput, match="run folder"):
            await simulations.compared(["../x", "y"])

    asyncio.run(scenario())


def test_only_so_many_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        simulations = LocalSimulations(tmp_path)
        started = [simulations.start("laboratory", {"intervals": 1}) for _ in range(MOST_WAITING)]
        assert len({each.run for each in started}) == MOST_WAITING
        with pytest.raises(Refused, match="wait already"):
            simulations.start("laboratory", {})
        await simulations.close()
        assert all(each.state.is_over for each in simulations.started())

    asyncio.run(scenario())


def test_folders_that_are_no_runs_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text(json.dumps({"name": "something else"}))
    assert LocalSimulations(tmp_path).runs() == []
