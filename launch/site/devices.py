"""A site's devices, by the adapters that its file names; an adapter is imported only where it is used."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from behaviours.ports import AgentStore, Clock, Device
from environments.devices.interval_meter import IntervalMeter
from environments.repository.agent_store import MemoryAgentStore
from environments.site.health import WatchedDevice
from launch.site.loading import LoadedSite
from launch.site.schema import ChargePointLink, Connection

if TYPE_CHECKING:
    from environments.devices.ocpp import CentralSystemSettings

__all__ = ["SiteDevices", "central_system_of", "required_adapters"]

BROKER_WAIT_S = 1.0
W_PER_KW = 1000


class Link(Protocol):
    """What devices are reached through."""

    async def start(self) -> None:
        """Begin to listen, where there is something to listen to."""

    async def close(self) -> None:
        """Let go of connections."""


class SiteDevices:
    """The devices of a site, watched, and the links that they are reached through."""

    def __init__(
        self, site: LoadedSite, clock: Clock, store: AgentStore | None = None, *, only: str = ""
    ) -> None:
        """Make all devices, none of them reached yet.

        Args:
            site: says how each is reached.
            clock: the machine's time.
            store: keeps counters of meters and transactions of charge points; without one they are forgotten.
            only: a device by name: the others are left alone.

        Raises: InvalidInput when the file of an adapter is wrong.
        """
        self._site, self._clock, self._store = site, clock, store or MemoryAgentStore()
        self._only = only
        self._links: list[Link] = []
        found = [*self._mqtt(), *self._field_bus(), *self._charge_points()]
        order = list(site.connections())
        self.devices = sorted(found, key=lambda device: order.index(device.name))

    async def start(self) -> None:
        """Begin to listen where devices tell by themselves.

        Raises: Unavailable when the address that charge points come to is taken.
        """
        for link in self._links:
            await link.start()

    async def close(self) -> None:
        """Let go of all connections; devices fall back by themselves."""
        for link in self._links:
            await link.close()

    def _of(self, adapter: str) -> dict[str, Connection]:
        connections = self._site.connections()
        return {
            name: each
            for name, each in connections.items()
            if getattr(each, adapter) is not None and self._only in ("", name)
        }

    def _mqtt(self) -> list[WatchedDevice]:
        if not self._of("mqtt"):
            return []
        from environments.devices.mqtt import MqttDevice

        assert self._site.broker is not None
        found = []
        for name in self._of("mqtt"):
            device = MqttDevice(self._site.maps[name], self._site.broker, self._clock)
            self._links.append(_Listening(device))
            told: Device = self._summed(device) if name == "meter" else device
            found.append(WatchedDevice(told, "mqtt", self._clock))
        return found

    def _field_bus(self) -> list[WatchedDevice]:
        sunspec, modbus = self._of("sunspec"), self._of("modbus")
        if not sunspec and not modbus:
            return []
        from environments.devices.fieldbus import FieldBus

        bus = FieldBus(self._site.file.site, self._clock, lambda: self._store)
        found = []
        for name, connection in {**sunspec, **modbus}.items():
            if connection.sunspec is not None:
                device, adapter = bus.sunspec(name, connection.sunspec), "sunspec"
            else:
                assert connection.modbus is not None
                device, adapter = bus.modbus(name, connection.modbus, self._site.folder), "modbus"
            self._links.append(_OnBus(device.start, bus.closing(device)))
            sums_up = name == "meter" and not device.counts_energy
            told: Device = self._summed(device) if sums_up else device
            found.append(WatchedDevice(told, adapter, self._clock))
        return found

    def _summed(self, meter: Device) -> IntervalMeter:
        """Return a meter that adds up the power that another one tells."""
        return IntervalMeter(meter, self._site.file.site, self._clock)

    def _charge_points(self) -> list[WatchedDevice]:
        settings = central_system_of(self._site)
        if settings is None or not self._of("ocpp"):
            return []
        from environments.devices.ocpp import CentralSystem

        central = CentralSystem(settings, self._store, self._clock)
        self._links.append(central)
        return [WatchedDevice(each, "ocpp", self._clock) for each in central.devices()]


class _Listening:
    """The link of a device at a broker, which may be away."""

    def __init__(self, device: "_AtBroker") -> None:
        self._device = device

    async def start(self) -> None:
        await self._device.start(wait_s=BROKER_WAIT_S)

    async def close(self) -> None:
        await self._device.close()


class _AtBroker(Protocol):
    async def start(self, wait_s: float = ...) -> None: ...

    async def close(self) -> None: ...


class _OnBus:
    """A device on a bus, whose connection ends with the last that shares it."""

    def __init__(self, start: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
        self._start, self._close = start, close

    async def start(self) -> None:
        await self._start()

    async def close(self) -> None:
        await self._close()


def central_system_of(site: LoadedSite) -> "CentralSystemSettings | None":
    """Return the settings of a site's central system, if a device is a charge point."""
    points = {name: each.ocpp for name, each in site.connections().items() if each.ocpp is not None}
    section = site.file.central_system
    if not points or section is None:
        return None
    from environments.devices.ocpp import CentralSystemSettings, ChargePointSettings, Rate

    def path(name: str | None) -> str:
        return str(site.folder / name) if name else ""

    def point(name: str, link: ChargePointLink) -> ChargePointSettings:
        car = site.file.ev
        return ChargePointSettings(
            identity=link.identity,
            password_file=path(link.password_file),
            names=(name,),
            power_max_w=round((car.charger_kw if car else 11.0) * W_PER_KW),
            fallback_w=round(link.fallback_kw * W_PER_KW),
            rate=Rate(link.rate),
            phases=link.phases,
            vehicle_wh=round((car.capacity_kwh if car else 60.0) * W_PER_KW),
        )

    return CentralSystemSettings(
        charge_points=tuple(point(name, link) for name, link in points.items()),
        host=section.host,
        port=section.port,
        security_profile=2 if section.certificate else 1,
        certificate=path(section.certificate),
        key=path(section.key),
        tokens=path(section.tokens),
        free=section.free,
    )


def required_adapters(site: LoadedSite) -> None:
    """Check what charge points need beside the site file: passwords, certificates, tokens.

    Raises: InvalidInput naming all that is wrong.
    """
    settings = central_system_of(site)
    if settings is not None:
        from environments.devices.ocpp.settings import checked

        checked(settings)
