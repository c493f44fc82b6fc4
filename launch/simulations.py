"""Simulations that the console starts, each a process of its own, and the run folders that they leave."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from environments.http.console.simulations import RunView, SimulationState, SimulationView
from launch.comparison import compared, compared_rows
from launch.run_folder import MANIFEST, REPORT, next_folder
from launch.scenario import load_scenario
from ontology.errors import InvalidInput, Refused, problem

__all__ = ["LocalSimulations"]

SHIPPED = Path(__file__).parent / "scenarios"
AT_ONCE = 1
MOST_WAITING = 8
MOST_REMEMBERED = 100
MOST_COMPARED = 8
PATIENCE_S = 10.0
State = SimulationState


class LocalSimulations:
    """The console's `Simulations` on this machine, one at a time so that a live community keeps its share.

    Args:
        runs: the folder of run folders.
        scenarios: the folder of scenario files.
    """

    def __init__(self, runs: Path, scenarios: Path = SHIPPED) -> None:
        self._runs = runs
        self._scenarios = scenarios
        self._views: dict[int, SimulationView] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._number = 0

    def scenarios(self) -> Sequence[str]:
        """Return the names of the scenarios that can be started."""
        return sorted(path.stem for path in self._scenarios.glob("*.yaml"))

    def started(self) -> Sequence[SimulationView]:
        """Return what was started here, the newest first."""
        return list(self._views.values())[::-1]

    def runs(self) -> Sequence[RunView]:
        """Return the run folders, by name."""
        found = (_run_view(path.parent) for path in sorted(self._runs.glob(f"*/{MANIFEST}")))
        return [view for view in found if view is not None]

    def start(self, scenario: str, settings: Mapping[str, int]) -> SimulationView:
        """Start a scenario as soon as it is its turn.

        Raises: InvalidInput with all that is wrong, Refused when too many wait already.
        """
        if scenario not in self.scenarios():
            raise InvalidInput(problem("scenario", scenario, "one of " + ", ".join(self.scenarios())))
        path = self._scenarios / f"{scenario}.yaml"
        loaded = load_scenario(path, settings)
        if sum(not view.state.is_over for view in self._views.values()) >= MOST_WAITING:
            raise Refused(f"{MOST_WAITING} simulations run or wait already")
        folder = self._reserved(loaded.name)
        self._number += 1
        view = self._views[self._number] = SimulationView(
            number=self._number,
            scenario=scenario,
            seed=settings.get("seed"),
            run=folder.name,
            state=State.WAITING,
        )
        arguments = [str(path), str(folder), *(f"{key}={value}" for key, value in settings.items())]
        self._tasks[view.number] = asyncio.create_task(self._followed(view.number, arguments))
        self._forget_old()
        return view

    def stop(self, number: int) -> SimulationView:
        """Ask a simulation to stop after its present interval.

        Raises: InvalidInput when there is none of that number.
        """
        view = self._views.get(number)
        if view is None:
            raise InvalidInput(problem("number", number, "the number of a simulation"))
        process = self._processes.get(number)
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGINT)
        elif view.state is State.WAITING:
            self._tasks[number].cancel()
            self._note(number, state=State.STOPPED)
        return self._views[number]

    def report(self, run: str) -> Path:
        """Return the report of a run.

        Raises: InvalidInput when there is none.
        """
        if not any(view.name == run and view.has_report for view in self.runs()):
            raise InvalidInput(problem("run", run, "the name of a run folder with a report"))
        return self._runs / run / REPORT

    async def compared(self, runs: Sequence[str]) -> Sequence[tuple[str, Sequence[str], str]]:
        """Return the numbers of runs side by side.

        Raises: InvalidInput when a run is not there, or was written by another version.
        """
        known = {view.name for view in self.runs()}
        wrong = [problem("run", run, "the name of a run folder") for run in runs if run not in known]
        if not 1 <= len(runs) <= MOST_COMPARED:
            wrong.append(problem("run", len(runs), f"1 to {MOST_COMPARED} runs"))
        if wrong:
            raise InvalidInput(wrong)
        folders = [self._runs / run for run in runs]
        return await asyncio.to_thread(lambda: compared_rows(compared(folders)))

    async def close(self) -> None:
        """Let no simulation outlive this: what runs stops after its interval, or is ended."""
        for number in list(self._tasks):
            self.stop(number)
        waiting = [task for task in self._tasks.values() if not task.done()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=PATIENCE_S)
            for process in self._processes.values():
                if process.returncode is None:
                    process.kill()
            await asyncio.gather(*late, return_exceptions=True)

    async def _followed(self, number: int, arguments: Sequence[str]) -> None:
        """Run a process when it is its turn, and note what it tells."""
        async with self._turn:
            process = self._processes[number] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "launch.simulation_process",
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._note(number, state=State.RUNNING)
            assert process.stdout is not None
            async for line in process.stdout:
                self._hear(number, line)
            code = await process.wait()
        self._processes.pop(number, None)
        stopped = State.STOPPED if code == 130 else State.FAILED
        self._note(number, state=State.DONE if code == 0 else stopped)

    def _hear(self, number: int, line: bytes) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            return
        if "problem" in told:
            self._note(number, says=str(told["problem"]))
        else:
            self._note(number, interval=int(told["interval"]), intervals=int(told["intervals"]))

    def _note(self, number: int, **what: Any) -> None:
        if number in self._views:
            self._views[number] = msgspec.structs.replace(self._views[number], **what)

    def _reserved(self, name: str) -> Path:
        """Return a new, empty run folder, so that two simulations never share one."""
        self._runs.mkdir(parents=True, exist_ok=True)
        folder = next_folder(self._runs, name)
        folder.mkdir()
        return folder

    def _forget_old(self) -> None:
        over = [number for number, view in self._views.items() if view.state.is_over]
        for number in over[: max(0, len(self._views) - MOST_REMEMBERED)]:
            del self._views[number]
            self._tasks.pop(number, None)


def _run_view(folder: Path) -> RunView | None:
    """Return what a manifest says of its run; None where it is none of ours."""
    try:
        told = json.loads((folder / MANIFEST).read_bytes())
        return RunView(
            name=folder.name,
            scenario=told["name"],
            seed=told["seed"],
            mode=told["mode"],
            is_complete=told["complete"],
            intervals_done=told["intervals_done"],
            intervals=told["intervals"],
            letters=told["letters"],
            has_report=(folder / REPORT).is_file(),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
