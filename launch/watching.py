"""Records for those who look on: a keeper on each host, and accounts for clients outside."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from agents.record_keeper import RecordKeeper, Watcher
from behaviours.agent import Agent
from behaviours.information.record_offering import CARRIES_RECORDS, RecordKeeperSettings, RecordOffering
from behaviours.ports import Recorder
from environments.live.record_client import WayIn
from environments.live.server import LocalServer
from environments.repository.offered_recorder import OfferedRecorder
from environments.simulation.clock import WallClock
from launch.parts import Part
from launch.scenario import Scenario
from ontology.errors import InvalidInput, problem

__all__ = ["KEEPER", "Watching", "keeper_parts", "watcher_parts"]

KEEPER = "record"
TURN_S = 0.25


def keeper_parts(scenario: Scenario, domains: Mapping[str, str]) -> Iterator[Part]:
    """Cast a keeper of the record on each host, where records are offered."""
    watch = scenario.watch
    if not watch.is_offered:
        return
    first = domains.get("", scenario.server.domain)
    hosts = [first, *sorted({*domains.values()} - {first})]
    clients = {part.address: name in watch.bodies for name, part in _watchers(scenario)}
    for host in hosts:
        is_first = host == first
        gatherer = {f"{KEEPER}@{first}": True} if watch.gather and not is_first else {}
        gathered = tuple(f"{KEEPER}@{each}" for each in hosts[1:]) if watch.gather and is_first else ()
        settings = RecordKeeperSettings(host, clients | gatherer, gathered)
        yield Part(RecordKeeper, f"{KEEPER}@{host}", settings)


def watcher_parts(scenario: Scenario) -> tuple[Part, ...]:
    """Return the members that no host runs: clients that look on."""
    return tuple(part for _, part in _watchers(scenario))


class Watching:
    """What a host does for those who look on, as long as it runs.

    Args: scenario: names them; recorder: writes the host's letters down, if any does.
    """

    def __init__(self, scenario: Scenario, recorder: Recorder | None) -> None:
        self._scenario = scenario
        self._files: list[Path] = []
        self._sending: asyncio.Task[None] | None = None
        self._tee = OfferedRecorder(recorder, {CARRIES_RECORDS}) if scenario.watch.is_offered else None
        self.recorder: Recorder | None = self._tee or recorder
        """What the agents write to."""

    def admit(self, server: LocalServer, passwords: Mapping[str, str]) -> None:
        """Give the clients accounts at a server that is not started yet."""
        for address, password in passwords.items():
            server.register(address, password)

    def begin(self, agents: Mapping[str, Agent]) -> None:
        """Offer what is recorded from now on."""
        keeper = next((agent for agent in agents.values() if isinstance(agent, RecordKeeper)), None)
        if self._tee is not None and keeper is not None:
            offering = keeper.behaviour(RecordOffering)
            self._tee.offer = offering.note
            self._sending = asyncio.create_task(_send(offering))

    def tell(self, server: LocalServer, passwords: Mapping[str, str]) -> None:
        """Write down each client's way in, for its owner's eyes only.

        Raises: InvalidInput when the folder cannot be written.
        """
        for address, password in passwords.items():
            way = WayIn(
                host=server.host,
                port=server.port,
                domain=server.domain,
                address=address,
                password=password,
                authority=server.ca_file.read_text(encoding="ascii"),
                keeper=f"{KEEPER}@{server.domain}",
            )
            file = Path(self._scenario.watch.folder) / f"{address.partition('@')[0]}.json"
            _write_private(file, msgspec.json.encode(way))
            self._files.append(file)

    async def end(self) -> None:
        """Offer nothing any more; ways in that lead nowhere are removed."""
        if self._sending is not None:
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending
        for file in self._files:
            file.unlink(missing_ok=True)


async def _send(offering: RecordOffering) -> None:
    clock = WallClock()
    while True:
        offering.send_waiting()
        await clock.sleep_until(clock.now_s() + TURN_S)


def _watchers(scenario: Scenario) -> Iterator[tuple[str, Part]]:
    for name in scenario.watch.clients:
        yield name, Part(Watcher, f"{name}@{scenario.server.domain}", None)


def _write_private(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise InvalidInput(
            problem("watch.folder", str(file), f"a place to write ({error.strerror})")
        ) from error
