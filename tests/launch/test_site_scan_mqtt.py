"""A scan at a real broker: what devices have announced becomes a topic map."""

import asyncio
import json

import aiomqtt
import pytest

from environments.wire.addresses import place_of
from environments.wire.mqtt_link import Broker
from launch.site.scanning import announced_at, fragment_of_topics

pytestmark = pytest.mark.server


def test_what_was_announced_before_is_found(mosquitto):
    announcement = {
        "device_class": "power",
        "unit_of_measurement": "W",
        "state_topic": "shed/meter",
        "device": {"identifiers": ["shed"], "name": "Shed"},
    }

    async def look():
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            topic = "homeassistant/sensor/shed/config"
            await client.publish(topic, json.dumps(announcement), qos=1, retain=True)
            found = await announced_at(
                Broker(place_of(f"mqtt://{mosquitto.host}:{mosquitto.port}", "mqtt")), listen_s=0.5
            )
            await client.publish(topic, b"", qos=1, retain=True)
        return found

    found = asyncio.run(look())
    assert "# Shed: a topic map" in fragment_of_topics(found)
    assert "topic: shed/meter" in fragment_of_topics(found)
