"""What the grid operator controls at a site directly: its own battery, or what it may limit (D8.1 3.9)."""

from behaviours.behaviour import Behaviour, every, on
from behaviours.ports import Device
from behaviours.site.device_control import DeviceControl
from behaviours.site.metering import GatewaySettings, device_power_w
from ontology.control import Instruction, InstructionStatus, Priority
from ontology.errors import Refused, Unavailable
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity
from ontology.performatives import Performative
from ontology.storage import StorageStatus

__all__ = ["DirectControl"]

DIRECT = (Priority.CONTRACT, Priority.DSO_RED)


class DirectControl(Behaviour):
    """Obeys the DSO for the assets that it controls directly, and for nothing else; tells it their state."""

    settings: GatewaySettings

    @on(Instruction, Performative.REQUEST)
    async def obey(self, told: Instruction, letter: Letter) -> InstructionStatus:
        """Carry an instruction out at once.

        Raises: Refused when it is not the DSO's, or not about what it controls directly.
        """
        self._require_right(told, letter)
        return await self.sibling(DeviceControl).instruct(told)

    @on(Instruction, Performative.CANCEL)
    async def withdraw(self, told: Instruction, letter: Letter) -> InstructionStatus:
        """Give an asset back to itself before the instruction would have ended.

        Raises: Refused as `obey` does.
        """
        self._require_right(told, letter)
        return await self.sibling(DeviceControl).release(told)

    @every(seconds=lambda settings: 300 if settings.controlled_by_dso else 0, offset_s=250)
    async def report(self) -> None:
        """Tell the DSO what its assets do, before it looks ahead."""
        for device in self.agent.surroundings.devices:
            if f"{self.settings.site}-{device.name}" in self.settings.controlled_by_dso:
                await self._report(device)

    async def _report(self, device: Device) -> None:
        try:
            percepts = await device.percepts()
        except Unavailable:
            self.agent.counts["devices unavailable"] += 1
            return
        asset_id = f"{self.settings.site}-{device.name}"
        for each in percepts:
            if isinstance(each, StorageStatus):
                self.tell(self.settings.contacts.dso, each)
                return
        measured = Measurement(
            subject=asset_id,
            quantity=Quantity.ACTIVE_POWER_W,
            time_s=self.now_s(),
            value=float(sum(device_power_w(each) for each in percepts)),
        )
        self.tell(self.settings.contacts.dso, measured)

    def _require_right(self, told: Instruction, letter: Letter) -> None:
        if letter.sender != self.settings.contacts.dso:
            raise Refused("only the DSO controls directly")
        if told.asset_id not in self.settings.controlled_by_dso:
            raise Refused(f"{told.asset_id} is not controlled by the DSO")
        if told.priority not in DIRECT:
            raise Refused("the DSO controls by contract or in an emergency")
