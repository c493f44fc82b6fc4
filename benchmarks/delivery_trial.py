"""Two processes that talk over Prosody while one is killed, the server restarted, or the link cut.

`Trial` starts them, does the harm and says what came of it: which letters each side has read, how often,
and how long it took after each harm until something said later had been answered.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.delivery_peer import PeerSettings
from environments.live.prosody import ProsodyServer
from environments.live.server import new_accounts

PATIENCE_S = 120.0


class Link:
    """A TCP link to the server that can be cut, and comes back from another address."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._addresses = 0
        self._wires: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False
        self._up = asyncio.Event()
        self._up.set()

    async def open(self) -> int:
        """Listen, and return the port."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def cut(self, seconds: float, *, silently: bool) -> None:
        """Carry nothing for a while, and then only what is connected anew, from the next address."""
        self._up.clear()
        self._silent = silently
        if not silently:
            self._drop()
        await asyncio.sleep(seconds)  # noqa: TID251 - measured in real time
        self._addresses += 1
        if not silently:
            self._drop()
        self._up.set()

    def _drop(self) -> None:
        for wire in list(self._wires):
            wire.transport.abort()

    async def close(self) -> None:
        """Carry nothing any more."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        self._drop()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up.is_set():
            writer.transport.abort()
            return
        address = f"127.0.0.{2 + self._addresses % 200}"
        try:
            there, back = await asyncio.open_connection(*self._to, local_addr=(address, 0))
        except OSError:
            writer.transport.abort()
            return
        self._wires |= {writer, back}
        generation = self._addresses
        for one, other in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(one, other, generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, generation: int
    ) -> None:
        """Carry bytes until the link is cut; those of an old address go nowhere, and nobody is told."""
        with suppress(OSError):
            while data := await reader.read(65_536):
                if self._up.is_set() and generation == self._addresses:
                    writer.write(data)
        if generation == self._addresses or not self._silent:
            writer.transport.abort()


class Peer:
    """One of the two processes, with its store."""

    def __init__(self, folder: Path, name: str, settings: PeerSettings) -> None:
        self.name = name
        self.store = Path(settings.store)
        self.settings = folder / f"{name}.json"
        self.settings.touch(mode=0o600)
        self.settings.write_bytes(msgspec.json.encode(settings))
        self._log = folder / f"{name}.log"
        self.lines: list[tuple[str, int, float]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process in a group of its own."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "benchmarks.delivery_peer",
                str(self.settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._listening = asyncio.create_task(self._listen(self._process))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            word, number, at_s = line.split()
            self.lines.append((word.decode(), int(number), float(at_s)))

    async def kill(self) -> None:
        """Kill the process as a power cut does."""
        assert self._process is not None
        assert self._listening is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._listening

    def read(self) -> dict[int, int]:
        """Return how often the store says that each number was read."""
        with sqlite3.connect(self.store) as store:
            rows = store.execute("SELECT name, value FROM state WHERE name LIKE 'read %'").fetchall()
        store.close()
        return {int(name.removeprefix("read ")): int(value) for name, value in rows}

    def said(self) -> int:
        """Return how many letters the store says were said."""
        with sqlite3.connect(self.store) as store:
            row = store.execute("SELECT value FROM state WHERE name = 'said'").fetchone()
        store.close()
        return int(row[0]) if row else 0

    def limit(self, letters: int) -> None:
        """Say no more letters than that, from the next start on."""
        settings = msgspec.json.decode(self.settings.read_bytes(), type=PeerSettings)
        self.settings.write_bytes(msgspec.json.encode(msgspec.structs.replace(settings, letters=letters)))

    def is_intact(self) -> bool:
        """Whether SQLite finds nothing wrong with the store."""
        with sqlite3.connect(self.store) as store:
            verdict = store.execute("PRAGMA integrity_check").fetchone()[0]
        store.close()
        return bool(verdict == "ok")


class Trial:
    """A site and a community's side of it, on one Prosody, each with a link of its own."""

    def __init__(self, folder: Path, letters: int) -> None:
        self._folder = folder
        self._letters = letters
        self.server = ProsodyServer()
        self.recoveries_s: dict[str, list[float]] = {}

    async def __aenter__(self) -> "Trial":
        """Start server, links and both processes."""
        addresses = [f"speaker@{self.server.domain}", f"listener@{self.server.domain}"]
        accounts = new_accounts(addresses)
        for address, password in accounts.items():
            self.server.register(address, password)
        await self.server.start()
        endpoint = self.server.endpoint()
        self.links = [Link(endpoint.host, endpoint.port) for _ in addresses]
        self.peers = []
        for index, address in enumerate(addresses):
            settings = PeerSettings(
                address=address,
                peer=addresses[1 - index],
                password=accounts[address],
                host="127.0.0.1",
                port=await self.links[index].open(),
                domain=self.server.domain,
                ca_file=str(self.server.ca_file),
                store=str(self._folder / f"{index}.sqlite"),
                speaks=index == 0,
                letters=self._letters,
            )
            self.peers.append(Peer(self._folder, address.partition("@")[0], settings))
        for peer in self.peers:
            await peer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all that was started."""
        for peer in self.peers:
            await peer.kill()
        for link in self.links:
            await link.close()
        await self.server.stop()

    # -- harm ---------------------------------------------------------------------------------

    async def kill(self, index: int) -> None:
        """Kill one of the processes with SIGKILL, and start it again."""
        began_s = time.time()  # noqa: TID251 - compared with the processes' own clocks
        await self.peers[index].kill()
        await self.peers[index].start()
        await self._recovered("kill -9", began_s)

    async def restart_server(self) -> None:
        """Kill the server, and start it again on its port."""
        began_s = time.time()  # noqa: TID251
        await self.server.kill()
        await self.server.start()
        await self._recovered("server restart", began_s)

    async def cut(self, index: int, seconds: float, *, silently: bool) -> None:
        """Cut a link for a while; its address is another afterwards."""
        await self.links[index].cut(seconds, silently=silently)
        ended_s = time.time()  # noqa: TID251
        await self._recovered("link cut, nobody told" if silently else "link cut", ended_s)

    async def _recovered(self, what: str, since_s: float) -> None:
        """Note how long it takes until something that is said after a moment is answered."""
        speaker = self.peers[0]
        async with asyncio.timeout(PATIENCE_S):
            while True:
                said = {number for word, number, at_s in speaker.lines if word == "said" and at_s >= since_s}
                answered = [at_s for word, number, at_s in speaker.lines if word == "read" and number in said]
                if answered:
                    self.recoveries_s.setdefault(what, []).append(min(answered) - since_s)
                    return
                await asyncio.sleep(0.05)  # noqa: TID251

    async def hush(self) -> int:
        """Let nothing more be said, wait until all of it is answered, and return how many letters it was.

        Raises: TimeoutError when something is never answered.
        """
        speaker = self.peers[0]
        await speaker.kill()
        said = speaker.said()
        speaker.limit(said)
        await speaker.start()
        async with asyncio.timeout(PATIENCE_S):
            while len(speaker.read()) < said:  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(0.2)  # noqa: TID251
        return said

    def faults(self, letters: int) -> dict[str, list[Any]]:
        """Return what was lost or doubled on either side, and whether the stores are intact."""
        wanted = range(1, letters + 1)
        read = {peer.name: peer.read() for peer in self.peers}
        return {
            "lost": [(name, n) for name, each in read.items() for n in wanted if n not in each],
            "doubled": [(name, n) for name, each in read.items() for n in each if each[n] != 1],
            "damaged": [peer.name for peer in self.peers if not peer.is_intact()],
        }

    def number_of_faults(self, letters: int) -> int:
        """Return how many letters were lost or doubled, and stores damaged."""
        return sum(len(each) for each in self.faults(letters).values())
