"""The devices of a site that speak SunSpec or Modbus, and the links that they share."""

from pathlib import Path

from behaviours.ports import AgentStore, Clock
from environments.devices.health import HealthReport
from environments.devices.modbus.device import ModbusDevice, ModbusSettings
from environments.devices.modbus.link import ModbusAddress, ModbusLink
from environments.devices.modbus.register_map import RegisterMap, read_register_map
from environments.devices.sunspec.devices import (
    SunSpecBattery,
    SunSpecInverter,
    SunSpecMeter,
    SunSpecSettings,
)
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.errors import InvalidInput, problem

__all__ = ["FieldBus", "FieldDevice", "required_map"]

FieldDevice = SunSpecInverter | SunSpecBattery | SunSpecMeter | ModbusDevice

METERS = ("meter", "import")
_KINDS = {"meter": "meter", "import": "meter", "bess": "storage"}
"""What a device must report as, by its name at the site; others report a power."""


class FieldBus:
    """Makes the devices of one site; those behind one address share a connection and take turns."""

    def __init__(
        self, site: str, clock: Clock, store: AgentStore | None = None, *, pauses: Pauses = USUAL_PAUSES
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
            store = self._store if name == "meter" else None
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
            required_map(name, settings, folder),
            self.link_to(settings.address, settings.answer_s),
            self._clock,
            subject=self._site if name in METERS else "",
            store=self._store if name == "meter" else None,
        )
        self.devices.append(device)
        return device

    def health(self) -> dict[str, HealthReport]:
        """Return how each device does, by name."""
        return {device.name: device.health for device in self.devices}

    async def close(self) -> None:
        """Stop renewing orders and disconnect; devices fall back by themselves."""
        for device in self.devices:
            await device.close()
        for link in self._links.values():
            await link.close()


def required_map(name: str, settings: ModbusSettings, folder: Path) -> RegisterMap:
    """Return the map of a device, which must be of the kind that its name at the site asks for.

    Raises: InvalidInput with everything that is wrong with it.
    """
    found, wanted = read_register_map(settings.map, folder), _KINDS.get(name, "power")
    if found.kind != wanted:
        raise InvalidInput(problem("map", f"{settings.map} is of a {found.kind}", f"one of a {wanted}"))
    return found
