"""The `AgentStore` port, and that what was committed survives a kill."""

import sqlite3

import pytest
from killing import killed_after

from environments.repository import MemoryAgentStore, SqliteAgentStore
from ontology.errors import Unavailable


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryAgentStore() if request.param == "memory" else SqliteAgentStore(tmp_path / "state.sqlite")


def test_what_is_committed_is_loaded(store):
    store.commit("h001-prosumer", {"inbox": b"7", "plan": b"{}"})
    store.commit("h001-prosumer", {"inbox": b"8"})
    assert store.load("h001-prosumer") == {"inbox": b"8", "plan": b"{}"}


def test_none_deletes_and_deleting_what_is_not_there_is_fine(store):
    store.commit("h001-prosumer", {"inbox": b"7", "plan": b"{}"})
    store.commit("h001-prosumer", {"plan": None, "never": None})
    assert store.load("h001-prosumer") == {"inbox": b"7"}


def test_agents_do_not_see_each_others_state(store):
    store.commit("dso", {"state": b"GREEN"})
    assert store.load("aggregator") == {}


def test_what_was_loaded_is_a_copy(store):
    store.commit("dso", {"state": b"GREEN"})
    store.load("dso").clear()
    assert store.load("dso") == {"state": b"GREEN"}


def test_a_commit_is_all_or_nothing(tmp_path):
    store = SqliteAgentStore(tmp_path / "state.sqlite")
    with pytest.raises(sqlite3.Error):
        store.commit("dso", {"good": b"1", "bad": object()})  # type: ignore[dict-item]
    assert store.load("dso") == {}
    store.commit("dso", {"good": b"1"})
    assert store.load("dso") == {"good": b"1"}


def test_state_outlives_the_process(tmp_path):
    path = tmp_path / "state.sqlite"
    first = SqliteAgentStore(path, durable=True)
    first.commit("dso", {"state": b"GREEN"})
    first.close()
    assert SqliteAgentStore(path).load("dso") == {"state": b"GREEN"}


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="nowhere"):
        SqliteAgentStore(tmp_path / "nowhere" / "state.sqlite")


COMMIT_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
from environments.repository import SqliteAgentStore
store = SqliteAgentStore(Path(sys.argv[1]))
for number in itertools.count(1):
    value = str(number).encode()
    store.commit("dso", {"mark": value, "outbox": value, f"letter-{number % 50}": value * 200})
    print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_committed_and_tears_nothing(tmp_path):
    path = tmp_path / "state.sqlite"
    said = killed_after(COMMIT_UNTIL_KILLED, path, lines=300)
    kept = SqliteAgentStore(path).load("dso")
    assert kept["mark"] == kept["outbox"]
    assert int(kept["mark"]) >= said
