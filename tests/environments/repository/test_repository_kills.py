"""What was acknowledged survives kill -9, of the process that stores and of PostgreSQL, and counts once.

A process stores batch after batch and says which it has stored. It is killed at a random moment, and the
next one begins with the batch that was not acknowledged, as a sender does who hears nothing: it may have been
stored already.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy
import pytest
from databases import DATABASES, url_of
from facts import FORECAST, READING, forecast, reading
from inline import inline

from behaviours.repository_port import Selection
from environments.repository import SqlRepository
from ontology.errors import Unavailable
from ontology.ledger import LedgerEntry

ENTRY = "parity:LedgerEntry"
SITES = 60
"""So many readings a batch: PostgreSQL is given them by COPY."""
EARLY = 0.2
LONGEST_S = 0.1
"""Batches take some milliseconds, so that a kill may hit any part of one."""


def batch(number: int) -> list:
    """One interval of a street: readings, forecasts, and an entry of the ledger."""
    start_s = 900 * number
    entry = LedgerEntry(
        time_s=start_s, debit="a", credit="b", amount_tokens=number, settlement_key=f"lem {start_s}"
    )
    sites = [f"h{site:03}" for site in range(SITES)]
    readings = [reading(start_s, site, number) for site in sites]
    return [*readings, *(forecast(start_s, "PV", site) for site in sites[:3]), entry]


def store_on_and_on(url: str, first: int, acknowledged: int) -> None:
    """Store batches, the first of them may be there already, and write down each number once it is stored."""
    repository = SqlRepository(url)
    for number in range(first, first + 100_000):
        inline(repository.store(batch(number)))
        os.write(acknowledged, b"%d\n" % number)


class Storing:
    """A process that stores; leaving it kills it, and tells what it had acknowledged."""

    def __init__(self, url: str, first: int) -> None:
        self.last = first - 1
        self._said = b""
        self._read, self._write = os.pipe()
        fork = multiprocessing.get_context("fork")
        self._process = fork.Process(target=store_on_and_on, args=(url, first, self._write), daemon=True)

    def __enter__(self) -> "Storing":
        self._process.start()
        os.close(self._write)
        return self

    def until(self, moment: "Moment") -> None:
        """Let it work on until a moment."""
        if not moment.is_early:
            self._said += os.read(self._read, 100)
        time.sleep(moment.after_s)

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        with os.fdopen(self._read, "rb") as told:
            said = (self._said + told.read()).split(b"\n")[:-1]
        self.last = int(said[-1]) if said else self.last


class Moment(NamedTuple):
    """When to kill: so long after the start, or after the first batch is acknowledged."""

    is_early: bool
    after_s: float


def moments(seed: int) -> Iterator[Moment]:
    """Yield moments: most in the middle of the work, some while it connects and makes tables."""
    generator = numpy.random.default_rng(seed)
    while True:
        yield Moment(generator.random() < EARLY, float(generator.uniform(0, LONGEST_S)))


def check(url: str, acknowledged: int) -> int:
    """See that all acknowledged batches are there, at most one more, each whole and once; return the last."""
    repository = SqlRepository(url)
    entries = inline(repository.select(Selection(ENTRY)))
    stored = [each.amount_tokens for each in entries]
    assert stored == list(range(len(stored)))
    assert acknowledged <= len(stored) - 1 <= acknowledged + 1
    readings = inline(repository.select(Selection(READING)))
    assert [each.consumed_wh for each in readings] == [number for number in stored for _ in range(SITES)]
    assert inline(repository.count(Selection(FORECAST))) == 3 * len(stored)
    repository.close()
    return acknowledged


def killed_again_and_again(url: str, times: int) -> None:
    acknowledged = -1
    for _, moment in zip(range(times), moments(seed=times), strict=False):
        with Storing(url, acknowledged + 1) as storing:
            storing.until(moment)
        acknowledged = check(url, storing.last)
    assert acknowledged > 0


@pytest.mark.parametrize("database", DATABASES)
def test_a_kill_of_who_stores_loses_nothing_acknowledged_and_doubles_nothing(database, request, tmp_path):
    killed_again_and_again(url_of(database, request, tmp_path), times=10)


@pytest.mark.soak
@pytest.mark.parametrize("database", DATABASES)
def test_a_hundred_kills_lose_nothing_acknowledged_and_count_nothing_twice(database, request, tmp_path):
    killed_again_and_again(url_of(database, request, tmp_path), times=100)


def postgresql_killed(cluster, times: int) -> None:
    url, acknowledged = cluster.new_database(), -1
    for _, moment in zip(range(times), moments(seed=times), strict=False):
        with Storing(url, acknowledged + 1) as storing:
            storing.until(moment)
            cluster.kill()
        cluster.start()
        acknowledged = check(url, storing.last)


@pytest.mark.server
@pytest.mark.slow
def test_a_kill_of_postgresql_loses_nothing_acknowledged_and_counts_nothing_twice(postgresql_cluster):
    postgresql_killed(postgresql_cluster, times=5)


@pytest.mark.server
@pytest.mark.soak
def test_a_hundred_kills_of_postgresql_lose_nothing_acknowledged(postgresql_cluster):
    postgresql_killed(postgresql_cluster, times=100)


@pytest.mark.server
def test_who_stores_goes_on_when_postgresql_is_back(postgresql_cluster):
    repository = SqlRepository(postgresql_cluster.new_database())
    inline(repository.store(batch(0)))
    postgresql_cluster.kill()
    with pytest.raises(Unavailable):
        inline(repository.store(batch(1)))
    postgresql_cluster.start()
    inline(repository.store(batch(1)))
    assert inline(repository.count(Selection(ENTRY))) == 2
    repository.close()
