"""A D-STATCOM over MQTT, through Mosquitto: acknowledged commands, last wills, crashes of broker and unit."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiomqtt
import msgspec
import pytest
from mosquitto_broker import MosquittoBroker
from unit_helpers import At, command, guarded, status_in

from environments.devices.dstatcom_commands import CommandTerms
from environments.devices.dstatcom_mqtt import MqttDstatcom
from environments.devices.dstatcom_mqtt_unit import MqttUnit
from environments.devices.dstatcom_unit import GuardedUnit
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.mqtt_link import Broker
from environments.wire.pauses import Pauses
from ontology.errors import Unavailable
from ontology.grid import DstatcomCommand, DstatcomMode

pytestmark = pytest.mark.server

SOON = Pauses(first_s=0.05, factor=2, longest_s=0.2)
TERMS = CommandTerms(valid_s=60, answer_s=0.5)


class Cabinet:
    """A unit at a broker, and the adapter that commands it."""

    def __init__(self, mosquitto: MosquittoBroker) -> None:
        self.broker = Broker(place_of(f"{mosquitto.url}/lab-{uuid.uuid4().hex[:8]}", "mqtt"))
        self.clock = At()
        self.guarded: GuardedUnit = guarded(self.clock)
        self.asset_id = self.guarded.asset_id
        self.unit = MqttUnit(self.guarded, self.broker, WallClock(), pauses=SOON)
        self.adapter = MqttDstatcom(
            self.asset_id, self.broker, "dso", self.clock, WallClock(), terms=TERMS, silent_s=1, pauses=SOON
        )

    async def order(self, mode: DstatcomMode, power_w: tuple[int, ...] = ()) -> None:
        await self.adapter.command(DstatcomCommand(asset_id=self.asset_id, mode=mode, power_w=list(power_w)))

    async def mode(self) -> DstatcomMode | None:
        """Return what the unit says that it does; None when it is not there."""
        try:
            return status_in(await self.adapter.percepts()).mode
        except Unavailable:
            return None


@asynccontextmanager
async def cabinet_at(mosquitto: MosquittoBroker) -> AsyncIterator[Cabinet]:
    cabinet = Cabinet(mosquitto)
    await cabinet.adapter.start()
    await cabinet.unit.start()
    await cabinet.unit.tell()
    try:
        yield cabinet
    finally:
        await cabinet.adapter.close()
        await cabinet.unit.close()


async def soon(condition: Callable[[], object], seconds: float = 8.0) -> None:
    end = time.perf_counter() + seconds
    while not (found := condition()) or (asyncio.iscoroutine(found) and not await found):
        assert time.perf_counter() < end, "it did not come to that"
        await asyncio.sleep(0.02)  # noqa: TID251 - a real broker takes real time


async def is_in(cabinet: Cabinet, mode: DstatcomMode | None) -> bool:
    return await cabinet.mode() is mode


def test_a_command_reaches_the_converter_and_its_state_comes_back(mosquitto: MosquittoBroker) -> None:
    async def main() -> None:
        async with cabinet_at(mosquitto) as cabinet:
            await cabinet.order(DstatcomMode.SETPOINT, (6_000, 0, 0))
            await soon(lambda: is_in(cabinet, DstatcomMode.SETPOINT))
            status = status_in(await cabinet.adapter.percepts())
            assert status.power_w == pytest.approx([4_000, -2_000, -2_000], abs=90)
            assert cabinet.adapter.counts["acknowledged"] == 1

    asyncio.run(main())


def test_a_unit_that_goes_or_says_nothing_is_unavailable(mosquitto: MosquittoBroker) -> None:
    async def main() -> None:
        async with cabinet_at(mosquitto) as cabinet:
            await soon(lambda: is_in(cabinet, DstatcomMode.OFF))
            await soon(lambda: is_in(cabinet, None), 5)
            with pytest.raises(Unavailable, match="silent"):
                await cabinet.adapter.percepts()
            await cabinet.unit.tell()
            await soon(lambda: is_in(cabinet, DstatcomMode.OFF))
            await cabinet.unit.close()
            await soon(lambda: is_in(cabinet, None))
            with pytest.raises(Unavailable, match="offline"):
                await cabinet.adapter.percepts()
            with pytest.raises(Unavailable, match="acknowledge"):
                await cabinet.order(DstatcomMode.VOLT)

    asyncio.run(main())


def test_a_broker_that_crashes_costs_no_command(mosquitto_of_ours: MosquittoBroker) -> None:
    async def main() -> None:
        async with cabinet_at(mosquitto_of_ours) as cabinet:
            await cabinet.order(DstatcomMode.SETPOINT, (6_000, 0, 0))
            await mosquitto_of_ours.kill()
            with pytest.raises(Unavailable):
                await cabinet.order(DstatcomMode.VOLT)
            assert (await cabinet.guarded.status()).mode is DstatcomMode.SETPOINT
            await mosquitto_of_ours.start()
            await soon(lambda: cabinet.adapter.counts["connected"] == cabinet.unit.counts["connected"] == 2)
            await cabinet.unit.tell()
            await soon(lambda: is_in(cabinet, DstatcomMode.VOLT))  # given again when the state is asked for
            assert cabinet.guarded.counts["taken"] == 2

    asyncio.run(main())


def test_a_command_that_somebody_left_at_the_broker_is_not_obeyed(mosquitto: MosquittoBroker) -> None:
    async def main() -> None:
        cabinet = Cabinet(mosquitto)
        topic = f"{cabinet.broker.place.path}/{cabinet.asset_id}/command"
        async with aiomqtt.Client("localhost", mosquitto.port) as stranger:
            await stranger.publish(topic, command(cabinet.clock), qos=1, retain=True)
            await cabinet.unit.start()
            await soon(lambda: cabinet.unit.counts["retained commands"] == 1)
            await stranger.publish(topic, b"", qos=1, retain=True)
        assert cabinet.guarded.counts["taken"] == 0
        await cabinet.unit.close()

    asyncio.run(main())


def test_frames_that_are_wrong_are_counted_and_answered(mosquitto: MosquittoBroker) -> None:
    async def main() -> None:
        async with cabinet_at(mosquitto) as cabinet:
            base = f"{cabinet.broker.place.path}/{cabinet.asset_id}"
            async with aiomqtt.Client("localhost", mosquitto.port) as stranger:
                await stranger.subscribe(f"{base}/acknowledgement", qos=1)
                await stranger.publish(f"{base}/status", b'{"asset": "another"}', qos=1)
                await stranger.publish(f"{base}/command", command(cabinet.clock, mode="FULL"), qos=1)
                async for message in stranger.messages:
                    answer = msgspec.json.decode(message.payload)
                    break
            assert (answer["accepted"], answer["problems"][0]["path"]) == (False, "mode")
            await soon(lambda: cabinet.adapter.counts["malformed"] == 1)
            await soon(lambda: is_in(cabinet, DstatcomMode.OFF))

    asyncio.run(main())
