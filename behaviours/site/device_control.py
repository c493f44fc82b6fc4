"""Steering a site's devices: the only way down, from the prosumer through the gateway (SPEC 9.3)."""

import msgspec

from behaviours.behaviour import Behaviour, on
from behaviours.ports import Device
from behaviours.site.metering import GatewaySettings
from ontology.control import (
    OVERRIDE_S,
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
    UserOverride,
)
from ontology.errors import Refused, Unavailable
from ontology.letter import Letter
from ontology.roles import Role

__all__ = ["DeviceControl"]

UNLIMITED_W = 10**7
"""No device at a site draws or gives more."""
_CURTAILED = "pv"
"""The device whose manager hears what it was told: a curtailed plant must not be taken for a faulty one."""
_HEATED = ("heat_pump", "dhw", "lighting")
"""Devices whose manager hears of a person's will, and plans with it."""
_ENDED = (InstructionState.REJECTED, InstructionState.ABORTED)


class DeviceControl(Behaviour):
    """Puts instructions into effect unless one of higher priority still holds."""

    settings: GatewaySettings

    def setup(self) -> None:
        """Know the devices by name; nothing holds yet."""
        self._devices: dict[str, Device] = {device.name: device for device in self.agent.surroundings.devices}
        self._in_force: dict[str, tuple[Priority, int]] = {}

    @on(InstructionBatch)
    async def carry_out(self, batch: InstructionBatch, letter: Letter) -> InstructionBatchStatus | None:
        """Instruct each device and report what became of each instruction.

        A person's word holds for two hours at most and is above the site's plan, below contracts and the
        grid; the plan is made anew with it.

        Raises: Refused for everybody who is not of this site.
        """
        member = self.agent.surroundings.membership[letter.sender]
        if member.site != self.settings.site or batch.site != self.settings.site:
            self.agent.counts["instructions from strangers"] += 1
            raise Refused("only the agents and people of a site steer its devices")
        by_user = member.role is Role.UI
        told = [self._as_user(each) for each in batch.instructions] if by_user else batch.instructions
        statuses = [await self._answered(each) for each in told]
        if by_user:
            for instruction, status in zip(told, statuses, strict=True):
                if status.status not in _ENDED:
                    self._tell_will(instruction)
        return InstructionBatchStatus(site=self.settings.site, statuses=statuses)

    def _as_user(self, instruction: Instruction) -> Instruction:
        """Return an instruction with the priority and the time that a person's word has."""
        latest_s = max(instruction.execution_time_s, self.now_s()) + OVERRIDE_S
        return msgspec.structs.replace(
            instruction, priority=Priority.USER, valid_until_s=min(instruction.valid_until_s, latest_s)
        )

    def _tell_will(self, instruction: Instruction) -> None:
        """Let those who plan know what a person wants of a device."""
        contacts = self.settings.contacts
        name = instruction.asset_id.removeprefix(f"{self.settings.site}-")
        if name not in _HEATED or not contacts.p2h:
            self.tell(contacts.prosumer, instruction)
            return
        if (instruction.setpoint_degc is None) == (instruction.setpoint_w is None):
            return
        override = UserOverride(
            asset_id=instruction.asset_id,
            time_s=instruction.execution_time_s,
            setpoint_degc=instruction.setpoint_degc,
            setpoint_w=None if instruction.setpoint_w is None else max(0, instruction.setpoint_w),
        )
        self.tell(contacts.p2h, override)

    async def _answered(self, instruction: Instruction) -> InstructionStatus:
        """Instruct a device of the site's own; what the DSO controls directly is none."""
        if instruction.asset_id in self.settings.of_dso:
            return self._status(instruction, InstructionState.REJECTED)
        return await self.instruct(instruction)

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
