"""A site's devices, by the adapters that its file names; an adapter is imported only where it is used."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from behaviours.ports import Clock, Device
from environments.devices.interval_meter import IntervalMeter
from environments.site.health import WatchedDevice
from launch.site.loading import LoadedSite

__all__ = ["Connected", "connect_devices"]


class Connected(NamedTuple):
    """A device that is watched, and how its link begins and ends."""

    device: WatchedDevice
    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


def connect_devices(site: LoadedSite, clock: Clock) -> list[Connected]:
    """Return all devices of a site, none of them reached yet."""
    return [_connected(site, name, clock) for name in site.connections()]


def _connected(site: LoadedSite, name: str, clock: Clock) -> Connected:
    from environments.devices.mqtt import MqttDevice

    assert site.broker is not None
    device = MqttDevice(site.maps[name], site.broker, clock)

    async def start() -> None:
        await device.start(wait_s=1.0)

    return Connected(_watched(site, name, device, "mqtt", clock), start, device.close)


def _watched(site: LoadedSite, name: str, device: Device, adapter: str, clock: Clock) -> WatchedDevice:
    inner = IntervalMeter(device, site.file.site, clock) if name == "meter" else device
    return WatchedDevice(inner, adapter, clock)
