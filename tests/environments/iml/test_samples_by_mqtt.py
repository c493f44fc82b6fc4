"""Samples over a real broker: acknowledged when stored, through crashes of broker, layer and gateway."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiomqtt
import numpy as np
import pytest
from iml_samples import SITE, MoodyRepository
from mosquitto_broker import MosquittoBroker, running_broker

from behaviours.repository_port import Selection
from environments.iml.catalogue import Catalogue, SiteSensors
from environments.iml.mqtt_forwarding import MqttForwarding
from environments.iml.mqtt_intake import MqttIntake
from environments.iml.outbox import SampleOutbox
from environments.iml.pipeline import SamplePipeline
from environments.iml.sample_store import SampleStore
from environments.iml.service import LayerService
from environments.iml.topics import access_rules
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from environments.wire.addresses import Login, place_of
from environments.wire.mqtt_link import Broker
from environments.wire.pauses import Pauses
from ontology.samples import Sample

pytestmark = pytest.mark.server

SOON = Pauses(first_s=0.05, factor=2, longest_s=0.3)


def broker_of(mosquitto, prefix, login=None):
    return Broker(place_of(f"{mosquitto.url}/{prefix}", "mqtt", "mqtts"), login)


def recent(count, sensor="meter"):
    """Return samples of the last minutes, a second apart."""
    now_s = int(WallClock().now_s())
    return [Sample(sensor_id=sensor, time_s=now_s - count + i, value=float(i)) for i in range(count)]


async def until(condition, seconds=15.0):
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not come to that"
        await asyncio.sleep(0.01)  # noqa: TID251 - a real broker takes real time


@asynccontextmanager
async def layer(path, broker, repository=None, sites=(SITE,)):
    store = SampleStore(path / "samples.sqlite")
    pipeline = SamplePipeline(store, repository or MoodyRepository(), Catalogue(sites), WallClock())
    service = LayerService(pipeline, WallClock(), pauses=SOON)
    intake = MqttIntake(service, broker, WallClock(), name=f"iml-{uuid.uuid4().hex[:6]}", pauses=SOON)
    service.start()
    await intake.start()
    try:
        yield store, intake
    finally:
        await intake.close()
        await service.stop()
        store.close()


@asynccontextmanager
async def gateway(path, broker, site="h001"):
    outbox = SampleOutbox(path / f"{site}.sqlite", site)
    forwarding = MqttForwarding(outbox, site, broker, WallClock(), receipt_s=1.0, pauses=SOON)
    await forwarding.start()
    try:
        yield outbox, forwarding
    finally:
        await forwarding.close()
        outbox.close()


@pytest.fixture
def prefix():
    return f"lab-{uuid.uuid4().hex[:8]}/iml"


def test_samples_arrive_and_are_let_go_of_when_they_are_stored(mosquitto, prefix, tmp_path):
    async def story():
        broker, repository = broker_of(mosquitto, prefix), MoodyRepository()
        async with layer(tmp_path, broker, repository) as (store, _), gateway(tmp_path, broker) as (box, way):
            box.add(recent(1_200))
            way.wake()
            await until(lambda: box.count() == 0)
            await until(lambda: repository.told >= 1_200)
            return store.count(), way.counts["batches acknowledged"]

    assert asyncio.run(story()) == (1_200, 3)


def test_an_outage_of_the_broker_loses_nothing(mosquitto_of_ours, prefix, tmp_path):
    async def story():
        broker = broker_of(mosquitto_of_ours, prefix)
        async with layer(tmp_path, broker) as (store, _), gateway(tmp_path, broker) as (box, way):
            samples = recent(900)
            for first in range(0, 900, 100):
                if first == 300:
                    await mosquitto_of_ours.kill()
                if first == 600:
                    await mosquitto_of_ours.start()
                box.add(samples[first : first + 100])
                way.wake()
            await until(lambda: box.count() == 0)
            return store.count()

    assert asyncio.run(story()) == 900


def test_what_the_layer_does_not_take_is_put_aside_with_the_reason(mosquitto, prefix, tmp_path):
    async def story():
        broker = broker_of(mosquitto, prefix)
        async with layer(tmp_path, broker), gateway(tmp_path, broker) as (box, way):
            box.add([*recent(2), *recent(1, sensor="unknown")])
            way.wake()
            await until(lambda: box.count() == 0)
            return box.refused()

    ((sample, why),) = asyncio.run(story())
    assert sample.sensor_id == "unknown"
    assert "registered" in why


def test_noise_is_answered_with_what_is_wrong_and_disturbs_nobody(mosquitto, prefix, tmp_path):
    async def story():
        broker = broker_of(mosquitto, prefix)
        async with (
            layer(tmp_path, broker) as (_, intake),
            aiomqtt.Client("localhost", mosquitto.port) as other,
        ):
            await other.subscribe(f"{prefix}/h001/problems", qos=1)
            await other.publish(f"{prefix}/h001/samples", b'{"site": 3}', qos=1)
            said = bytes((await anext(aiter(other.messages))).payload)
            return said, intake.counts["malformed"]

    said, malformed = asyncio.run(story())
    assert b"problems" in said
    assert malformed == 1


@pytest.fixture
def guarded_mosquitto():
    accounts = {"iml": "of the layer", "h001": "of the first", "h002": "of the second"}
    yield from running_broker(MosquittoBroker(accounts, access=access_rules()))


def test_a_gateway_speaks_for_its_own_site_only_and_hears_only_its_own_receipts(guarded_mosquitto, tmp_path):
    def account(name):
        return broker_of(guarded_mosquitto, "parity/iml", Login(name, guarded_mosquitto.accounts[name]))

    async def story():
        neighbour = SiteSensors(site="h002", sensors=SITE.sensors[:1])
        async with (
            layer(tmp_path, account("iml"), sites=(SITE, neighbour)) as (store, _),
            gateway(tmp_path, account("h001")) as (own, way),
            gateway(tmp_path, account("h001"), "h002") as (foreign, intruder),
        ):
            for box, forwarding in ((own, way), (foreign, intruder)):
                box.add(recent(5))
                forwarding.wake()
            await until(lambda: own.count() == 0)
            await until(lambda: intruder.counts["not acknowledged"] > 0)
            return foreign.count(), store.count()

    assert asyncio.run(story()) == (5, 5)


LAYER_PROGRAM = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from iml_samples import SITE, MoodyRepository
from environments.iml.catalogue import Catalogue
from environments.iml.mqtt_intake import MqttIntake
from environments.iml.pipeline import SamplePipeline
from environments.iml.sample_store import SampleStore
from environments.iml.service import LayerService
from environments.repository import SqlRepository
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.mqtt_link import Broker

async def main():
    folder, url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    repository = SqlRepository(f"sqlite:///{folder / 'repository.sqlite'}")
    pipeline = SamplePipeline(
        SampleStore(folder / "samples.sqlite"), repository, Catalogue([SITE]), WallClock()
    )
    service = LayerService(pipeline, WallClock())
    service.start()
    intake = MqttIntake(service, Broker(place_of(url, "mqtt")), WallClock(), name=name)
    await intake.start()
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def started_layer(folder, url):
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", LAYER_PROGRAM, str(folder), url, f"iml-{uuid.uuid4().hex[:6]}", str(here)],
        stdout=subprocess.PIPE,
        cwd=here.parents[2],
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def killed(process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_the_layer_killed_at_random_moments_loses_and_doubles_nothing(mosquitto, prefix, tmp_path):
    kills, total = 10, 40_000
    rng = np.random.default_rng(7)

    async def story():
        broker = broker_of(mosquitto, prefix)
        url = f"{mosquitto.url}/{prefix}"
        async with gateway(tmp_path, broker) as (box, way):
            samples = recent(total)
            box.add(samples)
            for _ in range(kills):
                process = await asyncio.to_thread(started_layer, tmp_path, url)
                way.wake()
                await asyncio.sleep(float(rng.uniform(0.02, 0.5)))  # noqa: TID251 - a moment of real time
                killed(process)
            process = await asyncio.to_thread(started_layer, tmp_path, url)
            try:
                await until(lambda: box.count() == 0, 60)
                await until(lambda: _facts(tmp_path) >= total, 60)
            finally:
                killed(process)
            return samples

    samples = asyncio.run(story())
    connection = sqlite3.connect(tmp_path / "samples.sqlite")
    stored = connection.execute("SELECT time_s, value FROM samples ORDER BY time_s").fetchall()
    assert stored == [(each.time_s, each.value) for each in samples]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert _facts(tmp_path) == total


def _facts(folder):
    repository = SqlRepository(f"sqlite:///{folder}/repository.sqlite")
    with closing(repository), ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, repository.count(Selection("parity:Measurement"))).result()
