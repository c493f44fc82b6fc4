"""A whole community as one Mesa model: what researchers sweep, and testers run in seconds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mesa
import msgspec
import numpy as np

from environments.simulation.world import World
from launch.community import Community
from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.scenario import Scenario, intervals_of, load_scenario, parse_scenario, scenario_of
from launch.tables import RunTables
from ontology.base import INTERVAL_S

__all__ = ["CommunityModel"]

WH_PER_KWH = 1_000
DEFAULT = """
start: 2024-05-02
zone: Europe/Berlin
population: {sites: 10}
"""


class CommunityModel(mesa.Model):  # type: ignore[misc]
    """A community in virtual time, one market interval a step; deterministic for a scenario and a seed.

    Works under `mesa.batch_run`: nested keys of the scenario are given with two underscores.

    ```python
    model = CommunityModel(population__sites=20, intervals=8, seed=7).run()
    model.tables().settlement
    mesa.batch_run(CommunityModel, {"seed": range(5), "population__shares__pv": [0.2, 0.8]})
    ```
    """

    def __init__(
        self, scenario: Scenario | str | Path | None = None, seed: int | None = None, **settings: Any
    ) -> None:
        """Prepare a run.

        Args:
            scenario: a scenario, or the path of one; without it ten sites on a day in May.
            seed: instead of the scenario's.
            settings: keys of the scenario to change, `grid__transformer_kva=100`.

        Raises: InvalidInput with all problems of the scenario at once.
        """
        self.scenario = _scenario(scenario, seed, settings)
        super().__init__(seed=self.scenario.seed % 2**32)
        self._run = OfflineCommunity(self.scenario)
        self.intervals = intervals_of(self.scenario)
        self.intervals_done = 0
        self.datacollector = mesa.DataCollector(model_reporters=dict(REPORTERS))

    @property
    def world(self) -> World:
        """The physical world: sites, vehicles, batteries, buildings, weather and feeders."""
        return self._run.world

    @property
    def community(self) -> Community:
        """The software agents, by address."""
        return self._run.community

    @property
    def now_s(self) -> int:
        """The world's time in epoch seconds."""
        return self.world.now_s

    def step(self) -> None:
        """Run one market interval."""
        if self.intervals_done == self.intervals:
            self.running = False
            return
        self._run.step()
        self.intervals_done += 1
        self.datacollector.collect(self)
        if self.intervals_done == self.intervals:
            self._run.settle()
            self._run.close()
            self.running = False

    def run(self) -> "CommunityModel":
        """Run to the end of the scenario, and return the model."""
        while self.running:
            self.step()
        return self

    def tables(self) -> RunTables:
        """Return the tables of what has happened so far; the last interval settles with the last step."""
        return completed(run_tables(self.community)).checked()

    def at(self, time_s: float, act: Callable[..., object], *arguments: Any) -> None:
        """Let something happen at a moment of the run (epoch seconds), such as `kill` within an interval."""
        self._run.loop.call_at(time_s, act, *arguments)

    def kill(self, address: str) -> None:
        """Let an agent die at once."""
        self.community.kill(address)

    def restart(self, address: str) -> None:
        """Bring a dead agent back when the loop next runs."""
        self._run.loop.call_soon(self.community.restart, address)


def _imported_kwh(model: CommunityModel) -> float:
    """Return what the community took from outside in the last interval."""
    energy = model.world.last_interval
    return max(0.0, float((energy.consumed_wh - energy.produced_wh).sum())) / WH_PER_KWH if energy else 0.0


def _exported_kwh(model: CommunityModel) -> float:
    energy = model.world.last_interval
    return max(0.0, float((energy.produced_wh - energy.consumed_wh).sum())) / WH_PER_KWH if energy else 0.0


def _traded_kwh(model: CommunityModel) -> float:
    """Return what sites took from each other in the last interval."""
    energy = model.world.last_interval
    if energy is None:
        return 0.0
    return float(min(energy.consumed_wh.sum(), energy.produced_wh.sum())) / WH_PER_KWH


def _loading(model: CommunityModel) -> float:
    return max((float(np.max(flow.loading)) for flow in model.world.flows or ()), default=0.0)


REPORTERS: Mapping[str, Any] = {
    "start_s": lambda model: model.now_s - INTERVAL_S,
    "imported_kwh": _imported_kwh,
    "exported_kwh": _exported_kwh,
    "traded_kwh": _traded_kwh,
    "loading": _loading,
    "grid_state": lambda model: model.community.light(),
    "letters": lambda model: model.community.letters,
}


def _scenario(given: Scenario | str | Path | None, seed: int | None, settings: Mapping[str, Any]) -> Scenario:
    overrides = {name.replace("__", "."): value for name, value in settings.items()}
    if seed is not None:
        overrides["seed"] = int(seed)
    if given is None:
        return parse_scenario(DEFAULT, overrides)
    if isinstance(given, Scenario):
        return with_overrides(given, overrides)
    return load_scenario(given, overrides)


def _given(values: Any) -> Any:
    """Return what a scenario says, without texts that stand for nothing."""
    if isinstance(values, dict):
        return {key: _given(value) for key, value in values.items() if value != ""}
    return [_given(value) for value in values] if isinstance(values, list | tuple) else values


def with_overrides(scenario: Scenario, overrides: Mapping[str, Any]) -> Scenario:
    """Return a scenario with some keys changed.

    Raises: InvalidInput with all problems at once.
    """
    if not overrides:
        return scenario
    values = _given(msgspec.to_builtins(scenario))
    for path, value in overrides.items():
        *sections, key = path.split(".")
        section: dict[str, Any] = values
        for name in sections:
            if section.get(name) is None:
                section[name] = {}
            section = section[name]
        section[key] = value
    return scenario_of(values)
