"""A site's process is killed at any time: it comes back by itself, and its files are whole."""

import asyncio
import os
import signal
import sqlite3
import sys

import numpy as np
import pytest
from site_street import CLOCK, Street
from test_sites_join import stored_status, street  # noqa: F401 - a fixture

from launch.site.joining import join

KILLS = 10


async def back(community, since_s: int) -> int:
    """Wait until a process that started later has told how it is; return when it started."""
    async with asyncio.timeout(60):
        while True:
            status = await stored_status(community)
            if status.started_at_s > since_s:
                return status.started_at_s
            await CLOCK.sleep_until(CLOCK.now_s() + 0.2)


@pytest.mark.server
@pytest.mark.slow
def test_ten_kills_at_random_leave_files_whole_and_the_site_connected(street: Street):  # noqa: F811
    rng = np.random.default_rng(8)

    async def started() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "launch.cli",
            "site",
            "run",
            str(street.site_file),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def scene():
        async with street.prosody(), street.devices(), street.community_runs() as community:
            await join(street.site, street.invite())
            started_s = 0
            for _ in range(KILLS):
                site = await started()
                started_s = await back(community, started_s)
                await CLOCK.sleep_until(CLOCK.now_s() + float(rng.uniform(0, 2)))
                os.kill(site.pid, signal.SIGKILL)
                await site.wait()
                with sqlite3.connect(street.site.data / "agents.sqlite") as store:
                    assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            site = await started()
            await back(community, started_s)
            site.terminate()
            assert await asyncio.wait_for(site.wait(), 30) == 0

    asyncio.run(scene())
