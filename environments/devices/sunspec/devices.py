"""The `Device` port over SunSpec: an inverter, a battery, a meter."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from behaviours.decisions.register_intervals import Counters
from behaviours.ports import AgentStore, Clock
from environments.devices.health import HealthReport
from environments.devices.metering import CounterMemory, IntervalMetering
from environments.devices.modbus.link import ModbusAddress, ModbusLink
from environments.devices.order_keeping import OrderKeeper
from environments.devices.sunspec.controls import BatteryControl, CapControl, Fallback
from environments.devices.sunspec.discovery import BASES
from environments.devices.sunspec.readings import INVERTER_MODELS, METER_MODELS, metered, power_w, stored
from environments.devices.sunspec.unit import SunSpecUnit
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.measurements import Measurement, Quantity
from ontology.storage import StorageStatus

__all__ = ["SunSpecBattery", "SunSpecInverter", "SunSpecMeter", "SunSpecSettings"]

Host = Annotated[str, Meta(min_length=1, max_length=253, description="name or address in the site's network")]
Port = Annotated[int, Meta(ge=1, le=65_535, description="TCP port")]
Unit = Annotated[int, Meta(ge=0, le=255, description="the unit behind that address")]


class SunSpecSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A SunSpec unit at a site: where it is, and what becomes of it without us."""

    host: Host
    port: Port = 502
    unit: Unit = 1
    base: Annotated[
        Annotated[int, Meta(ge=0, le=65_000)] | None,
        Meta(description="where its models begin; usually found"),
    ] = None
    serial: Annotated[str, Meta(description="of the device that was installed; another one is not used")] = ""
    power: Annotated[
        Literal["terminals", "battery"],
        Meta(description="of a battery: at the inverter, or at the battery (802, 714) where PV shares it"),
    ] = "terminals"
    power_sign: Annotated[
        Literal[1, -1], Meta(description="-1 for a device that counts the other way than SunSpec says")
    ] = 1
    watchdog_s: Annotated[
        int, Meta(ge=5, le=3_600, description="after which it falls back when nobody tells it any more")
    ] = 60
    fallback_w: Annotated[
        int | None, Meta(description="what it then does, consumption positive (model 704); none: its own way")
    ] = None
    without_watchdog: Annotated[
        bool, Meta(description="steer it though it has no watchdog: it would go on for ever")
    ] = False
    answer_s: Annotated[float, Meta(gt=0, le=30, description="how long to wait for an answer")] = 2.0

    @property
    def address(self) -> ModbusAddress:
        """Where it listens."""
        return ModbusAddress(self.host, self.port)

    @property
    def fallback(self) -> Fallback:
        """What becomes of it without us."""
        return Fallback(self.fallback_w, self.without_watchdog)


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
            subject=subject, quantity=quantity, time_s=int(self._clock.now_s()), value=round(value, 4)
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
        control = CapControl(self.unit, settings.fallback)
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
        control = BatteryControl(self.unit, settings.fallback)
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
        store: AgentStore | None = None,
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
