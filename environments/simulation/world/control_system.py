"""The DSO's control system (SCADA) in the simulated world: it tells what has happened to the networks."""

from collections.abc import Sequence

from environments.simulation.world.feeder import Feeders
from ontology.network_events import NetworkEvent

__all__ = ["ControlSystem"]


class ControlSystem:
    """Tells of events as soon as they have happened."""

    def __init__(self, grid: Feeders) -> None:
        self._grid = grid

    async def events(self, until_s: int) -> Sequence[NetworkEvent]:
        """Return all that has happened up to a time."""
        return [each for each in self._grid.events if each.time_s <= until_s]
