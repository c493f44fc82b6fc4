"""The console while 500 letters/s come and pages stay open: share of a core, delay of others, memory."""

import asyncio
import gc
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from environments.http import ApiServer, Services, application
from environments.http.access_database import AccessDatabase
from environments.http.console.community import AgentView, Mode
from environments.http.console.routes import CONSOLE_ROUTES
from environments.repository import MemoryRepository
from environments.repository.letter_archive import LetterArchive
from environments.repository.recorder import SqliteRecorder
from environments.simulation.clock import WallClock
from ontology.errors import Refused
from ontology.letter import Envelope
from ontology.roles import Role

LETTERS_PER_S = 500
CONSOLES = 8
SECONDS = 20.0
TURN_S = 0.02
SELECTIONS = (
    "",
    "agent=h001",
    "act=inform",
    "act=query-ref",
    "type=parity:Lem",
    "agent=h002",
    "words=h003",
    "outcome=handled",
)
CLOCK = WallClock()
BODY = b'{"type":"parity:IntervalReading","subject":"h001","start_s":0,"consumed_wh":250,"produced_wh":0}'


class Street:
    """A community whose letters come at a steady pace, and nothing else."""

    name = "street"
    mode = Mode.LIVE

    def __init__(self, archive: LetterArchive) -> None:
        self.archive: LetterArchive | None = archive

    def now_s(self) -> float:
        """Return the time of its letters."""
        return CLOCK.now_s()

    def agents(self) -> list[AgentView]:
        """Return one agent."""
        return [AgentView(address="dso@here", role=Role.DSO)]

    async def stop(self, address: str) -> None:
        """Refuse."""
        raise Refused(address)

    start = stop


class Load:
    """A record that grows, a console over it, and pages that stay open; what it costs while they do."""

    def __init__(self, folder: Path, recorder: SqliteRecorder) -> None:
        self.recorder = recorder
        self.archive = LetterArchive(folder / "messages.sqlite")
        self.written = 0
        self.read_bytes = 0
        self.late_s = 0.0

    async def run(self, consoles: int, seconds: float, query_of: Callable[[int], str]) -> dict[str, Any]:
        """Let pages be open for seconds and return what that cost; `query_of` tells what each looks for."""
        with closing(AccessDatabase()) as database:
            more = {"community": Street(self.archive), "sleep": slept}
            services = Services(MemoryRepository(), database, CLOCK.now_s, more=more, requests_per_s=1e6)
            token, _ = services.tokens.create("op", "dso", rights=("bodies",))
            async with ApiServer(application(services, routes=CONSOLE_ROUTES)) as server:
                pages = [
                    asyncio.create_task(self._open(server.url, token, query_of(n))) for n in range(consoles)
                ]
                for _ in range(100):
                    await self._turn(CLOCK.now_s() + TURN_S)
                return await self._measured(pages, seconds)

    async def _measured(self, pages: list["asyncio.Task[None]"], seconds: float) -> dict[str, Any]:
        before_s, began_s, self.late_s = cpu_s(), CLOCK.now_s(), 0.0
        written, due_s, self.read_bytes = self.written, began_s, 0
        while due_s < began_s + seconds:
            due_s += TURN_S
            await self._turn(due_s)
        used = (cpu_s() - before_s) / (CLOCK.now_s() - began_s)
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
        return {
            "letters_per_s": round((self.written - written) / seconds),
            "core": used,
            "read_kb_per_s": self.read_bytes / 1000 / seconds,
            "latest_turn_ms": 1000 * self.late_s,
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    async def _open(self, url: str, token: str, query: str) -> None:
        """Keep a page open as a browser does: sign in, load it, and read its stream."""
        async with httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=None) as browser:
            (await browser.post("/console/sign-in", data={"token": token})).raise_for_status()
            (await browser.get(f"/console/letters?{query}")).raise_for_status()
            async with browser.stream("GET", f"/console/letters/stream?{query}") as stream:
                stream.raise_for_status()
                async for piece in stream.aiter_bytes():
                    self.read_bytes += len(piece)

    async def _turn(self, due_s: float) -> None:
        """Record what comes in a turn; how late the turn is tells how long others waited for the loop."""
        for _ in range(round(LETTERS_PER_S * TURN_S)):
            self.written += 1
            self.recorder.record(letter(self.written), "handled", CLOCK.now_s())
        if self.written % LETTERS_PER_S == 0:
            self.recorder.flush()
        await CLOCK.sleep_until(due_s)
        self.late_s = max(self.late_s, CLOCK.now_s() - due_s)


def letter(number: int) -> Envelope:
    site, act = number % 50, ("inform", "query-ref", "inform", "inform")[number % 4]
    mark = ">" if act == "inform" else "?"
    return Envelope(
        act,
        f"h{site:03d}-gateway@here",
        "repository@here",
        ("parity:IntervalReading", "parity:Query", "parity:Lem", "parity:Forecast")[number % 4],
        f"run/h{site:03d}-gateway@here{mark}{number // 4}",
        number,
        f"m{number}",
        CLOCK.now_s(),
        body=BODY,
    )


async def slept(seconds: float) -> None:
    await CLOCK.sleep_until(CLOCK.now_s() + seconds)


def cpu_s() -> float:
    return time.process_time()


def measured(consoles: int, seconds: float, query_of: Callable[[int], str]) -> dict[str, Any]:
    """Return what the process used with so many pages open."""
    gc.collect()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with SqliteRecorder(folder / "messages.sqlite") as recorder:
            load = Load(folder, recorder)
            try:
                return asyncio.run(load.run(consoles, seconds, query_of))
            finally:
                load.archive.close()


def rows() -> list[dict[str, Any]]:
    kinds: tuple[tuple[str, int, Callable[[int], str]], ...] = (
        ("none", 0, lambda n: ""),
        ("8, all letters", CONSOLES, lambda n: ""),
        ("8, a filter each", CONSOLES, lambda n: SELECTIONS[n]),
    )
    found = [{"open pages": name, **measured(count, SECONDS, query)} for name, count, query in kinds]
    return [{**row, "core beyond none": row["core"] - found[0]["core"]} for row in found]
