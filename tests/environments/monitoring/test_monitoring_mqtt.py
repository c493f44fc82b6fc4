"""A DSO's monitoring system by MQTT, over Mosquitto: crashes on either side, accounts, TLS."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiomqtt
import pytest
from monitoring_samples import NOW_S, measured
from mosquitto_broker import MosquittoBroker

from environments.monitoring import MeasurementPublisher, MqttMonitoring
from environments.simulation.clock import WallClock
from environments.wire.addresses import Login, place_of, trust_in
from environments.wire.mqtt_link import Broker
from environments.wire.pauses import Pauses
from ontology.errors import Unavailable

pytestmark = pytest.mark.server

SOON = Pauses(first_s=0.05, factor=2, longest_s=0.5)


class At:
    """A clock that stands."""

    def now_s(self) -> float:
        return NOW_S + 100

    def call_at(self, when_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        raise NotImplementedError

    async def sleep_until(self, when_s: float) -> None:
        raise NotImplementedError


def broker_of(mosquitto: MosquittoBroker, prefix: str, **access: object) -> Broker:
    return Broker(place_of(f"{mosquitto.url}/{prefix}", "mqtt", "mqtts"), **access)  # type: ignore[arg-type]


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[MqttMonitoring]:
    client = MqttMonitoring(broker, f"dso-{broker.place.path}", At(), WallClock(), pauses=SOON)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def publishing(broker: Broker) -> AsyncIterator[MeasurementPublisher]:
    publisher = MeasurementPublisher(broker, f"scada-{broker.place.path}", WallClock(), pauses=SOON)
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not come to that"
        await asyncio.sleep(0.01)  # noqa: TID251 - a real broker takes real time


@pytest.fixture
def prefix() -> str:
    return f"lab-{uuid.uuid4().hex[:8]}/lv"


def test_measurements_come_as_they_are_published(mosquitto: MosquittoBroker, prefix: str) -> None:
    async def main() -> None:
        broker = broker_of(mosquitto, prefix)
        async with listening(broker) as client, publishing(broker) as publisher:
            sent = [measured(node, NOW_S + t) for t in (0, 60) for node in ("busbar", "h001")]
            await publisher.publish(sent)
            await until(lambda: client.counts["taken"] == 4)
            assert await client.measurements(NOW_S) == sent

    asyncio.run(main())


def test_who_comes_later_hears_the_newest_of_each_node(mosquitto: MosquittoBroker, prefix: str) -> None:
    async def main() -> None:
        broker = broker_of(mosquitto, prefix)
        async with publishing(broker) as publisher:
            await publisher.publish(measured(node, NOW_S + t) for t in (0, 60) for node in ("a", "b"))
        async with listening(broker) as client:
            await until(lambda: client.counts["taken"] == 2)
            assert {each.time_s for each in await client.measurements(0)} == {NOW_S + 60}

    asyncio.run(main())


def test_what_others_say_on_a_topic_is_counted_and_ends_nothing(
    mosquitto: MosquittoBroker, prefix: str
) -> None:
    async def main() -> None:
        broker = broker_of(mosquitto, prefix)
        async with listening(broker) as client, publishing(broker) as publisher:
            async with aiomqtt.Client("localhost", mosquitto.port) as stranger:
                for payload in (b"", b"\xff", b"{}", b"[1, 2]", b"x" * 100_000):
                    await stranger.publish(f"{prefix}/measurements/busbar", payload, qos=1)
            await publisher.publish([measured()])
            await until(lambda: client.counts["taken"] == 1)
            assert client.counts["malformed"] == 5

    asyncio.run(main())


def test_nothing_is_lost_while_the_listener_is_away(mosquitto: MosquittoBroker, prefix: str) -> None:
    async def main() -> None:
        broker = broker_of(mosquitto, prefix)
        async with listening(broker):
            pass
        sent = [measured(time_s=NOW_S + second) for second in range(100)]
        async with publishing(broker) as publisher:
            await publisher.publish(sent)
        async with listening(broker) as client:
            await until(lambda: client.counts["taken"] == 100)
            assert await client.measurements(NOW_S) == sent

    asyncio.run(main())


def test_a_broker_that_crashes_costs_no_measurement_that_the_system_still_has(
    mosquitto_of_ours: MosquittoBroker, prefix: str
) -> None:
    async def main() -> None:
        broker = broker_of(mosquitto_of_ours, prefix)
        sent = [measured(time_s=NOW_S + second) for second in range(90)]
        async with listening(broker) as client, publishing(broker) as publisher:
            for crash in range(3):
                await publisher.publish(sent[crash * 30 : crash * 30 + 10])
                await until(lambda: client.counts["taken"] == crash * 30 + 10)  # noqa: B023 - awaited here
                await mosquitto_of_ours.kill()
                await publisher.publish(sent[crash * 30 + 10 : crash * 30 + 29])
                await mosquitto_of_ours.start()
                await until(lambda: client.counts["connected"] == publisher.counts["connected"] == crash + 2)  # noqa: B023
                await publisher.publish(sent[crash * 30 + 29 : crash * 30 + 30])
                await until(lambda: client.counts["taken"] == crash * 30 + 30)  # noqa: B023
            assert await client.measurements(NOW_S) == sent
            assert client.counts["disconnected"] == 3

    asyncio.run(main())


def test_a_broker_that_is_away_is_waited_for(mosquitto_of_ours: MosquittoBroker, prefix: str) -> None:
    async def main() -> None:
        broker = broker_of(mosquitto_of_ours, prefix)
        await mosquitto_of_ours.kill()
        client = MqttMonitoring(broker, "dso", At(), WallClock(), pauses=SOON)
        await client.start(wait_s=0.2)
        with pytest.raises(Unavailable):
            await client.measurements(NOW_S)
        await mosquitto_of_ours.start()
        await until(lambda: client.counts["connected"] == 1)
        assert await client.measurements(NOW_S) == []
        await client.close()

    asyncio.run(main())


def test_accounts_and_tls(secured_mosquitto: MosquittoBroker, prefix: str) -> None:
    async def main() -> None:
        trust = trust_in(secured_mosquitto.ca_file)
        dso, field = (Login(name, secured_mosquitto.accounts[name]) for name in ("dso", "field"))
        listener = broker_of(secured_mosquitto, prefix, login=dso, trust=trust)
        speaker = broker_of(secured_mosquitto, prefix, login=field, trust=trust)
        async with listening(listener) as client, publishing(speaker) as publisher:
            await publisher.publish([measured()])
            await until(lambda: client.counts["taken"] == 1)
        guesser = broker_of(secured_mosquitto, prefix, login=Login("field", "guessed"), trust=trust)
        impostor = MeasurementPublisher(guesser, "impostor", WallClock(), pauses=SOON)
        with pytest.raises(Unavailable, match=r"(?i)not authori"):
            await impostor.start(wait_s=1)
        await impostor.close()

    asyncio.run(main())
