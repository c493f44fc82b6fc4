"""Who is behind a player stays off the market: it knows pseudonyms and whom to answer (D8.1 3.4)."""

import re
import sqlite3

import pytest
from scenario_helpers import laboratory

from launch.runs import run_offline

ENGINE = "aggregator-blockchain@localhost"
SITE = re.compile(r"h00[12]")
ADDRESS = re.compile(r"h00[12]-[a-z0-9]+@localhost")


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """The type and body of every letter that the market engine got or wrote."""
    run = run_offline(laboratory(intervals=3, record=True), tmp_path_factory.mktemp("runs") / "laboratory")
    with sqlite3.connect(run.folder / "messages.sqlite") as connection:
        yield connection.execute(
            "SELECT recipient, message_type, body FROM messages WHERE ? IN (recipient, sender)", (ENGINE,)
        ).fetchall()


def test_datasets_name_no_site(letters):
    datasets = [body for to, kind, body in letters if to == ENGINE and kind == "parity:LemDataset"]
    assert len(datasets) == 2 * 3
    assert not any(SITE.search(body) for body in datasets)


def test_nothing_that_reaches_the_market_engine_names_a_site_but_by_address(letters):
    received = [(kind, ADDRESS.sub("", body)) for to, kind, body in letters if to == ENGINE]
    assert received
    assert [(kind, body) for kind, body in received if SITE.search(body)] == []


def test_results_name_no_site(letters):
    results = [body for _, kind, body in letters if kind == "parity:LemResult"]
    assert len(results) >= 4 * 3
    assert not any(SITE.search(body) for body in results)
