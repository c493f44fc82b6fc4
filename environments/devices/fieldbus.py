"""The devices of a site that speak SunSpec or Modbus, and the links that they share."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from behaviours.ports import Clock
from environments.devices.fieldbus_settings import ModbusSettings, SunSpecSettings
from environments.devices.health import HealthReport
from environments.devices.metering import StoreNow
from environments.devices.modbus.address import ModbusAddress
from environments.devices.modbus.device import ModbusDevice
from environments.devices.modbus.link import ModbusLink
from environments.devices.modbus.register_map import required_map
from environments.devices.sunspec.devices import (
    SunSpecBattery,
    SunSpecInverter,
    SunSpecMeter,
)
from environments.wire.pauses import USUAL_PAUSES, Pauses

__all__ = ["FieldBus", "FieldDevice"]

FieldDevice = SunSpecInverter | SunSpecBattery | SunSpecMeter | ModbusDevice

METERS = ("meter", "import")


def _no_store() -> None:
    """A second meter of the same counters would keep them under the name of the first."""


class FieldBus:
    """Makes the devices of one site; those behind one address share a connection and take turns."""

    def __init__(
        self, site: str, clock: Clock, store: StoreNow = lambda: None, *, pauses: Pauses = USUAL_PAUSES
    ) -> None:
        """Begin without devices.

        Args:
            site: its id; devices are assets named `<site>-<name>`.
            clock: the agents' time, which is the machine's.
            store: keeps the counters of meters over a restart.
            pauses: between attempts to reach a device.
        """
        self._site, self._clock, self._store, self._pauses = site, clock, store, pauses
        self._links: dict[ModbusAddress, ModbusLink] = {}
        self.devices: list[FieldDevice] = []

    def link_to(self, address: ModbusAddress, answer_s: float = 2.0) -> ModbusLink:
        """Return the one link to an address; the first to ask for it says how long answers may take."""
        if address not in self._links:
            self._links[address] = ModbusLink(address, self._clock, answer_s=answer_s, pauses=self._pauses)
        return self._links[address]

    def sunspec(self, name: str, settings: SunSpecSettings) -> FieldDevice:
        """Make a SunSpec device: `meter` and `import` are meters, `bess` a battery, others inverters."""
        asset_id, link = f"{self._site}-{name}", self.link_to(settings.address, settings.answer_s)
        device: FieldDevice
        if name in METERS:
            store = self._store if name == "meter" else _no_store
            device = SunSpecMeter(
                asset_id, name, settings, link, self._clock, subject=self._site, store=store
            )
        else:
            kind = SunSpecBattery if name == "bess" else SunSpecInverter
            device = kind(asset_id, name, settings, link, self._clock)
        self.devices.append(device)
        return device

    def modbus(self, name: str, settings: ModbusSettings, folder: Path) -> FieldDevice:
        """Make a device that a register map describes; maps of one's own are looked for in a folder.

        Raises: InvalidInput with everything that is wrong with the map, or when it is of another kind.
        """
        device = ModbusDevice(
            f"{self._site}-{name}",
            name,
            settings,
            required_map(name, settings.map, folder),
            self.link_to(settings.address, settings.answer_s),
            self._clock,
            subject=self._site if name in METERS else "",
            store=self._store if name == "meter" else _no_store,
        )
        self.devices.append(device)
        return device

    def health(self) -> dict[str, HealthReport]:
        """Return how each device does, by name."""
        return {device.name: device.health for device in self.devices}

    def closing(self, device: FieldDevice) -> Callable[[], Awaitable[None]]:
        """Return what lets go of one device; the last one disconnects."""

        async def close() -> None:
            await device.close()
            if device in self.devices:
                self.devices.remove(device)
            if not self.devices:
                await self.close()

        return close

    async def close(self) -> None:
        """Stop renewing orders and disconnect; devices fall back by themselves."""
        for device in self.devices:
            await device.close()
        for link in self._links.values():
            await link.close()
