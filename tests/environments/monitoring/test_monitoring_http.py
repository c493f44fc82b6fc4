"""A DSO's monitoring system by HTTP, over real sockets: pages, tokens, failures, and pauses that grow."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from monitoring_samples import NOW_S, measured

from environments.monitoring import HttpMonitoring, MonitoringServer
from environments.monitoring.intake import IntakeRules
from environments.simulation.clock import WallClock
from environments.wire.addresses import place_of
from environments.wire.http_link import Service
from environments.wire.http_service import HttpService
from environments.wire.pauses import Pauses
from ontology.errors import Unavailable

TOKEN = "a-token-for-tests-only"


class At:
    """A clock that stands where it is put."""

    def __init__(self, now_s: float) -> None:
        self.value_s = now_s

    def now_s(self) -> float:
        return self.value_s

    def call_at(self, when_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        raise NotImplementedError

    async def sleep_until(self, when_s: float) -> None:
        self.value_s = max(self.value_s, when_s)


class Scada:
    """A monitoring system that listens, and a client of it."""

    def __init__(self, token: str = TOKEN, **client: object) -> None:
        self.history = MonitoringServer()
        self.service = HttpService(TOKEN, self.history.routes)
        self.clock, self.network = At(NOW_S + 600), At(0)
        self._token, self._client = token, client

    async def __aenter__(self) -> "Scada":
        await self.service.start("127.0.0.1")
        place = place_of(self.service.url, "http")
        self.monitoring = HttpMonitoring(
            Service(place, self._token),
            self.clock,
            self.network,
            pauses=Pauses(first_s=1, factor=2, longest_s=60),
            **self._client,  # type: ignore[arg-type]
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.monitoring.close()
        await self.service.close()

    async def got(self, path: str, token: str = TOKEN) -> tuple[int, object]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.service.url + path, headers=headers) as it,
        ):
            return it.status, await it.json()


def with_scada(act: Callable[[Scada], Awaitable[None]], **arguments: object) -> None:
    async def main() -> None:
        async with Scada(**arguments) as scada:  # type: ignore[arg-type]
            await act(scada)

    asyncio.run(main())


def test_what_was_measured_since_a_time_comes_in_order() -> None:
    async def act(scada: Scada) -> None:
        old, new = measured(time_s=NOW_S - 60), measured(time_s=NOW_S + 540)
        scada.history.publish([new, measured("h001", NOW_S + 540), old])
        assert await scada.monitoring.measurements(NOW_S) == [new, measured("h001", NOW_S + 540)]
        assert (await scada.monitoring.measurements(0))[0] == old

    with_scada(act)


def test_a_long_absence_is_made_up_for_page_by_page() -> None:
    async def act(scada: Scada) -> None:
        everything = [measured(f"h{i:03d}", NOW_S + t) for t in range(0, 600, 10) for i in range(45)]
        scada.history.publish(everything)
        assert await scada.monitoring.measurements(NOW_S) == everything
        latest = measured("h000", NOW_S + 600)
        scada.history.publish([latest])
        assert (await scada.monitoring.measurements(NOW_S + 600)) == [latest]
        assert scada.monitoring.counts["taken"] == len(everything) + 1

    with_scada(act)


def test_a_value_that_comes_late_is_not_missed() -> None:
    async def act(scada: Scada) -> None:
        scada.history.publish([measured(time_s=NOW_S + 540)])
        await scada.monitoring.measurements(NOW_S)
        late = measured("h001", NOW_S + 480)
        scada.history.publish([late])
        assert late in await scada.monitoring.measurements(NOW_S)

    with_scada(act)


def test_who_has_no_token_learns_nothing() -> None:
    async def act(scada: Scada) -> None:
        with pytest.raises(Unavailable, match="token"):
            await scada.monitoring.measurements(NOW_S)
        for path in ("/measurements", "/measurements/latest", "/nodes", "/elsewhere"):
            assert (await scada.got(path, "guessed"))[0] == 401

    with_scada(act, token="another-token-of-16")


def test_a_question_that_is_none_is_answered_with_all_that_is_wrong() -> None:
    async def act(scada: Scada) -> None:
        status, told = await scada.got("/measurements?since=noon&until=1200-01-01&limit=0&nodes=a")
        assert status == 422
        assert isinstance(told, dict)
        assert [each["path"] for each in told["problems"]] == ["since", "until", "limit", "nodes"]
        assert (await scada.got("/measurements?since=2024-01-10T18:00:00%2B01:00"))[0] == 200
        assert (await scada.got("/elsewhere"))[0] == 404

    with_scada(act)


def test_the_newest_of_each_node() -> None:
    async def act(scada: Scada) -> None:
        scada.history.publish([measured(time_s=NOW_S), measured(time_s=NOW_S + 60), measured("h001")])
        _, told = await scada.got("/measurements/latest?node=busbar")
        assert isinstance(told, dict)
        assert [(each["node"], each["time"]) for each in told["measurements"]] == [
            ("busbar", "2024-01-10T17:01:00Z")
        ]
        assert (await scada.got("/nodes"))[1] == {"nodes": ["busbar", "h001"]}

    with_scada(act)


def test_a_system_that_is_away_is_left_alone_for_longer_each_time_and_loses_nothing() -> None:
    async def act(scada: Scada) -> None:
        scada.history.publish([measured(time_s=NOW_S + 540)])
        port = scada.service.port
        await scada.service.close()
        tried_at = []
        for second in range(16):
            scada.network.value_s = float(second)
            with pytest.raises(Unavailable):
                await scada.monitoring.measurements(NOW_S)
            tried_at.append(scada.monitoring._link._failures)  # how many attempts were made by then
        assert [tried_at.index(n) for n in (1, 2, 3, 4, 5)] == [0, 1, 3, 7, 15]
        scada.service = HttpService(TOKEN, scada.history.routes)
        await scada.service.start("127.0.0.1", port)
        scada.history.publish([measured("h001", NOW_S + 600)])
        scada.network.value_s = 100.0
        assert len(await scada.monitoring.measurements(NOW_S)) == 2

    with_scada(act)


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[]", b'{"measurements": 5}', b'{"measurements": [], "next": "x"}', b"<html>"],
)
def test_a_system_that_talks_nonsense_is_unavailable(answer: bytes) -> None:
    async def main() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
            )
            writer.write(head.encode() + answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        place = place_of(f"http://127.0.0.1:{port}", "http")
        client = HttpMonitoring(Service(place, TOKEN), At(NOW_S), WallClock())
        with pytest.raises(Unavailable):
            await client.measurements(NOW_S)
        await client.close()
        server.close()

    asyncio.run(main())


def test_frames_that_are_wrong_are_left_out_and_the_rest_is_taken() -> None:
    async def act(scada: Scada) -> None:
        scada.history.publish([measured(time_s=NOW_S + 540), measured("unknown", NOW_S + 540)])
        assert await scada.monitoring.measurements(NOW_S) == [measured(time_s=NOW_S + 540)]
        assert scada.monitoring.counts == {"taken": 1, "unknown nodes": 1}

    with_scada(act, rules=IntakeRules(nodes={"busbar"}))
