"""What only one process may do at a time in PostgreSQL; SQLite lets one write at a time anyway.

The locks are advisory and end with their transaction, or with the process that dies in it.
"""

from enum import IntEnum

import sqlalchemy as sa

__all__ = ["Lock", "alone", "together"]


class Lock(IntEnum):
    """Numbers of the locks, none of which anybody else takes in our database."""

    TABLES = 7_232_022
    """Held by who makes tables or changes them."""
    PARTITIONS = 7_232_023
    """Held by who makes partitions."""
    SERIES = 7_232_024
    """Shared by all who store readings under series; held alone by who deletes series without readings."""


def alone(connection: sa.Connection, lock: Lock) -> None:
    """Wait until nobody else has a lock, and hold it to the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int(lock))))


def together(connection: sa.Connection, lock: Lock) -> None:
    """Share a lock with others who share it, to the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(int(lock))))
