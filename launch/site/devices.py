"""A site's devices, by the adapters that its file names; an adapter is imported only where it is used."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from behaviours.ports import AgentStore, Clock, Device
from environments.devices.interval_meter import IntervalMeter
from environments.site.health import WatchedDevice
from launch.site.loading import LoadedSite

__all__ = ["Connected", "connect_devices"]


class Connected(NamedTuple):
    """A device that is watched, and how its link begins and ends."""

    device: WatchedDevice
    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


StoreNow = Callable[[], AgentStore | None]
"""Returns the site's store, or None while there is none."""


def connect_devices(site: LoadedSite, clock: Clock, store: StoreNow = lambda: None) -> list[Connected]:
    """Return all devices of a site, none of them reached yet; meters keep their counters in a store."""
    field_names = [name for name, each in site.connections().items() if each.mqtt is None]
    mqtt_names = [name for name in site.connections() if name not in field_names]
    connected = {name: _by_mqtt(site, name, clock) for name in mqtt_names}
    if field_names:
        connected |= _by_fieldbus(site, field_names, clock, store)
    return [connected[name] for name in site.connections()]


def _by_fieldbus(
    site: LoadedSite, names: Sequence[str], clock: Clock, store: StoreNow
) -> dict[str, Connected]:
    """Return the devices that speak SunSpec or Modbus; those behind one address share a connection."""
    from environments.devices.fieldbus import FieldBus

    bus, connections = FieldBus(site.file.site, clock, store), site.connections()
    connected = {}
    for name in names:
        sunspec, modbus = connections[name].sunspec, connections[name].modbus
        if sunspec is not None:
            device, adapter = bus.sunspec(name, sunspec), "sunspec"
        else:
            assert modbus is not None
            device, adapter = bus.modbus(name, modbus, site.folder), "modbus"
        inner = device if device.counts_energy or name != "meter" else _summed(site, device, clock)
        connected[name] = Connected(WatchedDevice(inner, adapter, clock), device.start, bus.closing(device))
    return connected


def _by_mqtt(site: LoadedSite, name: str, clock: Clock) -> Connected:
    from environments.devices.mqtt import MqttDevice

    assert site.broker is not None
    device = MqttDevice(site.maps[name], site.broker, clock)

    async def start() -> None:
        await device.start(wait_s=1.0)

    inner = _summed(site, device, clock) if name == "meter" else device
    return Connected(WatchedDevice(inner, "mqtt", clock), start, device.close)


def _summed(site: LoadedSite, meter: Device, clock: Clock) -> Device:
    """Return a meter that tells intervals, of one that tells its power."""
    return IntervalMeter(meter, site.file.site, clock)
