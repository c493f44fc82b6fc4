"""A community in virtual time."""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path

from behaviours.ports import (
    Clock,
    FlexibilityExchange,
    Recorder,
)
from environments.repository.agent_store import MemoryAgentStore
from environments.repository.memory import MemoryRepository
from environments.repository.store import SqlRepository
from environments.simulation.clock import VirtualClock
from environments.simulation.loop import VirtualLoop
from environments.simulation.transport import Faults, InProcessTransport
from environments.simulation.world import World
from launch.agreements import retention_s
from launch.cast import cast_community
from launch.community import Community, Ground, attestors_of, open_ledger
from launch.dso_systems import reaches_outside
from launch.registers import registers_of
from launch.scenario import Scenario
from launch.uftp import exchanges_of
from launch.user_registry import registry_of
from launch.world_settings import world_settings
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, problem

__all__ = ["OfflineCommunity"]

Exchanges = Callable[[Clock], Mapping[str, FlexibilityExchange]]

MANY_AGENTS = 500
"""From here on it pays to look through all memory for what an earlier run left."""

SETTLING_S = 300
"""How long into the interval after the last one agents run on, so that the last one is settled."""


class OfflineCommunity:
    """A community in virtual time: deterministic, as fast as its work."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        recorder: Recorder | None = None,
        exchanges: Exchanges | None = None,
        chain: Path | None = None,
    ) -> None:
        """Prepare a run; nothing happens before the first `step`.

        Args:
            scenario: what to run.
            recorder: takes the letters.
            exchanges: makes those with participants outside on the run's clock, by their domains.
            chain: file of the embedded chain, where the scenario names none; None keeps it in memory.

        Raises: InvalidInput when the scenario trades outside and there are no exchanges, or it asks
            systems of the DSO outside.
        """
        if scenario.weather.providers:
            expected = "a live run: providers of weather keep no virtual time"
            raise InvalidInput(problem("weather.providers", "given", expected))
        if reaches_outside(scenario):
            raise InvalidInput(problem("grid", "systems outside", "a live run: they keep no virtual time"))
        if scenario.flexibility_market.uftp is not None and exchanges is None:
            raise InvalidInput(
                problem("flexibility_market.uftp", "given", "a live run: nobody outside keeps virtual time")
            )
        self.world = World(world_settings(scenario))
        start_s = self.world.settings.start_s
        self.loop = VirtualLoop(start_s)
        self.clock = VirtualClock(self.loop)
        self.transport = InProcessTransport(faults=_faults(scenario), seed=scenario.seed)
        cast = cast_community(scenario, self.world)
        self.ledger = open_ledger(scenario, cast, chain)
        self.registry = registry_of(scenario.registry.folder)
        self.repository = _repository(scenario)
        ground = Ground(
            clock=self.clock,
            transport=self.transport,
            store=MemoryAgentStore(),
            repository=self.repository,
            registry=self.registry,
            ledger=self.ledger,
            attestors=attestors_of(scenario, cast, self.ledger),
            registers=registers_of(scenario, cast.parts, self.ledger),
            service_levels=self.ledger.service_levels() if scenario.agreements else None,
            recorder=recorder,
            exchanges=exchanges_of(cast.parts, exchanges(self.clock)) if exchanges else {},
        )
        self.community = Community(scenario, self.world, ground, cast)
        self.loop.call_soon(self.community.start)
        self._settled_in = False

    def step(self) -> None:
        """Run one market interval: the agents up to its end, then the world, step by step."""
        end_s = self.world.now_s + INTERVAL_S
        while self.world.now_s < end_s:
            self.clock.advance_to(self.world.now_s + self.world.settings.step_s)
            self.world.step()
        if not self._settled_in:
            self._settled_in = True
            gc.collect(2 if len(self.community.agents) > MANY_AGENTS else 1)
            gc.freeze()  # thousands of agents live as long as the run: looking through them is in vain

    def settle(self) -> None:
        """Let the agents deal with the last interval."""
        self.clock.advance_to(self.world.now_s + SETTLING_S)

    def close(self) -> None:
        """Let go of the loop, and of what the run held for good; the ledger can be asked on."""
        self.loop.close()
        if self.registry is not None:
            self.registry.close()
        if isinstance(self.repository, SqlRepository):
            self.repository.close()
        gc.unfreeze()


def _repository(scenario: Scenario) -> MemoryRepository | SqlRepository:
    kept = scenario.repository
    return SqlRepository(kept.url, kept.market) if kept.url else MemoryRepository(retention_s(scenario))


def _faults(scenario: Scenario) -> Faults | None:
    faults = scenario.faults
    if not faults.delay_s and not faults.loss:
        return None
    return Faults(delay_max_s=2 * faults.delay_s, loss=faults.loss)
