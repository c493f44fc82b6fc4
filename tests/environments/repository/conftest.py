"""Repositories for tests: PostgreSQL's is one database for all, and a market for each test."""

from collections.abc import Iterator
from itertools import count

import pytest

from environments.repository import MemoryRepository, SqlRepository

_numbers = count(1)


@pytest.fixture(scope="session")
def served(postgresql_cluster) -> Iterator[SqlRepository]:
    """A repository in PostgreSQL that all tests share; each takes a market of its own."""
    repository = SqlRepository(postgresql_cluster.new_database())
    yield repository
    repository.close()


@pytest.fixture(
    params=["memory", "sqlite in memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.server)]
)
def repository(request, tmp_path) -> Iterator[MemoryRepository | SqlRepository]:
    """An empty repository of each kind."""
    match request.param:
        case "memory":
            yield MemoryRepository()
        case "postgresql":
            yield request.getfixturevalue("served").of_market(f"test-{next(_numbers)}")
        case kind:
            file = tmp_path / "facts.sqlite"
            in_sql = SqlRepository("sqlite://" if "memory" in kind else f"sqlite:///{file}")
            yield in_sql
            in_sql.close()
