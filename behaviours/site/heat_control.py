"""Steering heat pump, tank and lights between two plans, each one to five minutes (SPEC 4.8)."""

from collections.abc import Sequence

import msgspec

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.compressor import CompressorRule, CompressorState, compressor_step, observed
from behaviours.decisions.lighting import lighting_power_w
from behaviours.site.comfort_keeping import ComfortKeeping
from behaviours.site.heat_management import HeatOffering
from behaviours.site.heat_settings import HeatSettings
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
)
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["HeatControl"]

COMFORT_K = 0.3
"""How far outside the comfort band a plan is given up for warmth."""


class HeatControl(Behaviour):
    """Turns the plan's mean powers into what devices can do: runs and rests of a compressor, levels of light.

    ```
    prosumer  InstructionBatch → here (every minute: a new one) → gateway → device
    ```
    Where devices are read each quarter of an hour only, the prosumer tells the gateway itself.
    """

    settings: HeatSettings

    def setup(self) -> None:
        """Nothing is ordered yet."""
        self._orders: dict[str, Instruction] = {}
        self._sent: dict[str, tuple[int | None, int]] = {}
        self._compressor: CompressorState | None = None
        self._decided = (-1, 0)
        self._commands = 0

    @on(InstructionBatch)
    async def take(self, batch: InstructionBatch, letter: Letter) -> InstructionBatchStatus:
        """Take the plan's set-points over, and report what the devices make of them.

        Raises: Refused when anybody but the site's prosumer gives orders.
        """
        if letter.sender != self.settings.contacts.prosumer:
            raise Refused("only the site's prosumer plans for its devices")
        self._orders |= {each.asset_id: each for each in batch.instructions}
        orders = [self._carried_out(each) for each in batch.instructions]
        self._sent |= {each.asset_id: (each.setpoint_w, each.valid_until_s) for each in orders}
        try:
            return await self.ask(
                self.settings.contacts.gateway,
                InstructionBatch(site=self.settings.site, instructions=orders),
                InstructionBatchStatus,
            )
        except ParityError:
            return self._aborted(batch.instructions)

    @every(seconds=lambda settings: settings.control_s, offset_s=25)
    def control(self) -> None:
        """Steer each device that is under orders, where what it shall do has changed."""
        now_s = self.now_s()
        self._orders = {name: each for name, each in self._orders.items() if each.valid_until_s > now_s}
        orders = [
            self._carried_out(each)
            for each in self._orders.values()
            if self.sibling(ComfortKeeping).held(each.asset_id) is None
        ]
        changed = [each for each in orders if self._is_news(each)]
        if changed:
            batch = InstructionBatch(site=self.settings.site, instructions=changed)
            self.tell(self.settings.contacts.gateway, batch, Performative.REQUEST)

    def _carried_out(self, order: Instruction) -> Instruction:
        """Return an order as the device can carry it out from now on."""
        if order.setpoint_w is None:
            return order
        self._commands += 1
        now_s = self.now_s()
        return msgspec.structs.replace(
            order,
            instruction_id=f"{order.asset_id}-control-{now_s}-{self._commands}",
            execution_time_s=now_s,
            setpoint_w=self._power_w(order, order.setpoint_w),
        )

    def _power_w(self, order: Instruction, planned_w: int) -> int:
        """Return what a device shall draw until the next time that it is steered."""
        settings, lights = self.settings, self.settings.lighting
        if settings.building is not None and order.asset_id == settings.building.asset_id:
            is_emergency = order.priority >= Priority.CONTRACT
            return self._compressor_w(planned_w if is_emergency else self._comfortable_w(planned_w))
        if lights is not None and order.asset_id == lights.asset_id:
            return lighting_power_w(
                planned_w, lights.power_w, lights.minimum_share, lights.hours, lights.zone, self.now_s()
            )
        return planned_w

    def _comfortable_w(self, planned_w: int) -> int:
        """Return the planned power, but all or nothing where people begin to feel it."""
        model = self.sibling(ComfortKeeping).building()
        status = self.sibling(HeatOffering).status.get(model.asset_id) if model is not None else None
        if model is None or status is None:
            return planned_w
        if status.temperature_degc < model.temperature_min_degc - COMFORT_K:
            return self.settings.building_power_max_w
        if status.temperature_degc > model.temperature_max_degc + COMFORT_K:
            return 0
        return planned_w

    def _compressor_w(self, wanted_w: int) -> int:
        """Return what the compressor does now; decided once for each time that it is steered."""
        settings, now_s = self.settings, self.now_s()
        if not settings.building_power_min_w or not settings.control_s or settings.building is None:
            return wanted_w
        status = self.sibling(HeatOffering).status.get(settings.building.asset_id)
        period = now_s // settings.control_s
        if self._decided[0] == period:
            return self._decided[1]
        reported = status is not None and status.power_w > 0
        rule = CompressorRule(settings.building_power_min_w, settings.building_power_max_w)
        state = observed(self._compressor, reported, now_s - settings.control_s)
        self._compressor, power_w = compressor_step(rule, state, wanted_w, now_s, settings.control_s)
        self._decided = (period, power_w)
        return power_w

    def _is_news(self, instruction: Instruction) -> bool:
        """Tell whether a device has been told something else before, or for not as long."""
        before = self._sent.get(instruction.asset_id)
        self._sent[instruction.asset_id] = now = (instruction.setpoint_w, instruction.valid_until_s)
        return before != now

    def _aborted(self, instructions: Sequence[Instruction]) -> InstructionBatchStatus:
        return InstructionBatchStatus(
            site=self.settings.site,
            statuses=[
                InstructionStatus(
                    instruction_id=each.instruction_id, status=InstructionState.ABORTED, time_s=self.now_s()
                )
                for each in instructions
            ],
        )
