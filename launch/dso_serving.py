"""The grid operator's systems of a scenario by themselves: its world without agents, on real sockets."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from behaviours.ports import Clock
from environments.simulation.clock import ScaledClock, WallClock
from environments.simulation.dso_systems import DsoSystems
from environments.simulation.world import World
from launch.dso_systems import systems_of
from launch.rules import span_s
from launch.scenario import Scenario, load_scenario
from launch.world_settings import world_settings
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, problem

__all__ = ["serve", "serving_scenario"]

Ready = Callable[[DsoSystems], None]


def serving_scenario(
    path: Path, given: dict[str, object], *, real_time: bool, now_s: float | None = None
) -> Scenario:
    """Read a scenario whose systems are to be served; transformers are metered where it does not say what is.

    Args:
        path: the scenario's.
        given: keys by dotted path, over those of the file.
        real_time: whether it is to start in the present quarter of an hour.
        now_s: the present, by default the machine's.

    Raises: InvalidInput with all that is wrong.
    """
    if real_time:
        now_s = WallClock().now_s() if now_s is None else now_s
        start = datetime.fromtimestamp(now_s // INTERVAL_S * INTERVAL_S, UTC)
        given = {"start": start.isoformat()} | given
    scenario = load_scenario(path, given)
    if scenario.grid.monitoring is None:
        scenario = load_scenario(path, given | {"grid.monitoring": {"transformer": True}})
    if scenario.grid.systems is None:
        raise InvalidInput(problem("grid.systems", "missing", "given, or --listen or --broker"))
    return scenario


class Serving:
    """A world that goes on by itself, at a speed or with the machine's clock, behind its DSO's systems."""

    def __init__(self, scenario: Scenario, *, speed: float = 1.0, real_time: bool = False) -> None:
        """Prepare to serve a scenario's systems; `speed` is how many of its seconds pass in one."""
        self.world = World(world_settings(scenario))
        self._end_s, self._tick_s = span_s(scenario)[1], 1 if real_time else max(1, round(speed))
        self._scaled = (
            None if real_time else ScaledClock(self.world.now_s, real_seconds_an_interval=INTERVAL_S / speed)
        )
        self._clock: Clock = self._scaled or WallClock()
        systems = systems_of(scenario, self.world, self._clock)
        assert systems is not None, "the scenario has systems"
        self.systems = systems

    async def run(self, ready: Ready) -> None:
        """Serve to the end of the scenario.

        Raises: Unavailable when an address is taken or a broker is not there.
        """
        await self.systems.start()
        try:
            self._catch_up()
            await self.systems.tell()
            ready(self.systems)
            while self.world.now_s < self._end_s:
                await self._step()
        finally:
            await self.systems.close()

    def _catch_up(self) -> None:
        """Let the world come to the present at once, where it goes with the machine's clock."""
        step_s = self.world.settings.step_s
        while self._scaled is None and self.world.now_s + step_s <= self._clock.now_s():
            self.world.step()

    async def _step(self) -> None:
        """Let a step of the world pass; units tell what they do at each tick."""
        end_s = self.world.now_s + self.world.settings.step_s
        now_s = max(self.world.now_s, int(self._clock.now_s()))
        while now_s < end_s:
            now_s = min(end_s, now_s + self._tick_s)
            await self._pass(now_s)
            if now_s == end_s:
                self.world.step()
            await self.systems.tell()

    async def _pass(self, when_s: float) -> None:
        if self._scaled is not None:
            await self._scaled.advance_to(when_s)
        else:
            await self._clock.sleep_until(when_s)


async def serve(scenario: Scenario, ready: Ready, *, speed: float = 1.0, real_time: bool = False) -> None:
    """Serve a scenario's systems to its end, or until cancelled.

    Raises: Unavailable when an address is taken or a broker is not there.
    """
    await Serving(scenario, speed=speed, real_time=real_time).run(ready)
