"""The embedded chain in a file: what was settled stays settled, whoever dies when."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ledger_helpers import ACCOUNTS, inline, opened

from contracts import EvmLedger
from contracts.chain_file import ChainFile
from ontology.errors import Conflict, Unavailable

pytestmark = pytest.mark.chain
ENTRIES = {"bob": -800, "alice": 700, "aggregator": 100}

SETTLING = """
import asyncio, sys
from pathlib import Path
from contracts import EvmLedger

async def run():
    ledger = EvmLedger.embedded(path=Path(sys.argv[1]))
    await ledger.open_accounts({"aggregator": 10_000, "alice": 1_000, "bob": 1_000})
    for number in range(100):
        receipt = await ledger.settle(str(number), {"alice": -1, "bob": 1}, 900 * (number + 1))
        print(number, flush=True)

asyncio.run(run())
"""


def in_file(path: Path) -> EvmLedger:
    return EvmLedger.embedded(path=path)


def test_a_chain_is_taken_up_again_as_it_was_left(tmp_path):
    ledger = opened(in_file(tmp_path / "chain.sqlite"))
    first = inline(ledger.settle("00:15", ENTRIES, 900))
    root, balances, contract = ledger.state_root, inline(ledger.balances(ACCOUNTS)), ledger.contract
    ledger.close()
    again = opened(in_file(tmp_path / "chain.sqlite"))
    assert (again.state_root, again.contract) == (root, contract)
    assert inline(again.balances(ACCOUNTS)) == balances
    held = inline(again.settlement("00:15"))
    assert (held.transaction, held.entries, held.receivables) == (first.transaction, ENTRIES, {"bob": 300})
    with pytest.raises(Conflict):
        inline(again.settle("00:15", {"bob": -1, "alice": 1}, 900))
    again.close()


def test_a_chain_in_a_file_goes_through_the_states_of_one_in_memory(tmp_path):
    """Also when it is closed and taken up again after every settlement."""
    in_memory = opened(EvmLedger.embedded())
    for number in range(4):
        ledger = opened(in_file(tmp_path / "chain.sqlite"))
        for each in (ledger, in_memory):
            inline(each.settle(str(number), {"alice": -number, "bob": number}, 900 * (number + 1)))
        assert ledger.state_root == in_memory.state_root
        ledger.close()


def test_a_file_that_is_in_use_is_unavailable(tmp_path):
    ledger = opened(in_file(tmp_path / "chain.sqlite"))
    with pytest.raises(Unavailable, match="locked"):
        in_file(tmp_path / "chain.sqlite")
    ledger.close()


def test_a_file_that_is_no_chain_is_unavailable(tmp_path):
    path = tmp_path / "chain.sqlite"
    path.write_bytes(b"a diary, and no database at all" * 100)
    with pytest.raises(Unavailable, match=r"chain\.sqlite"):
        in_file(path)


def test_half_a_block_never_reaches_the_file(tmp_path):
    store = ChainFile(tmp_path / "entries.sqlite")
    store[b"a"] = b"1"
    store.commit()
    store[b"b"] = b"2"
    del store[b"a"]
    store.close()
    again = ChainFile(tmp_path / "entries.sqlite")
    assert (again[b"a"], b"b" in again) == (b"1", False)
    again.close()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_at_random_points_it_settles_everything_once(tmp_path, seed):
    """What the killed process had reported is there, and its successor finishes without paying twice."""
    generator, path, deaths = np.random.default_rng(seed), tmp_path / "chain.sqlite", 0
    for _ in range(2 if seed == 1 else 15):
        told, alive = settled_until_killed(path, generator.uniform(0.05, 0.5))
        deaths += not alive
        ledger = in_file(path)
        inline(ledger.open_accounts({"aggregator": 10_000, "alice": 1_000, "bob": 1_000}))
        settled = [n for n in range(100) if inline(ledger.settlement(str(n))) is not None]
        assert set(told) <= set(settled)
        assert settled == list(range(len(settled)))
        assert inline(ledger.balances(["alice", "bob"])) == {
            "alice": 1_000 - len(settled),
            "bob": 1_000 + len(settled),
        }
        ledger.close()
    assert deaths > 0


def settled_until_killed(path: Path, seconds: float) -> tuple[list[int], bool]:
    """Settle in another process, kill it some time after its first settlement, and say what it reported."""
    process = subprocess.Popen(
        [sys.executable, "-c", SETTLING, str(path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    alive = process.poll() is not None
    if not alive:
        os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    return [int(line) for line in (first + rest).splitlines()], alive
