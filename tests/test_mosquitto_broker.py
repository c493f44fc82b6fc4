"""The broker that tests about MQTT stand on: does it take whom it should, and come back after a crash?"""

import asyncio
import ssl

import aiomqtt
import pytest
from mosquitto_broker import MosquittoBroker

pytestmark = pytest.mark.server


async def said_to_itself(broker: MosquittoBroker, **access: object) -> bytes:
    async with aiomqtt.Client("localhost", broker.port, **access) as client:  # type: ignore[arg-type]
        await client.subscribe("greetings")
        await client.publish("greetings", b"good day", qos=1)
        return bytes((await anext(aiter(client.messages))).payload)


def test_an_open_broker_takes_everybody(mosquitto: MosquittoBroker) -> None:
    assert asyncio.run(said_to_itself(mosquitto)) == b"good day"


def test_a_secured_broker_takes_only_whom_it_knows(secured_mosquitto: MosquittoBroker) -> None:
    tls = ssl.create_default_context(cafile=secured_mosquitto.ca_file)
    password = secured_mosquitto.accounts["dso"]

    def told(**access: object) -> bytes:
        return asyncio.run(said_to_itself(secured_mosquitto, **access))

    assert told(username="dso", password=password, tls_context=tls) == b"good day"
    with pytest.raises(aiomqtt.MqttError):
        told(username="dso", password="guessed", tls_context=tls)
    with pytest.raises(aiomqtt.MqttError):
        told(tls_context=tls)
    with pytest.raises((aiomqtt.MqttError, ssl.SSLError)):
        told(username="dso", password=password, tls_context=ssl.create_default_context())


def test_a_broker_comes_back_on_its_port_after_a_crash(mosquitto_of_ours: MosquittoBroker) -> None:
    port = mosquitto_of_ours.port
    asyncio.run(mosquitto_of_ours.kill())
    assert not mosquitto_of_ours.running
    with pytest.raises(aiomqtt.MqttError):
        asyncio.run(said_to_itself(mosquitto_of_ours))
    asyncio.run(mosquitto_of_ours.start())
    assert mosquitto_of_ours.port == port
    assert asyncio.run(said_to_itself(mosquitto_of_ours)) == b"good day"
