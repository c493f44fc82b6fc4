"""The databases that the repository runs on, for tests that hold on each."""

import pytest

SERVED = pytest.param("postgresql", marks=pytest.mark.server)
DATABASES = ["sqlite", SERVED]


def url_of(database: str, request: pytest.FixtureRequest, folder) -> str:
    """Return the URL of an empty database."""
    if database == "sqlite":
        return f"sqlite:///{folder / 'facts.sqlite'}"
    return request.getfixturevalue("postgresql_cluster").new_database()
