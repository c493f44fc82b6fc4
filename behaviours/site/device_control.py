"""Steering a site's devices: the only way down, from the prosumer through the gateway (SPEC 9.3)."""

from behaviours.behaviour import Behaviour, on
from behaviours.ports import Device
from behaviours.site.metering import GatewaySettings
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
)
from ontology.errors import Unavailable
from ontology.letter import Letter

__all__ = ["DeviceControl"]

UNLIMITED_W = 10**7
"""No device at a site draws or gives more."""
_CURTAILED = "pv"
"""The device whose manager hears what it was told: a curtailed plant must not be taken for a faulty one."""


class DeviceControl(Behaviour):
    """Puts instructions into effect unless one of higher priority still holds."""

    settings: GatewaySettings

    def setup(self) -> None:
        """Know the devices by name; nothing holds yet."""
        self._devices: dict[str, Device] = {device.name: device for device in self.agent.surroundings.devices}
        self._in_force: dict[str, tuple[Priority, int]] = {}

    @on(InstructionBatch)
    async def carry_out(self, batch: InstructionBatch, letter: Letter) -> InstructionBatchStatus | None:
        """Instruct each device and report what became of each instruction."""
        statuses = [
            self._status(each, InstructionState.REJECTED)
            if each.asset_id in self.settings.of_dso
            else await self.instruct(each)
            for each in batch.instructions
        ]
        return InstructionBatchStatus(site=self.settings.site, statuses=statuses)

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Instruct a device, unless an instruction of higher priority still holds."""
        device = self._devices.get(instruction.asset_id.removeprefix(f"{self.settings.site}-"))
        if device is None or self._is_outranked(instruction):
            return self._status(instruction, InstructionState.REJECTED)
        try:
            status = await device.instruct(instruction)
        except Unavailable:
            self.agent.counts["devices unavailable"] += 1
            return self._status(instruction, InstructionState.ABORTED)
        if device.name == _CURTAILED and self.settings.contacts.pv:
            self.tell(self.settings.contacts.pv, instruction)
        self._in_force[instruction.asset_id] = (instruction.priority, instruction.valid_until_s)
        return status

    async def release(self, instruction: Instruction) -> InstructionStatus:
        """Give a device back to itself: what it was told by an instruction does not hold any more."""
        held, _ = self._in_force.get(instruction.asset_id, (Priority.LOCAL_OPT, 0))
        if held > instruction.priority:
            return self._status(instruction, InstructionState.REJECTED)
        self._in_force.pop(instruction.asset_id, None)
        now_s = self.now_s()
        is_limit = instruction.setpoint_w is None
        freed = Instruction(
            instruction_id=instruction.instruction_id,
            asset_id=instruction.asset_id,
            execution_time_s=now_s,
            valid_until_s=now_s + 1,
            mode="auto",
            power_max_w=UNLIMITED_W if is_limit else None,
            priority=instruction.priority,
            reason=instruction.reason,
        )
        device = self._devices.get(instruction.asset_id.removeprefix(f"{self.settings.site}-"))
        if device is None:
            return self._status(instruction, InstructionState.REJECTED)
        try:
            await device.instruct(freed)
        except Unavailable:
            self.agent.counts["devices unavailable"] += 1
            return self._status(instruction, InstructionState.ABORTED)
        return self._status(instruction, InstructionState.REVOKED)

    def _is_outranked(self, instruction: Instruction) -> bool:
        priority, until_s = self._in_force.get(instruction.asset_id, (Priority.LOCAL_OPT, 0))
        return priority > instruction.priority and until_s > instruction.execution_time_s

    def _status(self, instruction: Instruction, status: InstructionState) -> InstructionStatus:
        return InstructionStatus(
            instruction_id=instruction.instruction_id, status=status, time_s=self.now_s()
        )
