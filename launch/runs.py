"""A run from its start to its results, offline or live."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from behaviours.ports import (
    Clock,
)
from environments.repository.recorder import SqliteRecorder
from launch.community import Community
from launch.live import LiveCommunity
from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.run_folder import Interrupted, Progress, RunFolder, RunResult
from launch.scenario import Scenario, intervals_of
from launch.sharding import WHOLE, MeetingPlace, Shard
from launch.tables import RunTables

if TYPE_CHECKING:
    from launch.serving import Front

__all__ = ["notes_of", "run_live", "run_offline"]

log = structlog.get_logger()

Report = Callable[[Progress], None]


def run_offline(scenario: Scenario, out: Path | None = None, progress: Report = lambda _: None) -> RunResult:
    """Run a scenario in virtual time; write a run folder when told where.

    Raises: InvalidInput when the scenario describes an impossible world, Interrupted (with what there
    is) on Ctrl-C.
    """
    book = _Book(scenario, out, "offline")
    run = OfflineCommunity(scenario, recorder=book.recorder, chain=book.chain)
    try:
        for done in range(1, book.intervals + 1):
            run.step()
            progress(book.progress(done, run.clock, run.community))
        run.settle()
        book.complete = True
    except KeyboardInterrupt:
        log.info("interrupted", interval=done)
    finally:
        run.close()
    tables = completed(run_tables(run.community))
    run.ledger.close()
    return book.closed(tables, run.community)


async def run_live(
    scenario: Scenario,
    out: Path | None = None,
    progress: Report = lambda _: None,
    *,
    shard: Shard = WHOLE,
    meeting_place: MeetingPlace | None = None,
    front: "Front | None" = None,
) -> RunResult:
    """Run a scenario, or a shard of it, over XMPP with a scaled clock; write a run folder when told where.

    With a front the community is served over HTTP meanwhile, and goes on being served when its days are
    over, until cancelled.

    Raises: Unavailable when the server does not come up, InvalidInput when the scenario describes an
    impossible world, Interrupted (with what there is) when cancelled.
    """
    book = _Book(scenario, out, scenario.server.kind)
    async with (
        LiveCommunity(
            scenario,
            recorder=book.recorder,
            chain=book.chain,
            shard=shard,
            meeting_place=meeting_place,
            portals=front is not None,
        ) as run,
        AsyncExitStack() as stack,
    ):
        served = await stack.enter_async_context(front.opened(run)) if front else None
        try:
            for done in range(1, book.intervals + 1):
                await run.step()
                progress(book.progress(done, run.clock, run.community))
            await run.settle()
            book.complete = True
            if served is not None:
                await served.wait()
        except asyncio.CancelledError:
            log.info("interrupted", interval=done)
        book.missed = run.clock.missed
        tables = await run_tables(run.community)
    return book.closed(tables, run.community)


class _Book:
    """What is noted of a run while it lasts, and its folder."""

    def __init__(self, scenario: Scenario, out: Path | None, mode: str) -> None:
        self.scenario = scenario
        self.mode = mode
        self.intervals = intervals_of(scenario)
        self.complete = False
        self.missed = 0
        self.folder = RunFolder(out, scenario, mode) if out else None
        self.recorder = SqliteRecorder(self.folder.messages_path) if self.folder and scenario.record else None
        self.chain = self.folder.chain_path if self.folder else None
        self._began_s = time.perf_counter()

    def progress(self, done: int, clock: Clock, community: Community) -> Progress:
        """Return how far the run is."""
        if self.recorder is not None and self.mode != "offline":
            self.recorder.flush()
        return Progress(done, self.intervals, clock.now_s(), community.letters, community.light())

    def closed(self, tables: RunTables, community: Community) -> RunResult:
        """Write the folder and return the result, or raise Interrupted with it."""
        if self.recorder is not None:
            self.recorder.close()
        result = RunResult(
            scenario=self.scenario,
            tables=tables.checked(),
            mode=self.mode,
            complete=self.complete,
            letters=community.letters,
            wall_s=time.perf_counter() - self._began_s,
            accounts=shown_accounts(self.scenario, community.cast.accounts),
            register=community.ground.registers.place if community.ground.registers else "",
            deadlines_missed=self.missed,
            notes=notes_of(community),
            contract=getattr(community.ground.ledger, "contract", ""),
            folder=self.folder.path if self.folder else None,
        )
        if self.folder is not None:
            self.folder.finish(result)
        if not self.complete:
            raise Interrupted(result)
        return result


def notes_of(community: Community) -> tuple[str, ...]:
    """Return what a reader of the results must know."""
    counts = community.counts()
    told = {
        "readings estimated": "readings were estimated",
        "readings unknown": "readings were unknown and count as nothing",
        "grid states missing": "grid states were missing and counted as green",
        "errors": "handlers failed",
        "markets disputed": "markets were disputed by the market operator",
        "attestations disputed": "attestations said that another result was right",
        "alarms raised": "alarms of devices were raised",
        "register entries given up": "entries were kept out of the register for days and given up",
        "audits failed": "audits found that the register differs from what was told",
    }
    return tuple(f"{counts[name]} {text}" for name, text in told.items() if counts.get(name))


def shown_accounts(scenario: Scenario, accounts: Mapping[str, str]) -> dict[str, str]:
    """Return which accounts a run folder names: those of registered people stay pseudonyms."""
    if not scenario.registry.folder:
        return dict(accounts)
    return {account: name for account, name in accounts.items() if name in ("aggregator", "grid")}
