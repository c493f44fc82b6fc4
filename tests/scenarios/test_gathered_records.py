"""Two hosts of one community: the record of the first shows what the second recorded as well."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from environments.live.prosody import available

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SETTINGS = ("watch.gather=true", "grid.sites_per_feeder=2")


def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "launch.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def meeting_place(tmp_path: Path) -> Iterator[Path]:
    if not available():
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("Prosody is not installed")
    server = command(tmp_path, "server", "place.json", "--shards", "2")
    try:
        assert server.stdout is not None
        assert "takes" in server.stdout.readline()
        yield tmp_path
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(30)


def letters_to(run: Path, domain: str) -> int:
    with closing(sqlite3.connect(run / "messages.sqlite")) as record:
        counted = "SELECT count(*) FROM messages WHERE recipient LIKE ?"
        return int(record.execute(counted, (f"%@{domain}",)).fetchone()[0])


def test_the_first_host_records_what_the_second_does(meeting_place: Path) -> None:
    scenario = command(meeting_place, "init", "--sites", "4").communicate()[0]
    (meeting_place / "street.yaml").write_text(scenario)
    chosen = [part for setting in SETTINGS for part in ("--set", setting)]
    common = ["--server-file", "place.json", "--intervals", "3", *chosen]
    shards = [
        command(meeting_place, "run", "street.yaml", "--shard", f"{n}/2", "--out", f"run-{n}", *common)
        for n in (1, 2)
    ]
    assert [shard.wait(240) for shard in shards] == [0, 0]
    theirs = letters_to(meeting_place / "run-2", "s2.localhost")
    gathered = letters_to(meeting_place / "run-1", "s2.localhost")
    assert theirs > 50
    assert 0.2 * theirs < gathered <= theirs  # what comes after the first host has ended is its own record's
    assert letters_to(meeting_place / "run-2", "s1.localhost") == 0
