"""Charge points that come while a scan listens are named and turned away."""

import asyncio

import websockets
from mosquitto_broker import free_port
from websockets.exceptions import InvalidStatus

from environments.devices.modbus.address import ModbusAddress
from environments.devices.ocpp_knocking import Knock, heard_knocking
from environments.simulation.clock import WallClock
from launch.site.scanning import fragment_of_knocks


async def knock(port, path, *versions):
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", subprotocols=list(versions)):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def test_a_charge_point_is_named_and_told_to_come_later():
    async def story():
        port, clock = free_port(), WallClock()
        listening = asyncio.create_task(heard_knocking(ModbusAddress("127.0.0.1", port), clock, 1.0))
        await clock.sleep_until(clock.now_s() + 0.2)
        statuses = [
            await knock(port, "/ocpp/GARAGE%201", "ocpp1.6"),
            await knock(port, "/CP2", "ocpp2.0.1", "ocpp1.6"),
            await knock(port, "/chat", "xmpp"),
        ]
        return statuses, await listening

    statuses, found = asyncio.run(story())
    assert statuses == [503, 503, 503]
    assert found == [
        Knock("GARAGE 1", "127.0.0.1", ("1.6J",), False),
        Knock("CP2", "127.0.0.1", ("2.0.1", "1.6J"), False),
    ]
    assert "identity: CP2\n      password_file: CP2.password" in fragment_of_knocks(found)
