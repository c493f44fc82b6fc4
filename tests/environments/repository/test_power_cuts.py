"""The agents' store outlives power cuts: torn writes, writes that never reached the disk, in any order."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from power_cuts import Act, build, files_after_a_cut, read_trace

from environments.repository.agent_store import SqliteAgentStore

COMMITS = 400
CUTS = 150

_WRITER = """
import os, sys
from pathlib import Path
from environments.repository.agent_store import SqliteAgentStore

folder = Path(sys.argv[1])
store = SqliteAgentStore(folder / "agents.sqlite", durable=sys.argv[3] == "durable")
log = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(1, int(sys.argv[2]) + 1):
    value = str(number).encode()
    store.commit("a@town", {
        "number": value, "mark": value,
        "outbox %06d" % number: value * 3000, "outbox %06d" % (number - 5): None,
    })
    os.write(log, b"%d " % number)
    if number % 50 == 0:
        store.load("a@town")
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> list[Act]:
    """What a process that commits, waits for the disk, and then says so, does to its files."""
    return traced(tmp_path_factory.mktemp("power"), "durable")


def traced(folder: Path, how: str) -> list[Act]:
    """Let a process commit and say so after each, and return what it did to its files."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the shim below SQLite cannot be built")
    place = folder / "traced"
    place.mkdir()
    env = {
        **os.environ,
        "LD_PRELOAD": str(build(folder)),
        "WRITE_TRACE": str(folder / "trace"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    subprocess.run([sys.executable, "-c", _WRITER, str(place), str(COMMITS), how], env=env, check=True)
    return read_trace(folder / "trace")


def test_the_trace_sees_the_log_being_written_synced_and_checkpointed(trace):
    done = {(act.kind, act.name) for act in trace}
    assert {("write", "agents.sqlite-wal"), ("sync", "agents.sqlite-wal"), ("write", "agents.sqlite")} <= done


def test_whatever_a_power_cut_tears_nothing_acknowledged_is_lost_and_the_file_is_whole(trace, tmp_path):
    for told, found in after_cuts(trace, tmp_path, CUTS):
        assert found >= told


def test_the_same_cuts_lose_what_was_acknowledged_without_waiting_for_the_disk(tmp_path):
    acts = traced(tmp_path, "in a hurry")
    assert any(found < told for told, found in after_cuts(acts, tmp_path, 20))


def after_cuts(trace: list[Act], folder: Path, cuts: int) -> Iterator[tuple[int, int]]:
    """Yield, for cuts at random moments, the last commit acknowledged and the last that is there after it."""
    rng = np.random.default_rng(8)
    for cut in rng.integers(len(trace) // 10, len(trace), cuts):
        acts = trace[:cut]
        told = b"".join(act.data for act in acts if act.name == "acknowledged").split()
        for name, content in files_after_a_cut(acts, rng).items():
            (folder / name).write_bytes(content)
        (folder / "agents.sqlite-shm").unlink(missing_ok=True)
        yield int(told[-1]), check(folder / "agents.sqlite")


def check(path: Path) -> int:
    """Open a store as after a restart, see that it is whole and takes more; return its newest number."""
    store = SqliteAgentStore(path, durable=True)
    kept = store.load("a@town")
    number = int(kept["number"])
    assert kept["mark"] == kept["number"]
    assert {name for name in kept if name.startswith("outbox ")} == {
        f"outbox {each:06d}" for each in range(max(1, number - 4), number + 1)
    }
    store.commit("b@town", {"after": b"the cut"})
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return number
