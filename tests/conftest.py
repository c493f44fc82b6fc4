"""What all tests can ask for; being here, this file also lets them import `post_office`."""

from collections.abc import Iterator

import pytest
from mosquitto_broker import MosquittoBroker, running_broker
from post_office import Town
from postgresql_cluster import PostgresqlCluster, required


@pytest.fixture
def town() -> Iterator[Town]:
    """A community in virtual time whose letters all arrive, in order and at once."""
    with Town() as town:
        yield town


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[MosquittoBroker]:
    """An MQTT broker that takes everybody, in clear; tests use topics of their own."""
    yield from running_broker(MosquittoBroker())


@pytest.fixture
def mosquitto_of_ours() -> Iterator[MosquittoBroker]:
    """An MQTT broker for one test alone, which may kill it and start it again."""
    yield from running_broker(MosquittoBroker())


@pytest.fixture
def secured_mosquitto() -> Iterator[MosquittoBroker]:
    """An MQTT broker with TLS that knows two accounts, `dso` and `field`; `accounts` has their passwords."""
    yield from running_broker(MosquittoBroker({"dso": "of the dso", "field": "of the field"}, tls=True))


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[PostgresqlCluster]:
    """A PostgreSQL that runs for all tests; one that kills it starts it again. Mark tests `server`."""
    required()
    cluster = PostgresqlCluster()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def postgresql_url(postgresql_cluster: PostgresqlCluster) -> str:
    """The URL of an empty PostgreSQL database of the test's own."""
    return postgresql_cluster.new_database()
