"""The `Device` port over SunSpec: an inverter, a battery, a meter."""

from collections.abc import Sequence

from behaviours.decisions.register_intervals import Counters
from behaviours.ports import Clock
from environments.devices.fieldbus_settings import SunSpecSettings
from environments.devices.health import HealthReport
from environments.devices.metering import CounterMemory, IntervalMetering, StoreNow
from environments.devices.modbus.link import ModbusLink
from environments.devices.order_keeping import OrderKeeper
from environments.devices.sunspec.controls import BatteryControl, CapControl, Fallback
from environments.devices.sunspec.discovery import BASES
from environments.devices.sunspec.readings import INVERTER_MODELS, METER_MODELS, metered, power_w, stored
from environments.devices.sunspec.unit import SunSpecUnit
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.measurements import Measurement, Quantity
from ontology.storage import StorageStatus

__all__ = ["SunSpecBattery", "SunSpecInverter", "SunSpecMeter"]


def _fallback(settings: SunSpecSettings) -> Fallback:
    return Fallback(settings.fallback_w, settings.without_watchdog)


class _SunSpecDevice:
    """What the three have in common."""

    def __init__(
        self, asset_id: str, name: str, settings: SunSpecSettings, link: ModbusLink, clock: Clock
    ) -> None:
        """Prepare to speak with a device.

        Args:
            asset_id: the device, as the agents call it, such as `h001-pv`.
            name: at its site, such as `pv`.
            settings: where it is.
            link: to its address, perhaps shared with others.
            clock: the time of reports.
        """
        self.asset_id, self.name = asset_id, name
        self._settings, self._clock = settings, clock
        bases = BASES if settings.base is None else (settings.base,)
        self.unit = SunSpecUnit(link, settings.unit, bases=bases, serial=settings.serial)

    counts_energy = True
    """SunSpec's meters have counters; other devices are asked for none."""

    @property
    def health(self) -> HealthReport:
        """How it does."""
        return self.unit.health

    async def start(self) -> None:
        """Nothing is to be begun: the link connects when it is needed."""

    async def close(self) -> None:
        """Let go of the device."""

    def _measurement(self, subject: str, quantity: Quantity, value: float) -> Measurement:
        return Measurement(
            subject=subject, quantity=quantity, time_s=int(self._clock.now_s()), value=round(value, 4) + 0.0
        )


class _Steered(_SunSpecDevice):
    """A device that takes instructions."""

    _keeper: OrderKeeper

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Have the device obey, with its own watchdog behind it, and say what became of it.

        Raises: Unavailable when it does not answer.
        """
        return await self._keeper.instruct(instruction)

    async def close(self) -> None:
        """Stop renewing orders; the device falls back by itself."""
        await self._keeper.close()


class SunSpecInverter(_Steered):
    """A photovoltaic inverter (models 101 to 113, 701; 123, 704)."""

    def __init__(
        self, asset_id: str, name: str, settings: SunSpecSettings, link: ModbusLink, clock: Clock
    ) -> None:
        super().__init__(asset_id, name, settings, link, clock)
        control = CapControl(self.unit, _fallback(settings))
        self._keeper = OrderKeeper(asset_id, control, clock, watchdog_s=settings.watchdog_s)

    async def percepts(self) -> Sequence[Concept]:
        """Return the present power, production negative.

        Raises: Unavailable when the device does not answer or does not say.
        """
        chain = await self.unit.read(INVERTER_MODELS)
        value = power_w(chain) * self._settings.power_sign
        return [self._measurement(self.asset_id, Quantity.ACTIVE_POWER_W, value)]


class SunSpecBattery(_Steered):
    """A battery with its inverter (models 124, 713, 802 beside those of an inverter)."""

    def __init__(
        self, asset_id: str, name: str, settings: SunSpecSettings, link: ModbusLink, clock: Clock
    ) -> None:
        super().__init__(asset_id, name, settings, link, clock)
        control = BatteryControl(self.unit, _fallback(settings))
        self._keeper = OrderKeeper(asset_id, control, clock, watchdog_s=settings.watchdog_s)

    async def percepts(self) -> Sequence[Concept]:
        """Return state of charge and present power, charging positive.

        Raises: Unavailable when the device does not answer or does not say.
        """
        of_battery = self._settings.power == "battery"
        of_power = (714,) if of_battery else INVERTER_MODELS
        chain = await self.unit.read(of_power, (713,), (802,), (124,))
        held = stored(chain)
        value = power_w(chain, of_battery=of_battery) * self._settings.power_sign
        return [
            StorageStatus(
                asset_id=self.asset_id,
                time_s=int(self._clock.now_s()),
                state_of_charge=held.state_of_charge,
                state_of_health=held.state_of_health,
                power_w=round(value),
            )
        ]


class SunSpecMeter(_SunSpecDevice):
    """A meter (models 201 to 214), at the connection point of a site."""

    def __init__(
        self,
        asset_id: str,
        name: str,
        settings: SunSpecSettings,
        link: ModbusLink,
        clock: Clock,
        *,
        subject: str,
        store: StoreNow = lambda: None,
    ) -> None:
        """Prepare to read a meter; `subject` is whom it meters, `store` keeps its counters over a restart."""
        super().__init__(asset_id, name, settings, link, clock)
        self._subject = subject
        self._metering = IntervalMetering(subject, CounterMemory(asset_id, store))

    async def percepts(self) -> Sequence[Concept]:
        """Return the interval that has ended, the present power (import positive) and the frequency.

        Raises: Unavailable when the device does not answer or does not say.
        """
        found = metered(await self.unit.read(METER_MODELS))
        reports: list[Concept] = []
        if found.imported_wh is not None and found.exported_wh is not None:
            now = Counters(
                time_s=self._clock.now_s(), imported_wh=found.imported_wh, exported_wh=found.exported_wh
            )
            reports += self._metering.note(now)
        present_w = found.power_w * self._settings.power_sign
        reports.append(self._measurement(self._subject, Quantity.ACTIVE_POWER_W, present_w))
        if found.frequency_hz is not None:
            reports.append(self._measurement(self._subject, Quantity.FREQUENCY_HZ, found.frequency_hz))
        return reports

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Turn an instruction down: a meter only measures."""
        return InstructionStatus(
            instruction_id=instruction.instruction_id,
            status=InstructionState.REJECTED,
            time_s=int(self._clock.now_s()),
        )
