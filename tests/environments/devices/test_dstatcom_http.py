"""A D-STATCOM over HTTP, on real sockets: acknowledgements, failures on the way, renewal."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from unit_helpers import At, command, guarded, status_in

from environments.devices.dstatcom_commands import CommandTerms
from environments.devices.dstatcom_http import HttpDstatcom
from environments.devices.dstatcom_http_unit import dstatcom_routes
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.http_link import Service
from environments.wire.http_service import HttpService
from ontology.errors import Refused, Unavailable
from ontology.grid import DstatcomCommand, DstatcomMode, GridMeasurement

TOKEN = "a-token-for-tests-only"
TERMS = CommandTerms(valid_s=60, answer_s=0.5)


class Cabinet:
    """A unit that listens, and the adapter that commands it."""

    def __init__(self, token: str = TOKEN) -> None:
        self.clock = At()
        self.unit = guarded(self.clock)
        self.service = HttpService(TOKEN, dstatcom_routes([self.unit]))
        self._token = token

    async def __aenter__(self) -> "Cabinet":
        await self.service.start("127.0.0.1")
        place = place_of(f"{self.service.url}/dstatcoms/{self.unit.asset_id}", "http")
        service = Service(place, self._token)
        self.adapter = HttpDstatcom(self.unit.asset_id, service, self.clock, WallClock(), terms=TERMS)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.adapter.close()
        await self.service.close()

    async def order(self, mode: DstatcomMode, power_w: tuple[int, ...] = ()) -> None:
        order = DstatcomCommand(asset_id=self.unit.asset_id, mode=mode, power_w=list(power_w))
        await self.adapter.command(order)


def with_cabinet(act: Callable[[Cabinet], Awaitable[None]], token: str = TOKEN) -> None:
    async def main() -> None:
        async with Cabinet(token) as cabinet:
            await act(cabinet)

    asyncio.run(main())


def test_a_command_reaches_the_converter_and_its_state_comes_back() -> None:
    async def act(cabinet: Cabinet) -> None:
        await cabinet.order(DstatcomMode.SETPOINT, (6_000, 0, 0))
        percepts = await cabinet.adapter.percepts()
        status = status_in(percepts)
        assert status.mode is DstatcomMode.SETPOINT
        assert status.power_w == pytest.approx([4_000, -2_000, -2_000], abs=90)
        assert status.rated_va == 30_000
        assert any(isinstance(each, GridMeasurement) for each in percepts)
        assert cabinet.adapter.counts == {"acknowledged": 1}

    with_cabinet(act)


def test_a_command_in_force_is_given_again_while_somebody_asks_and_runs_out_when_nobody_does() -> None:
    async def act(cabinet: Cabinet) -> None:
        await cabinet.order(DstatcomMode.SETPOINT, (6_000, 0, 0))
        for _ in range(10):
            cabinet.clock.value_s += 20
            assert status_in(await cabinet.adapter.percepts()).mode is DstatcomMode.SETPOINT
        assert cabinet.adapter.counts["renewed"] == 10
        cabinet.clock.value_s += 60
        assert (await cabinet.unit.status()).mode is DstatcomMode.OFF

    with_cabinet(act)


def test_a_command_whose_answer_is_lost_is_sent_again_and_done_once() -> None:
    async def act(cabinet: Cabinet) -> None:
        taken, answers = cabinet.unit.take, []

        async def slow_first(raw: bytes):
            answers.append(await taken(raw))
            if len(answers) == 1:
                await WallClock().sleep_until(WallClock().now_s() + 2 * TERMS.answer_s)
            return answers[-1]

        cabinet.unit.take = slow_first  # type: ignore[method-assign]
        await cabinet.order(DstatcomMode.VOLT)
        assert cabinet.unit.counts == {"taken": 1, "repeated": 1}
        assert cabinet.adapter.counts == {"not answered": 1, "acknowledged": 1}

    with_cabinet(act)


def test_a_unit_that_is_away_is_unavailable_and_gets_its_last_command_when_it_is_back() -> None:
    async def act(cabinet: Cabinet) -> None:
        port = cabinet.service.port
        await cabinet.service.close()
        with pytest.raises(Unavailable):
            await cabinet.order(DstatcomMode.VOLT)
        with pytest.raises(Unavailable):
            await cabinet.adapter.percepts()
        cabinet.service = HttpService(TOKEN, dstatcom_routes([cabinet.unit]))
        await cabinet.service.start("127.0.0.1", port)
        await WallClock().sleep_until(WallClock().now_s() + 1.7)
        assert status_in(await cabinet.adapter.percepts()).mode is DstatcomMode.VOLT

    with_cabinet(act)


def test_what_the_unit_will_not_do_is_refused_and_not_tried_again() -> None:
    async def act(cabinet: Cabinet) -> None:
        await cabinet.unit.take(command(At(cabinet.clock.now_s() + 30), command_id="newer"))
        with pytest.raises(Refused, match="not before the command in force"):
            await cabinet.order(DstatcomMode.VOLT)
        cabinet.clock.value_s += 30
        assert status_in(await cabinet.adapter.percepts()).mode is DstatcomMode.BALANCE

    with_cabinet(act)


def test_who_has_no_token_neither_sees_nor_commands() -> None:
    async def act(cabinet: Cabinet) -> None:
        with pytest.raises(Refused):
            await cabinet.order(DstatcomMode.VOLT)
        with pytest.raises(Unavailable):
            await cabinet.adapter.percepts()
        assert cabinet.unit.counts == {}

    with_cabinet(act, token="another-token-of-16")


def test_commands_by_hand_are_answered_as_http_does() -> None:
    async def act(cabinet: Cabinet) -> None:
        url = f"{cabinet.service.url}/dstatcoms"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(headers=headers) as session:

            async def post(raw: bytes, unit: str = cabinet.unit.asset_id) -> int:
                async with session.post(f"{url}/{unit}/commands", data=raw) as answer:
                    return answer.status

            async with session.get(url) as answer:
                assert await answer.json() == {"dstatcoms": [cabinet.unit.asset_id]}
            assert await post(command(cabinet.clock)) == 200
            assert await post(command(At(cabinet.clock.now_s() - 600), command_id="old")) == 409
            assert await post(command(cabinet.clock, command_id="odd", mode="FULL")) == 422
            assert await post(b"x" * 100_000) == 413
            assert await post(command(cabinet.clock), unit="elsewhere") == 404

    with_cabinet(act)
