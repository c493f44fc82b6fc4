"""What the scenarios page needs: scenarios that can be started, what runs, and runs that are there."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

__all__ = ["RunView", "SimulationState", "SimulationView", "Simulations"]


class SimulationState(StrEnum):
    """How far a simulation is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self not in (SimulationState.WAITING, SimulationState.RUNNING)


class SimulationView(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation that was started here; `interval` of `intervals` are settled."""

    number: int
    scenario: str
    seed: int | None
    run: str
    """Name of its run folder."""
    state: SimulationState
    interval: int = 0
    intervals: int = 0
    says: str = ""
    """Why it failed."""


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder."""

    name: str
    scenario: str
    seed: int
    mode: str
    is_complete: bool
    intervals_done: int
    intervals: int
    letters: int
    has_report: bool


class Simulations(Protocol):
    """Starts simulations and finds what came of them; names are looked up, never taken as paths."""

    def scenarios(self) -> Sequence[str]:
        """Return the names of the scenarios that can be started."""

    def started(self) -> Sequence[SimulationView]:
        """Return what was started here, the newest first."""

    def runs(self) -> Sequence[RunView]:
        """Return the run folders, by name."""

    def start(self, scenario: str, settings: Mapping[str, int]) -> SimulationView:
        """Start a scenario, with another `seed` or number of `intervals` where they are given.

        Raises: InvalidInput with all that is wrong, Refused when too many wait already.
        """

    def stop(self, number: int) -> SimulationView:
        """Ask a simulation to stop after its present interval; its folder stays readable.

        Raises: InvalidInput when there is none of that number.
        """

    def report(self, run: str) -> Path:
        """Return the report of a run.

        Raises: InvalidInput when there is none.
        """

    async def compared(self, runs: Sequence[str]) -> Sequence[tuple[str, Sequence[str], str]]:
        """Return the numbers of runs side by side: what, a value a run, an explanation.

        Raises: InvalidInput when a run is not there, or was written by another version.
        """
