"""A charging platform by OCPI 2.2.1 on real sockets: sessions read, profiles set, refusals and absence."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from ocpi_peer import OcpiPeer, session
from ocpp_helpers import instruction, of_kind

from environments.devices.ocpi import OcpiPlatform, OcpiSettings
from environments.repository.agent_store import MemoryAgentStore
from environments.simulation.clock import WallClock
from environments.wire.frames import iso
from ontology.charging import EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate
from ontology.control import InstructionState, Priority
from ontology.errors import Unavailable

TOKEN = "a-token-for-tests-only"


class Car:
    """Two EVSEs of a platform, and the platform."""

    def __init__(self, peer: OcpiPeer, platform: OcpiPlatform) -> None:
        self.peer, self.platform, self.now_s = peer, platform, int(WallClock().now_s())
        self.first, self.second = platform.devices()

    async def told(self, **changes: Any) -> InstructionState:
        status = await self.first.instruct(instruction("a", WallClock().now_s(), **changes))
        return status.status


def with_platform(
    act: Callable[[Car], Awaitable[None]], token: str = TOKEN, reachable: bool = True, **changes: Any
) -> None:
    async def main() -> None:
        async with OcpiPeer(TOKEN) as peer:
            settings = OcpiSettings(
                versions_url=f"{peer.url}/versions",
                evses={"evse-1": "a", "evse-2": "b"},
                poll_s=0,
                tokens={"T-1": "driver-1"},
                answers_url="http://127.0.0.1:{port}" if reachable else "",
                **changes,
            )
            platform = OcpiPlatform(settings, token, MemoryAgentStore(), WallClock())
            await platform.start()
            try:
                await act(Car(peer, platform))
            finally:
                await platform.close()

    asyncio.run(main())


def test_sessions_come_page_by_page_and_are_told_once() -> None:
    async def act(at: Car) -> None:
        began, later = iso(at.now_s - 1_800), iso(at.now_s - 900)
        others = [session(number, 1.0, began) for number in (7, 8, 9)]
        at.peer.sessions = [*others, session(1, 2.0, later, start_date_time=began)]
        reports = await at.first.percepts()
        (connection,), (progress,) = of_kind(EvConnectionEvent, reports), of_kind(EvSocUpdate, reports)
        assert (connection.asset_id, connection.vehicle) == ("a", "driver-1")
        assert (progress.energy_delivered_wh, progress.power_w) == (2_000, 8_000)
        assert await at.second.percepts() == []
        ended = iso(at.now_s)
        at.peer.sessions = [session(1, 3.25, ended, "COMPLETED", start_date_time=began, end_date_time=ended)]
        (end,) = of_kind(EvDisconnectionEvent, await at.first.percepts())
        assert (end.energy_delivered_wh, end.time_s) == (3_250, at.now_s)
        assert await at.first.percepts() == []

    with_platform(act)


def test_a_set_point_and_a_limit_are_one_profile_of_the_session() -> None:
    async def act(at: Car) -> None:
        assert await at.told(setpoint_w=9_000) is InstructionState.REJECTED  # nobody is there
        at.peer.sessions = [session(1, 0.0, iso(at.now_s))]
        await at.first.percepts()
        assert await at.told(setpoint_w=9_000) is InstructionState.STARTED
        assert await at.told(power_max_w=5_000, priority=Priority.DSO_RED) is InstructionState.STARTED
        (period,) = at.peer.profiles["s-1"]["charging_profile_period"]
        assert period == {"start_period": 0, "limit": 5_000.0}
        assert await at.told(mode="auto", priority=Priority.DSO_RED) is InstructionState.STARTED
        assert at.peer.profiles == {}
        at.peer.result = "REJECTED"
        assert await at.told(setpoint_w=9_000) is InstructionState.REJECTED

    with_platform(act)


def test_a_limit_waits_for_the_next_session() -> None:
    async def act(at: Car) -> None:
        await at.told(power_max_w=4_000, priority=Priority.DSO_RED)
        at.peer.sessions = [session(1, 0.0, iso(at.now_s))]
        await at.first.percepts()
        assert at.peer.profiles["s-1"]["charging_profile_period"][0]["limit"] == 4_000.0

    with_platform(act)


def test_a_site_that_cannot_be_reached_knows_only_that_a_profile_was_accepted() -> None:
    async def act(at: Car) -> None:
        at.peer.answers = False
        at.peer.sessions = [session(1, 0.0, iso(at.now_s))]
        await at.first.percepts()
        assert await at.told(setpoint_w=9_000) is InstructionState.ACCEPTED

    with_platform(act, reachable=False)


def test_a_platform_that_is_away_says_nothing_or_does_not_know_us_is_unavailable() -> None:
    async def act(at: Car) -> None:
        at.peer.sessions = [session(1, 0.0, iso(at.now_s))]
        await at.first.percepts()
        at.peer.answers = False
        with pytest.raises(Unavailable):
            await at.told(setpoint_w=9_000)
        at.peer.away = True
        with pytest.raises(Unavailable):
            await at.first.percepts()

    with_platform(act, answer_s=0.3)

    async def stranger(at: Car) -> None:
        with pytest.raises(Unavailable):
            await at.first.percepts()

    with_platform(stranger, token="another-token-of-16")


def test_results_are_taken_from_the_platform_only_and_malformed_sessions_left_out() -> None:
    async def act(at: Car) -> None:
        url = f"http://127.0.0.1:{at.platform.port}/ocpi/2.2.1/chargingprofiles/results/1"
        async with aiohttp.ClientSession() as client, client.post(url, json={"result": "ACCEPTED"}) as answer:
            assert answer.status == 401
        at.peer.sessions = [{"id": "odd"}, session(1, 0.0, "yesterday"), session(2, 1.0, iso(at.now_s))]
        assert of_kind(EvConnectionEvent, await at.second.percepts())
        assert at.platform.counts["sessions malformed"] == 2

    with_platform(act)
