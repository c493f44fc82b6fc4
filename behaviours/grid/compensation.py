"""The D-STATCOM's agent: runs four-leg units as the DSO commands and reports their state (D8.1 3.10)."""

from dataclasses import dataclass

from behaviours.behaviour import Behaviour, every, on
from behaviours.ports import PhaseCompensator
from ontology.discourse import Acknowledgement
from ontology.errors import Refused, Unavailable
from ontology.grid import DstatcomCommand, DstatcomStatus
from ontology.letter import Letter

__all__ = ["Compensating", "DstatcomSettings", "StatusReporting"]


@dataclass(frozen=True, kw_only=True)
class DstatcomSettings:
    """Who commands the units, and the units."""

    dso: str
    units: tuple[PhaseCompensator, ...]


class Compensating(Behaviour):
    """Puts the DSO's commands into effect."""

    settings: DstatcomSettings

    @on(DstatcomCommand)
    def obey(self, command: DstatcomCommand, letter: Letter) -> Acknowledgement:
        """Command a unit.

        Raises: Refused when the command is not the DSO's or names no unit here.
        """
        if letter.sender != self.settings.dso:
            raise Refused("only the DSO commands a D-STATCOM")
        unit = next((u for u in self.settings.units if u.asset_id == command.asset_id), None)
        if unit is None:
            raise Refused(f"there is no unit {command.asset_id} here")
        unit.command(command)
        return Acknowledgement(of=letter.message_id)


class StatusReporting(Behaviour):
    """Reports what the units did in the interval that has just ended."""

    settings: DstatcomSettings

    @every(minutes=15, offset_s=15)
    async def report(self) -> None:
        """Tell the DSO the state of each unit."""
        for unit in self.settings.units:
            try:
                percepts = await unit.percepts()
            except Unavailable:
                self.agent.counts["devices unavailable"] += 1
                continue
            for status in percepts:
                if isinstance(status, DstatcomStatus):
                    self.tell(self.settings.dso, status)
