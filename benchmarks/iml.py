"""The information layer: energy kept, throughput, and how long samples and commands take over a broker."""

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import numpy as np

from environments.devices.mqtt import MqttDevice
from environments.devices.topic_map import TopicMap
from environments.iml.catalogue import Catalogue, SensorSettings, SiteSensors
from environments.iml.mqtt_forwarding import MqttForwarding
from environments.iml.mqtt_intake import MqttIntake
from environments.iml.outbox import SampleOutbox
from environments.iml.pipeline import SamplePipeline
from environments.iml.sample_store import SampleStore
from environments.iml.service import LayerService
from environments.repository import MemoryRepository, SqlRepository
from environments.simulation.appliance_load import appliance_load_w
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.mqtt_link import Broker
from ontology.control import Instruction
from ontology.samples import Sample, SampleBatch

DAY_S = 86_400
START_S = 1_750_032_000
LATENCIES = 100


def rows() -> list[dict[str, Any]]:
    found = [*energy_rows(), throughput_row()]
    from tests.mosquitto_broker import MosquittoBroker

    broker = MosquittoBroker()
    asyncio.run(broker.start())
    try:
        found += asyncio.run(sample_latency(broker))
        found += asyncio.run(command_latency(broker))
    finally:
        asyncio.run(broker.stop())
    return found


def row(what: str, how: str, value: float, unit: str) -> dict[str, Any]:
    return {"measured": what, "how": how, "value": value, "unit": unit}


class At:
    """A clock that is set."""

    time_s = float(START_S)

    def now_s(self) -> float:
        """Return it."""
        return self.time_s


def layer(folder: Path, sensors: tuple[SensorSettings, ...]) -> tuple[SamplePipeline, MemoryRepository, At]:
    repository, clock = MemoryRepository(), At()
    catalogue = Catalogue([SiteSensors(site="h001", sensors=sensors)])
    store = SampleStore(folder / "samples.sqlite")
    return SamplePipeline(store, repository, catalogue, clock), repository, clock  # type: ignore[arg-type]


async def hand_in(pipeline: SamplePipeline, sensor: str, times: Any, values: Any) -> None:
    samples = [
        Sample(sensor_id=sensor, time_s=int(at), value=float(value))
        for at, value in zip(times, values, strict=True)
    ]
    for first in range(0, len(samples), 500):
        batch = SampleBatch(site="h001", batch_id=str(first), samples=samples[first : first + 500])
        await pipeline.take("h001", batch)


def energy_rows() -> list[dict[str, Any]]:
    found = []
    for period_s in (1, 10, 60):
        errors = [energy_error(period_s, seed) for seed in range(2)]
        what = f"a day's energy against the meter, {period_s} s samples with 1 % spikes"
        found.append(row(what, "worst of 2 homes", 100 * max(errors), "%"))
    errors = [register_error(seed) for seed in range(2)]
    what = "the same by the meter's register, 60 s readings, an hour without link"
    return [*found, row(what, "worst of 2 homes", 100 * max(errors), "%")]


def register_error(seed: int) -> float:
    rng = np.random.default_rng(seed)
    counted_wh = np.cumsum(np.maximum(appliance_load_w(rng, DAY_S + 600), 0)) / 3_600
    times = np.arange(0, DAY_S + 400, 60)
    times = times[(times < 30_000) | (times > 33_600)]

    async def story() -> float:
        with tempfile.TemporaryDirectory() as folder:
            sensor = SensorSettings(id="meter", type="import-register", period_s=60)
            pipeline, repository, clock = layer(Path(folder), (sensor,))
            clock.time_s = START_S + DAY_S + 400
            await hand_in(pipeline, "meter", START_S + times, np.floor(counted_wh[times]))
            await pipeline.close_intervals()
            readings = await repository.query("parity:IntervalReading", "h001", START_S, START_S + DAY_S)
            return float(sum(each.consumed_wh for each in readings))  # type: ignore[attr-defined]

    counted = float(counted_wh[DAY_S] - counted_wh[0])
    return abs(asyncio.run(story()) - counted) / counted


def energy_error(period_s: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    load_w = np.maximum(appliance_load_w(rng, DAY_S + 600), 0)
    times = np.arange(0, DAY_S + 600, period_s)
    samples = load_w[times]
    at = rng.choice(times.size, times.size // 100, replace=False)
    samples[at] += rng.uniform(2_000, 12_000, at.size)

    async def story() -> float:
        with tempfile.TemporaryDirectory() as folder:
            sensor = SensorSettings(id="meter", type="site-power", period_s=period_s)
            pipeline, repository, clock = layer(Path(folder), (sensor,))
            clock.time_s = START_S + DAY_S + 400
            await hand_in(
                pipeline, "meter", START_S + times[times < DAY_S + 400], samples[times < DAY_S + 400]
            )
            await pipeline.close_intervals()
            readings = await repository.query("parity:IntervalReading", "h001", START_S, START_S + DAY_S)
            return float(sum(each.consumed_wh for each in readings))  # type: ignore[attr-defined]

    counted_wh = float(load_w[:DAY_S].sum()) / 3_600
    return abs(asyncio.run(story()) - counted_wh) / counted_wh


def throughput_row() -> dict[str, Any]:
    async def story() -> float:
        with tempfile.TemporaryDirectory() as folder:
            sensors = tuple(SensorSettings(id=f"s{i}", type="power", period_s=10) for i in range(10))
            pipeline, _, clock = layer(Path(folder), sensors)
            clock.time_s = START_S + 4 * 3_600
            began = time.perf_counter()
            times = np.arange(START_S, START_S + 3 * 3_600, 2)
            for sensor in sensors:
                await hand_in(pipeline, sensor.id, times, 500 + times % 97)
            await pipeline.forward()
            await pipeline.close_intervals()
            return 10 * times.size / (time.perf_counter() - began)

    return row(
        "samples a second", "one core: stored, forwarded, made intervals of", asyncio.run(story()), "1/s"
    )


async def sample_latency(broker: Any) -> list[dict[str, Any]]:
    prefix = f"bench-{uuid.uuid4().hex[:6]}"
    place = Broker(place_of(f"{broker.url}/{prefix}", "mqtt"))
    with tempfile.TemporaryDirectory() as name:
        folder, clock = Path(name), WallClock()
        repository = SqlRepository(f"sqlite:///{folder / 'repository.sqlite'}")
        sites = [SiteSensors(site="h001", sensors=(SensorSettings(id="p", type="power"),))]
        pipeline = SamplePipeline(SampleStore(folder / "s.sqlite"), repository, Catalogue(sites), clock)
        service = LayerService(pipeline, clock)
        intake = MqttIntake(service, place, clock, name=f"{prefix}-iml")
        outbox = SampleOutbox(folder / "o.sqlite", "h001")
        way = MqttForwarding(outbox, "h001", place, clock)
        service.start()
        await intake.start()
        await way.start()
        taken = []
        first_s = int(clock.now_s()) - LATENCIES
        for number in range(LATENCIES):
            began = time.perf_counter()
            outbox.add([Sample(sensor_id="p", time_s=first_s + number, value=float(number))])
            way.wake()
            while not await repository.query(  # noqa: ASYNC110
                "parity:Measurement", "h001-p", first_s + number, first_s + number + 1
            ):
                await asyncio.sleep(0.002)  # noqa: TID251 - a real broker takes real time
            taken.append(time.perf_counter() - began)
        await way.close()
        await intake.close()
        await service.stop()
    return [
        row("sample → repository", f"{share} % of {LATENCIES}", float(np.percentile(taken, share)), "s")
        for share in (50, 95)
    ]


async def command_latency(broker: Any) -> list[dict[str, Any]]:
    home = f"bench-{uuid.uuid4().hex[:6]}"
    topic_map = msgspec.convert(
        {
            "asset": "h001-bess",
            "values": [{"quantity": "power_w", "topic": f"{home}/power"}],
            "commands": [
                {"for": "setpoint_w", "topic": f"{home}/set", "template": '{"w":{value},"id":"{id}"}'}
            ],
            "acknowledgement": {"topic": f"{home}/ack", "path": "$.id"},
        },
        TopicMap,
    )
    clock, taken = WallClock(), []
    device = MqttDevice(topic_map, Broker(place_of(broker.url, "mqtt")), clock)
    async with aiomqtt.Client("localhost", broker.port) as inverter:
        await inverter.subscribe(f"{home}/set", qos=1)

        async def obey() -> None:
            async for message in inverter.messages:
                await inverter.publish(f"{home}/ack", message.payload, qos=1)

        work = asyncio.create_task(obey())
        await device.start()
        for number in range(LATENCIES):
            now_s = int(clock.now_s())
            told = Instruction(
                instruction_id=str(number),
                asset_id="h001-bess",
                execution_time_s=now_s,
                valid_until_s=now_s + 60,
                setpoint_w=number,
            )
            began = time.perf_counter()
            await device.instruct(told)
            taken.append(time.perf_counter() - began)
        await device.close()
        work.cancel()
    return [
        row(
            "command → acknowledged by the device",
            f"{share} % of {LATENCIES}",
            float(np.percentile(taken, share)),
            "s",
        )
        for share in (50, 95)
    ]
