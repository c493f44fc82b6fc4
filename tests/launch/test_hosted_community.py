"""The console over a live community: who runs, stop and start, letters within a second, watchers outside."""

import asyncio
import stat
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from environments.http.access_database import AccessDatabase
from environments.http.console.sessions import COOKIE, SIGN_HEADER, sign_of
from environments.http.tokens import TokenStore
from environments.live.record_client import RecordClient, SpadeLink, read_way_in
from environments.repository.recorder import SqliteRecorder
from environments.simulation.clock import WallClock
from launch.live import LiveCommunity
from launch.scenario import load_scenario
from launch.schema.interface import Api
from launch.serving import Front
from ontology.errors import Refused

PV = "h002-pv@localhost"


class Evening:
    """What happened in a laboratory that ran live with its console and two watchers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.access = f"sqlite:///{folder / 'access.sqlite'}"
        asyncio.run(self._pass())

    async def _pass(self) -> None:
        watch = {"watch.clients": ["ann", "ben"], "watch.bodies": ["ann"], "watch.folder": str(self.folder)}
        scenario = load_scenario("launch/scenarios/laboratory.yaml", {"intervals": 4, **watch})
        with closing(AccessDatabase(self.access)) as database:
            token, _ = TokenStore(database, WallClock().now_s).create("op", "market-operator")
        recorder = SqliteRecorder(self.folder / "messages.sqlite")
        async with LiveCommunity(scenario, recorder=recorder) as run:
            api = Api(port=0, database=self.access)
            async with (
                Front(api, lambda told: None).opened(run) as server,
                httpx.AsyncClient(base_url=server.url) as console,
            ):
                await console.post("/console/sign-in", data={"token": token})
                self.sign = {SIGN_HEADER: sign_of(console.cookies[COOKIE])}
                await self._look_on(run)
                await self._steer(run, console)
        recorder.close()

    async def _look_on(self, run: LiveCommunity) -> None:
        files = {name: self.folder / f"{name}.json" for name in ("ann", "ben")}
        self.modes = {stat.S_IMODE(file.stat().st_mode) for file in files.values()}
        ways = {name: read_way_in(file.read_bytes(), name) for name, file in files.items()}
        self.seen: list[tuple[str, str]] = []
        async with RecordClient(SpadeLink(ways["ann"]), ways["ann"]) as client:
            looking = asyncio.create_task(self._note(client))
            await run.step()
            async with asyncio.timeout(20):
                while not self.seen:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.05)  # noqa: TID251 - letters take real time
            looking.cancel()
        async with RecordClient(SpadeLink(ways["ben"]), ways["ben"]) as client:
            with pytest.raises(Refused, match="right of its own"):
                await anext(client.batches(bodies=True))

    async def _note(self, client: RecordClient) -> None:
        async for batch in client.batches(bodies=True):
            self.seen += [(note.message_type, note.body) for note in batch.letters]

    async def _steer(self, run: LiveCommunity, console: httpx.AsyncClient) -> None:
        await run.step()
        await asyncio.sleep(1.5)  # noqa: TID251 - letters are written down each second
        self.letters = (await console.get("/console/letters?agent=dso")).text
        self.agent = (await console.get(f"/console/agents/{PV}")).text
        typed = {"confirmation": "h002-pv"}
        self.stopped = (await console.post(f"/console/agents/{PV}/stop", data=typed, headers=self.sign)).text
        self.again = await console.post(f"/console/agents/{PV}/stop", data=typed, headers=self.sign)
        await run.step()
        self.started = (await console.post(f"/console/agents/{PV}/start", headers=self.sign)).text
        await run.step()
        self.missed = run.clock.missed
        self.errors = run.community.counts().get("errors", 0)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return Evening(tmp_path_factory.mktemp("evening"))


def test_letters_are_there_within_a_second(evening: Evening) -> None:
    assert evening.letters.count("<tr data-number") > 5


def test_an_agent_is_shown_with_what_it_does(evening: Evening) -> None:
    assert "parity:WeatherForecast" in evening.agent
    assert "running" in evening.agent


def test_an_agent_is_stopped_once_and_started_again(evening: Evening) -> None:
    assert ">stopped<" in evening.stopped
    assert evening.again.status_code == 403
    assert ">running<" in evening.started


def test_nobody_waits_for_one_that_was_stopped(evening: Evening) -> None:
    assert evening.missed == 0
    assert evening.errors == 0


def test_a_watcher_outside_reads_letters_as_an_xmpp_client(evening: Evening) -> None:
    assert any(body.startswith("{") for _, body in evening.seen)
    assert not any("RecordedLetters" in kind for kind, _ in evening.seen)


def test_ways_in_are_for_their_owners_only_and_removed_in_the_end(evening: Evening) -> None:
    assert evening.modes == {0o600}
    assert not list(evening.folder.glob("*.json"))
