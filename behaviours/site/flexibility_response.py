"""The flexibility-response engine: what the aggregator and the site's plan order of a battery (SPEC 4.7)."""

from behaviours.behaviour import Behaviour, on
from behaviours.site.battery_settings import BatterySettings
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
)
from ontology.errors import Refused
from ontology.letter import Letter

__all__ = ["FlexibilityResponse"]


class FlexibilityResponse(Behaviour):
    """Takes the prosumer's set-points for a battery that shaves peaks, to be followed inside its corridor."""

    settings: BatterySettings

    def setup(self) -> None:
        """Nothing has been ordered."""
        self._orders: list[Instruction] = []

    @on(InstructionBatch)
    def take(self, batch: InstructionBatch, letter: Letter) -> InstructionBatchStatus:
        """Take set-points; the newest of the highest priority holds while it is valid.

        Raises: Refused for anybody but the site's prosumer.
        """
        if letter.sender != self.settings.contacts.prosumer:
            raise Refused("a battery takes orders from its own site only")
        statuses = [self._take(each) for each in batch.instructions]
        return InstructionBatchStatus(site=self.settings.site, statuses=statuses)

    def order(self, time_s: int) -> Instruction | None:
        """Return what is ordered at a time, if anything is."""
        self._orders = [each for each in self._orders if each.valid_until_s > time_s]
        valid = [each for each in self._orders if each.execution_time_s <= time_s]
        return max(reversed(valid), key=lambda each: each.priority, default=None)

    def _take(self, told: Instruction) -> InstructionStatus:
        now_s = self.now_s()
        taken = told.asset_id == self.settings.model.asset_id and told.setpoint_w is not None
        if taken and told.valid_until_s > now_s:
            same = [each for each in self._orders if each.priority == told.priority]
            for each in same:
                self._orders.remove(each)
            self._orders.append(told)
        state = InstructionState.ACCEPTED if taken else InstructionState.REJECTED
        return InstructionStatus(instruction_id=told.instruction_id, status=state, time_s=now_s)
