"""The `Device` port over Modbus: what a register map says is read from and written to a unit."""

from collections.abc import Mapping, Sequence

from behaviours.decisions.orders_in_force import Wanted
from behaviours.decisions.register_intervals import Counters
from behaviours.ports import Clock
from environments.devices.fieldbus_settings import ModbusSettings
from environments.devices.health import HealthReport
from environments.devices.metering import CounterMemory, IntervalMetering, StoreNow
from environments.devices.modbus.link import ModbusLink
from environments.devices.modbus.register_map import (
    RegisterCommand,
    RegisterMap,
    encoded,
    size_of,
    told_in,
)
from environments.devices.order_keeping import OrderKeeper
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.errors import Refused, Unavailable
from ontology.measurements import Measurement, Quantity
from ontology.storage import StorageStatus

__all__ = ["ModbusDevice"]


class ModbusDevice:
    """A unit that a map describes: a meter, a battery, or something that draws or gives power."""

    def __init__(
        self,
        asset_id: str,
        name: str,
        settings: ModbusSettings,
        register_map: RegisterMap,
        link: ModbusLink,
        clock: Clock,
        *,
        subject: str = "",
        store: StoreNow = lambda: None,
    ) -> None:
        """Prepare to speak with a device.

        Args:
            asset_id: the device, as the agents call it, such as `h001-bess`.
            name: at its site, such as `bess`.
            settings: where it is.
            register_map: how it speaks.
            link: to its address, perhaps shared with others.
            clock: the time of reports.
            subject: whom a meter meters; without one the device itself.
            store: keeps a meter's counters over a restart.
        """
        self.asset_id, self.name = asset_id, name
        self._settings, self._map, self._link, self._clock = settings, register_map, link, clock
        self._subject = subject or asset_id
        self._metering = IntervalMetering(self._subject, CounterMemory(asset_id, store))
        self._commands = {command.is_for: command for command in register_map.commands}
        watchdog_s = register_map.watchdog_s or 60
        self._keeper = OrderKeeper(asset_id, self, clock, watchdog_s=watchdog_s)

    @property
    def counts_energy(self) -> bool:
        """Whether it tells interval readings, from counters that its map names."""
        return any(each.quantity == "imported_wh" for each in self._map.values)

    @property
    def health(self) -> HealthReport:
        """How it does."""
        return self._link.health_of(self._settings.unit).report()

    async def start(self) -> None:
        """Nothing is to be begun: the link connects when it is needed."""

    async def close(self) -> None:
        """Stop renewing orders; the device falls back by itself where it can."""
        await self._keeper.close()

    # -- up ------------------------------------------------------------------------------------

    async def percepts(self) -> Sequence[Concept]:
        """Return what the device reports now.

        Raises: Unavailable when it does not answer, or does not say all that its kind needs.
        """
        values = await self.values()
        power_w = values["power_w"]
        if power_w is None:
            raise Unavailable(f"{self.asset_id} says nothing believable of its power")
        if self._map.kind == "storage":
            return [self._storage(power_w, values["state_of_charge"])]
        reports: list[Concept] = []
        if self._map.kind == "meter":
            reports += self._intervals(values)
        reports.append(self._measurement(Quantity.ACTIVE_POWER_W, power_w))
        if (frequency_hz := values.get("frequency_hz")) is not None:
            reports.append(self._measurement(Quantity.FREQUENCY_HZ, frequency_hz))
        return reports

    async def values(self) -> dict[str, float | None]:
        """Return each value of the map, in our unit and sign; None where it is absent or not believable.

        Raises: Unavailable when the device does not answer.
        """
        found: dict[str, float | None] = {}
        for value in self._map.values:
            try:
                registers = await self._link.read(
                    self._settings.unit, value.register, size_of(value.type), is_input=value.table == "input"
                )
            except Refused as error:
                raise Unavailable(str(error)) from None
            found[value.quantity] = told_in(registers, value)
        return found

    def _storage(self, power_w: float, state_of_charge: float | None) -> StorageStatus:
        if state_of_charge is None or not 0 <= state_of_charge <= 1:
            raise Unavailable(f"{self.asset_id} says nothing believable of its state of charge")
        return StorageStatus(
            asset_id=self.asset_id,
            time_s=int(self._clock.now_s()),
            state_of_charge=state_of_charge,
            power_w=round(power_w),
        )

    def _intervals(self, values: Mapping[str, float | None]) -> Sequence[Concept]:
        imported, exported = values.get("imported_wh"), values.get("exported_wh")
        if imported is None or exported is None:
            return []
        now = Counters(time_s=self._clock.now_s(), imported_wh=imported, exported_wh=exported)
        return self._metering.note(now)

    def _measurement(self, quantity: Quantity, value: float) -> Measurement:
        return Measurement(
            subject=self._subject,
            quantity=quantity,
            time_s=int(self._clock.now_s()),
            value=round(value, 4) + 0.0,
        )

    # -- down ----------------------------------------------------------------------------------

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Have the device do what its map has commands for, and say what became of it.

        Raises: Unavailable when it does not answer.
        """
        if not self._commands:
            return InstructionStatus(
                instruction_id=instruction.instruction_id,
                status=InstructionState.REJECTED,
                time_s=int(self._clock.now_s()),
            )
        return await self._keeper.instruct(instruction)

    async def obey(self, wanted: Wanted, holds_s: int) -> None:
        """Write what is wanted.

        Raises: Unavailable, and Refused when the map has no command for it or the device no watchdog.
        """
        if not self._map.watchdog_s and not self._settings.without_watchdog:
            raise Refused(
                f"{self.asset_id} has no watchdog: without_watchdog allows steering it nevertheless"
            )
        parts = {name: getattr(wanted, name) for name in ("setpoint_w", "power_max_w", "power_min_w")}
        told = {name: value for name, value in parts.items() if value is not None and name in self._commands}
        if wanted.setpoint_w is not None and "setpoint_w" not in told:
            raise Refused(f"the map of {self.asset_id} has no command for a set-point")
        missing = [name for name, value in parts.items() if value is not None and name not in told]
        if missing and "setpoint_w" not in told:
            raise Refused(f"the map of {self.asset_id} has no command for {', '.join(missing)}")
        for name, value in told.items():
            await self._write(self._commands[name], float(value))

    async def release(self) -> None:
        """Give the device back to itself.

        Raises: Unavailable, Refused.
        """
        await self._write(self._commands["release"], 0.0)

    async def _write(self, command: RegisterCommand, wanted: float) -> None:
        unit = self._settings.unit
        for write in command.writes:
            registers = encoded(write, wanted)
            await self._link.write(unit, write.register, registers)
            if write.verify:
                found = await self._link.read(unit, write.register, len(registers))
                if found != registers:
                    self._link.health_of(unit).counts["not taken"] += 1
                    raise Refused(f"register {write.register} has {found}, not {registers}")
