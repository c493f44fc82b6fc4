"""Devices at a real broker: what they tell, how they are told, and what happens when they are gone."""

import asyncio
import time
import uuid
from contextlib import asynccontextmanager, suppress

import aiomqtt
import msgspec
import pytest

from environments.devices.mqtt import MqttDevice
from environments.devices.topic_map import TopicMap
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.mqtt_link import Broker
from environments.wire.pauses import Pauses
from ontology.control import Instruction, InstructionState
from ontology.errors import Unavailable
from ontology.storage import StorageStatus

pytestmark = pytest.mark.server

SOON = Pauses(first_s=0.05, factor=2, longest_s=0.3)


def battery_map(home, **changes):
    data = {
        "asset": "h001-bess",
        "kind": "storage",
        "values": [
            {"quantity": "power_w", "topic": f"{home}/state", "path": "$.inverter[0].kw", "scale": 1000,
             "sign": -1},
            {"quantity": "state_of_charge", "topic": f"{home}/state", "path": "$.soc", "scale": 0.01},
        ],
        "availability": {"topic": f"{home}/online"},
        "commands": [
            {"for": "setpoint_w", "topic": f"{home}/set", "scale": 0.001, "sign": -1,
             "template": '{"kw": {value}, "id": "{id}"}'},
            {"for": "release", "topic": f"{home}/set", "template": '{"auto": {value}, "id": "{id}"}'},
        ],
        "acknowledgement": {"topic": f"{home}/ack", "path": "$.id", "status_path": "$.status"},
        "answer_s": 1.0,
    }  # fmt: skip
    return msgspec.convert(data | changes, TopicMap)


class BatteryInverter:
    """A battery at the broker that counts discharging positive, in kW, and does what it is told."""

    def __init__(self, client, home, status="ok"):
        self.client, self.home, self.status = client, home, status
        self.kw, self.told = 1.5, []

    async def announce(self):
        await self.client.publish(f"{self.home}/online", "online", qos=1, retain=True)
        await self.client.subscribe(f"{self.home}/set", qos=1)
        await self.tell()

    async def tell(self):
        state = msgspec.json.encode({"inverter": [{"kw": self.kw}], "soc": 40})
        await self.client.publish(f"{self.home}/state", state, qos=1, retain=True)

    async def obey(self):
        async for message in self.client.messages:
            wanted = msgspec.json.decode(message.payload)
            self.told.append(wanted)
            self.kw = wanted.get("kw", 0.0)
            answer = msgspec.json.encode({"id": wanted["id"], "status": self.status})
            await self.client.publish(f"{self.home}/ack", answer, qos=1)
            await self.tell()


async def until(condition, seconds=10.0):
    end = time.perf_counter() + seconds
    while not await condition():
        assert time.perf_counter() < end, "it did not come to that"
        await asyncio.sleep(0.01)  # noqa: TID251 - a real broker takes real time


async def reports(device):
    try:
        return bool(await device.percepts())
    except Unavailable:
        return False


@asynccontextmanager
async def at_home(mosquitto, *, status="ok", obeys=True, **changes):
    home = f"home-{uuid.uuid4().hex[:8]}"
    will = aiomqtt.Will(f"{home}/online", "offline", qos=1, retain=True)
    broker = Broker(place_of(mosquitto.url, "mqtt"))
    device = MqttDevice(battery_map(home, **changes), broker, WallClock(), pauses=SOON)
    async with aiomqtt.Client("localhost", mosquitto.port, identifier=home, will=will) as client:
        inverter = BatteryInverter(client, home, status)
        await inverter.announce()
        work = asyncio.create_task(inverter.obey()) if obeys else None
        await device.start()
        try:
            await until(lambda: reports(device))
            yield device, inverter
        finally:
            await device.close()
            if work is not None:
                work.cancel()
                await asyncio.wait([work], timeout=0.5)


def wish(power_w=-2_500, *, after_s=0, for_s=60, **other):
    now_s = int(WallClock().now_s())
    return Instruction(
        instruction_id=uuid.uuid4().hex,
        asset_id="h001-bess",
        execution_time_s=now_s + after_s,
        valid_until_s=now_s + for_s,
        **(other or {"setpoint_w": power_w}),
    )


def test_what_a_device_tells_comes_in_our_units_and_signs(mosquitto):
    async def story():
        async with at_home(mosquitto) as (device, _):
            return device.name, await device.percepts()

    name, (status,) = asyncio.run(story())
    assert name == "bess"
    assert isinstance(status, StorageStatus)
    assert (status.power_w, status.state_of_charge) == (-1_500, pytest.approx(0.4))


def test_a_set_point_reaches_the_device_which_says_so_and_is_given_back_when_it_is_over(mosquitto):
    async def story():
        async with at_home(mosquitto) as (device, inverter):
            status = await device.instruct(wish(for_s=2))
            began = list(inverter.told)
            await until(lambda: asyncio.sleep(0, len(inverter.told) == 2))  # noqa: TID251 - a turn of the loop
            return status.status, began, inverter.told[1]

    status, (first,), last = asyncio.run(story())
    assert status is InstructionState.STARTED
    assert first["kw"] == 2.5
    assert last["auto"] == 0


def test_what_begins_later_is_accepted_and_carried_out_in_time(mosquitto):
    async def story():
        async with at_home(mosquitto) as (device, inverter):
            status = await device.instruct(wish(after_s=2))
            before = list(inverter.told)
            await until(lambda: asyncio.sleep(0, bool(inverter.told)))  # noqa: TID251 - a turn of the loop
            return status.status, before

    assert asyncio.run(story()) == (InstructionState.ACCEPTED, [])


@pytest.mark.parametrize(
    "told", [{"setpoint_degc": 21.0}, {"mode": "turbo"}, {"power_max_w": 100, "setpoint_w": 50}]
)
def test_what_the_map_has_no_command_for_is_rejected(mosquitto, told):
    async def story():
        async with at_home(mosquitto) as (device, inverter):
            return (await device.instruct(wish(**told))).status, inverter.told

    assert asyncio.run(story()) == (InstructionState.REJECTED, [])


def test_a_device_that_will_not_is_rejected_and_one_that_is_silent_is_unavailable(mosquitto):
    async def story(**manners):
        async with at_home(mosquitto, **manners) as (device, _):
            return (await device.instruct(wish())).status

    assert asyncio.run(story(status="busy")) is InstructionState.REJECTED
    with pytest.raises(Unavailable, match="acknowledge"):
        asyncio.run(story(obeys=False))


def test_the_last_will_of_a_device_makes_it_unavailable(mosquitto):
    async def story():
        async with (
            at_home(mosquitto) as (device, inverter),
            aiomqtt.Client("localhost", mosquitto.port, identifier=inverter.home),
        ):
            await until(lambda: _is_away(device))  # the broker has dropped the first connection
            with pytest.raises(Unavailable, match="offline"):
                await device.instruct(wish())

    async def _is_away(device):
        return not await reports(device)

    with suppress(aiomqtt.MqttError):  # the device's own client, whose connection was cut
        asyncio.run(story())


def test_old_values_are_none(mosquitto):
    async def story():
        async with at_home(mosquitto, stale_after_s=1) as (device, _):
            await until(lambda: _is_away(device))

    async def _is_away(device):
        return not await reports(device)

    asyncio.run(story())


def test_noise_is_counted_and_the_last_good_value_stays(mosquitto):
    async def story():
        async with at_home(mosquitto) as (device, inverter):
            for noise in (b"\xff\x00", b"[1]", b'{"inverter": [{"kw": "lots"}], "soc": true}', b"{}"):
                await inverter.client.publish(f"{inverter.home}/state", noise, qos=1)
            await until(lambda: asyncio.sleep(0, device.counts["malformed"] >= 8))  # noqa: TID251
            return await device.percepts()

    (status,) = asyncio.run(story())
    assert status.power_w == -1_500
