"""A DSO's systems over real sockets: commands acknowledged, and measurements brought, by protocol."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from environments.devices.dstatcom_http import HttpDstatcom
from environments.devices.dstatcom_mqtt import MqttDstatcom
from environments.live.server import LocalServer
from environments.monitoring import HttpMonitoring, MqttMonitoring
from environments.simulation.clock import WallClock
from environments.simulation.dso_systems import DsoSystems, SystemsSettings
from environments.simulation.world import SiteSettings, World, WorldSettings
from environments.wire.addresses import place_of
from environments.wire.http_link import Service
from environments.wire.mqtt_link import Broker
from ontology.grid import DstatcomCommand, DstatcomMode, GridMeasurement
from tests.mosquitto_broker import MosquittoBroker

__all__ = ["rows"]

UNIT = "segment-001-dstatcom"
COMMANDS, MEASUREMENTS = 300, 10_000
TOKEN = secrets.token_hex(16)
CLOCK = WallClock()


def rows() -> Sequence[Mapping[str, Any]]:
    """Return a row for HTTP and one for MQTT."""
    return asyncio.run(_measured())


async def _measured() -> list[Mapping[str, Any]]:
    async with MosquittoBroker() as mosquitto, _systems(mosquitto) as (systems, broker):
        http = Service(place_of(systems.http.url, "http"), TOKEN)
        unit = http._replace(place=place_of(f"{systems.http.url}/dstatcoms/{UNIT}", "http"))
        by_http = HttpDstatcom(UNIT, unit, CLOCK, CLOCK)
        by_mqtt = MqttDstatcom(UNIT, broker, "benchmark-unit", CLOCK, CLOCK)
        await by_mqtt.start()
        listener = MqttMonitoring(broker, "benchmark-monitoring", CLOCK, CLOCK, resumes=False)
        await listener.start()
        asker = HttpMonitoring(http, CLOCK, CLOCK)
        now_s = int(CLOCK.now_s()) - MEASUREMENTS
        frames = [_measurement(now_s + second) for second in range(MEASUREMENTS)]
        try:
            return [
                {"by": "HTTP"} | await _commands(by_http) | await _asked(asker, systems, frames),
                {"by": "MQTT"} | await _commands(by_mqtt) | await _heard(listener, systems, frames),
            ]
        finally:
            for each in (by_http, by_mqtt, listener, asker):
                await each.close()


@asynccontextmanager
async def _systems(mosquitto: LocalServer) -> AsyncIterator[tuple[DsoSystems, Broker]]:
    assert isinstance(mosquitto, MosquittoBroker)
    broker = Broker(place_of(f"{mosquitto.url}/lv", "mqtt"))
    start_s = int(CLOCK.now_s()) // 900 * 900 - 900
    sites = tuple(SiteSettings(id=f"h{i:02d}", zone="Europe/Berlin") for i in range(20))
    world = World(WorldSettings(start_s=start_s, step_s=900, sites=sites))
    world.step()
    settings = SystemsSettings(listen=("127.0.0.1", 0), token=TOKEN, broker=broker)
    systems = DsoSystems(world, settings, CLOCK, CLOCK)
    await systems.start()
    try:
        yield systems, broker
    finally:
        await systems.close()


async def _commands(unit: HttpDstatcom | MqttDstatcom) -> Mapping[str, Any]:
    times = []
    for number in range(COMMANDS):
        power_w = [100 * (number % 50), 0, 0]
        began = time.perf_counter()
        await unit.command(DstatcomCommand(asset_id=UNIT, mode=DstatcomMode.SETPOINT, power_w=power_w))
        times.append(1000 * (time.perf_counter() - began))
    return {
        "command to acknowledgement, median, ms": float(np.median(times)),
        "95 %, ms": float(np.percentile(times, 95)),
        "highest, ms": max(times),
    }


async def _asked(
    monitoring: HttpMonitoring, systems: DsoSystems, frames: Sequence[GridMeasurement]
) -> Mapping[str, Any]:
    systems.history.publish(frames)
    began = time.perf_counter()
    found = await monitoring.measurements(0)
    return _rate(len(found), time.perf_counter() - began)


async def _heard(
    monitoring: MqttMonitoring, systems: DsoSystems, frames: Sequence[GridMeasurement]
) -> Mapping[str, Any]:
    assert systems.publisher is not None
    began = time.perf_counter()
    await systems.publisher.publish(frames)
    while monitoring.counts["taken"] < len(frames):
        await CLOCK.sleep_until(CLOCK.now_s() + 0.005)
    return _rate(monitoring.counts["taken"], time.perf_counter() - began)


def _rate(count: int, seconds: float) -> Mapping[str, Any]:
    return {"measurements": count, "measurements a second": count / seconds}


def _measurement(time_s: int) -> GridMeasurement:
    return GridMeasurement(
        node_id="segment-001-busbar",
        time_s=time_s,
        voltage_v=[231.12, 230.47, 229.93],
        current_a=[61.5, 40.2, 20.1, 35.9],
        power_w=[14_000, 9_100, 4_600],
        reactive_var=[1_400, 900, 500],
    )
