"""A simulated household's inverter, battery and meter on a real socket, in real time."""

from collections.abc import Callable
from typing import NamedTuple

from environments.devices.modbus.address import address_of
from environments.simulation.clock import WallClock
from environments.simulation.sunspec_site import BATTERY_UNIT, INVERTER_UNIT, METER_UNIT, SunSpecSite
from environments.simulation.world import World, WorldSettings
from environments.simulation.world.settings import BatterySettings, PvSettings, SiteSettings
from ontology.base import INTERVAL_S

__all__ = ["Household", "serve"]


class Household(NamedTuple):
    """What is simulated; 0 kWp or kWh is no plant or battery."""

    site: str
    kwp: float
    battery_kwh: float
    battery_kw: float
    annual_kwh: float

    def settings(self) -> SiteSettings:
        """Return it as a site of a world."""
        battery = BatterySettings(
            capacity_wh=round(self.battery_kwh * 1_000), power_w=round(self.battery_kw * 1_000)
        )
        return SiteSettings(
            id=self.site,
            annual_kwh=self.annual_kwh,
            pv=PvSettings(kwp=self.kwp) if self.kwp else None,
            battery=battery if self.battery_kwh else None,
        )


async def serve(home: Household, listen: str, tell: Callable[[str], object], *, speed: int = 1) -> None:
    """Serve a household from the present quarter of an hour on, until cancelled.

    Args:
        home: what is simulated.
        listen: where, `HOST:PORT`.
        tell: is told a fragment of a site file when it listens.
        speed: how many of its seconds pass in one.

    Raises: InvalidInput when something of it cannot be, Unavailable when the address is taken.
    """
    clock = WallClock()
    start_s = int(clock.now_s()) // INTERVAL_S * INTERVAL_S
    world = World(WorldSettings(start_s=start_s, step_s=1, sites=(home.settings(),)))
    served = SunSpecSite(world, home.site, clock, address_of(listen, "--listen"))
    while world.now_s < clock.now_s():
        served.step()
    await served.server.start()
    tell(_fragment(served))
    try:
        due_s = clock.now_s()
        while True:
            due_s = max(due_s + 1, clock.now_s() - 60)
            await clock.sleep_until(due_s)
            for _ in range(speed):
                served.step()
    finally:
        await served.server.close()


def _fragment(served: SunSpecSite) -> str:
    address, shown = served.server.address, []
    names = ((METER_UNIT, "meter"), (INVERTER_UNIT, "pv"), (BATTERY_UNIT, "battery"))
    for unit, name in names:
        if unit in served.images:
            reach = f"{{host: {address.host}, port: {address.port}, unit: {unit}}}"
            shown.append(f"{name}: connect: {{sunspec: {reach}}}")
    return "\n".join([f"listening at {address}", *shown])
