"""The systems of a DSO around a simulated world, on real sockets: its monitoring and its D-STATCOMs."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from behaviours.ports import Barrier, Clock
from environments.devices.dstatcom_http_unit import dstatcom_routes
from environments.devices.dstatcom_mqtt import Topics
from environments.devices.dstatcom_mqtt_unit import MqttUnit
from environments.devices.dstatcom_unit import GuardedUnit
from environments.monitoring import MeasurementPublisher, MonitoringServer
from environments.monitoring.http_client import MONITORING
from environments.monitoring.mqtt_client import measurement_topic
from environments.simulation.world import World
from environments.wire.http_service import HttpService
from environments.wire.mqtt_link import Broker
from ontology.errors import Unavailable
from ontology.grid import DstatcomMode

__all__ = ["DsoSystems", "SystemsSettings"]


@dataclass(frozen=True, kw_only=True)
class SystemsSettings:
    """Where a DSO's systems answer and publish, and what its units do without commands."""

    listen: tuple[str, int] | None = None
    """Host and port of HTTP; None is no HTTP."""
    token: str = ""
    """That lets one in by HTTP."""
    broker: Broker | None = None
    """Where they publish by MQTT; its path is the prefix of topics."""
    fallback: DstatcomMode = DstatcomMode.OFF
    watchdog_s: int = 1_800


class DsoSystems:
    """Serves what a world's network meters say, and its D-STATCOMs; `tell` after each of its steps."""

    def __init__(
        self,
        world: World,
        settings: SystemsSettings,
        clock: Clock,
        network: Clock,
        *,
        barriers: Mapping[str, Barrier] | None = None,
    ) -> None:
        """Prepare to serve.

        Args:
            world: whose measurements and units.
            settings: where.
            clock: the world's time.
            network: the machine's time.
            barriers: told of what is published: of measurements (`monitoring`), or of a unit, by its id.
        """
        self._world, self._settings, waiting = world, settings, barriers or {}
        self.history = MonitoringServer()
        self.units = {
            each.asset_id: GuardedUnit(
                each, clock, fallback=settings.fallback, watchdog_s=settings.watchdog_s
            )
            for each in world.compensators()
        }
        routes = [*self.history.routes, *dstatcom_routes(self.units.values())]
        self.http = HttpService(settings.token, routes)
        self.publisher: MeasurementPublisher | None = None
        self.mqtt_units: Collection[MqttUnit] = ()
        if settings.broker is not None:
            name = f"dso-systems-{settings.broker.place.path.replace('/', '-')}"
            self.publisher = MeasurementPublisher(
                settings.broker, name, network, barrier=waiting.get(MONITORING)
            )
            self.mqtt_units = [
                MqttUnit(unit, settings.broker, network, barrier=waiting.get(unit.asset_id))
                for unit in self.units.values()
            ]
        self._told_s = -1

    async def start(self) -> None:
        """Listen and connect.

        Raises: Unavailable when the address is taken or the broker is not there; then nothing is left open.
        """
        try:
            if self._settings.listen is not None:
                await self._listen(*self._settings.listen)
            if self.publisher is not None:
                await self.publisher.start()
            await asyncio.gather(*(unit.start() for unit in self.mqtt_units))
        except BaseException:
            await self.close()
            raise

    async def tell(self) -> None:
        """Publish what was measured since the last time, and what the units do; let their watchdogs look."""
        meters = self._world.network_meters
        if meters is not None:
            new = await meters.measurements(self._told_s + 1)
            self._told_s = max([self._told_s, *(each.time_s for each in new)])
            self.history.publish(new)
            if self.publisher is not None:
                await self.publisher.publish(new)
        for guarded in self.units.values():
            await guarded.watch()
        await asyncio.gather(*(unit.tell() for unit in self.mqtt_units))

    def places(self) -> Iterator[str]:
        """Yield where what is to be found: addresses by HTTP, topics by MQTT."""
        if self._settings.listen is not None:
            yield f"GET  {self.http.url}/measurements/latest"
            for asset_id in self.units:
                yield f"GET  {self.http.url}/dstatcoms/{asset_id}/status"
                yield f"POST {self.http.url}/dstatcoms/{asset_id}/commands"
        if self._settings.broker is not None:
            place = self._settings.broker.place
            yield f"{place.url}: topic {measurement_topic(place.path, '+')}"
            for asset_id in self.units:
                yield f"{place.url}: topics {Topics(place.path, asset_id).of('#')}"

    async def close(self) -> None:
        """Be gone."""
        await asyncio.gather(*(unit.close() for unit in self.mqtt_units))
        if self.publisher is not None:
            await self.publisher.close()
        await self.http.close()

    async def _listen(self, host: str, port: int) -> None:
        try:
            await self.http.start(host, port)
        except OSError as error:
            raise Unavailable(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
