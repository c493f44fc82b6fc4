"""The D-STATCOM's agent: reports its state and balances its feeder as the DSO asks (D8.1 3.10)."""

import msgspec

from behaviours.behaviour import Behaviour, every, on, when
from ontology.base import INTERVAL_S
from ontology.control import Instruction
from ontology.discourse import Acknowledgement
from ontology.errors import Refused, Unavailable
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomStatus
from ontology.letter import Letter

__all__ = ["Compensating", "DstatcomSettings", "StatusReporting"]


class DstatcomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the unit reports to, and what it does until told otherwise."""

    dso: str
    initial_mode: DstatcomMode = DstatcomMode.BALANCE


class StatusReporting(Behaviour):
    """Reports what the units did in the interval that has just ended."""

    settings: DstatcomSettings

    @every(minutes=15, offset_s=15)
    async def report(self) -> None:
        """Tell the DSO the state of each unit."""
        for device in self.agent.surroundings.devices:
            try:
                percepts = await device.percepts()
            except Unavailable:
                self.agent.counts["devices unavailable"] += 1
                continue
            for status in percepts:
                if isinstance(status, DstatcomStatus):
                    self.tell(self.settings.dso, status)


class Compensating(Behaviour):
    """Puts the DSO's commands into effect."""

    settings: DstatcomSettings

    @when("started")
    async def begin(self) -> None:
        """Do what the unit does until it is told otherwise."""
        for device in self.agent.surroundings.devices:
            await self._set_mode(device.name, self.settings.initial_mode)

    @on(DstatcomCommand)
    async def obey(self, command: DstatcomCommand, letter: Letter) -> Acknowledgement:
        """Switch a unit's mode.

        Raises: Refused when the command is not the DSO's.
        """
        if letter.sender != self.settings.dso:
            raise Refused("only the DSO commands a D-STATCOM")
        await self._set_mode(command.asset_id, command.mode)
        return Acknowledgement(of=letter.message_id)

    async def _set_mode(self, name: str, mode: DstatcomMode) -> None:
        for device in self.agent.surroundings.devices:
            if device.name == name:
                instruction = Instruction(
                    instruction_id=f"{name}-{self.now_s()}",
                    asset_id=name,
                    execution_time_s=self.now_s(),
                    valid_until_s=self.now_s() + 365 * 96 * INTERVAL_S,
                    mode=mode.value,
                )
                await device.instruct(instruction)
