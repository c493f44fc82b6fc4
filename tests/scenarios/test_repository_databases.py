"""Communities whose facts are in a database: they settle as in memory, and outlive its death."""

from collections.abc import Sequence

import numpy as np
import pytest
from scenario_helpers import MORNING_S, Deaths, laboratory, live, offline, settled_intervals

from behaviours.repository_port import Selection
from environments.repository import SqlRepository
from launch.model import CommunityModel
from launch.results import completed
from ontology.base import Concept

INTERVALS = 6


def facts(repository: SqlRepository, entity: str) -> Sequence[Concept]:
    return completed(repository.select(Selection(entity)))


@pytest.fixture(scope="module")
def in_memory():
    return offline(laboratory(intervals=INTERVALS), Deaths({})).tables()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facts.sqlite'}"
    return request.getfixturevalue("postgresql_url")


def test_a_run_on_a_database_settles_as_one_in_memory_and_leaves_its_facts(url, in_memory):
    scenario = laboratory(intervals=INTERVALS, repository={"url": url, "market": "laboratory"})
    tables = offline(scenario, Deaths({})).tables()
    for table in ("market", "sites", "settlement"):
        np.testing.assert_equal(getattr(tables, table), getattr(in_memory, table))
    repository = SqlRepository(url, "laboratory")
    readings = facts(repository, "parity:IntervalReading")
    assert len(readings) == 2 * INTERVALS
    assert facts(repository.of_market("defaultmarket"), "parity:IntervalReading") == []
    repository.close()


@pytest.mark.server
def test_a_postgresql_that_is_killed_during_a_run_costs_estimates_but_no_settlement(postgresql_cluster):
    url = postgresql_cluster.new_database()
    model = CommunityModel(laboratory(intervals=INTERVALS, repository=url))
    for interval in range(INTERVALS):
        if interval == 2:
            postgresql_cluster.kill()
        if interval == 3:
            postgresql_cluster.start()
        model.step()
    tables = model.run().tables()
    assert settled_intervals(tables) == list(range(INTERVALS))
    assert sum(tables.market["estimated"]) > 0
    repository = SqlRepository(url)
    for site in ("h001", "h002"):
        stored = completed(repository.query("parity:IntervalReading", site, 0, 2**40))
        assert [each.start_s for each in stored] == [MORNING_S + 900 * n for n in range(INTERVALS)]
    repository.close()


@pytest.mark.slow
def test_a_live_run_keeps_its_facts_where_its_scenario_says(tmp_path):
    url = f"sqlite:///{tmp_path / 'facts.sqlite'}"
    live(laboratory(intervals=2, repository=url), Deaths({}))
    repository = SqlRepository(url)
    assert len(facts(repository, "parity:IntervalReading")) == 4
    repository.close()
