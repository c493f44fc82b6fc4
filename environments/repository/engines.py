"""Connections to the repository's database, as its URL names it: SQLite or PostgreSQL.

```
sqlite://                                                   in memory
sqlite:///facts.sqlite                                      a file; four slashes for an absolute path
postgresql://parity@localhost/parity?passfile=/etc/parity/passfile
postgresql://parity@/parity?host=/run/postgresql            a socket
```

A password never stands in the URL: libpq reads it from the `passfile`, or from what PGPASSFILE names.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ontology.errors import InvalidInput, Refused, Unavailable, problem

__all__ = ["Engines", "checked_url"]

BUSY_S = 30
"""How long a writer of SQLite waits for another."""
CONNECT_S = 5
"""How long to wait for PostgreSQL."""
MAY_NOT = "42501"
"""What PostgreSQL says to one who has no right (insufficient_privilege)."""
CACHE_KIB = 65_536
CHECKPOINT_PAGES = 16_384
"""SQLite brings what was written ahead into the file every 64 MB: pages that batches share go there once."""
EXAMPLE = "a URL such as sqlite:///facts.sqlite or postgresql://user@host/database?passfile=/path"


class Engines:
    """Opens transactions for reading and writing; those of threads do not meet.

    A transaction that is durable has reached the disk when it ends. In PostgreSQL every one is; in an SQLite
    file the others survive a kill of the process, and a power cut may take the last of them.

    Args: url: of the database.
    Raises: InvalidInput when the URL is none of the two, or bears a password.
    """

    def __init__(self, url: str) -> None:
        parsed = checked_url(url)
        self.dialect = parsed.get_backend_name()
        self.shown = parsed.render_as_string(hide_password=True).partition("?")[0]
        """The URL as messages may show it."""
        self._durable: sa.Engine
        if self.dialect == "postgresql":
            self._plain = self._durable = _postgresql(parsed)
        elif parsed.database in (None, "", ":memory:"):
            self._plain = self._durable = _in_memory(parsed)
        else:
            self._plain, self._durable = _file(parsed, "NORMAL"), _file(parsed, "FULL")
        driver = self._plain.dialect.loaded_dbapi
        self._away = (sa.exc.DatabaseError, sa.exc.InterfaceError, driver.DatabaseError)
        self.broken_rules = (sa.exc.IntegrityError, driver.IntegrityError)
        """What is raised where a row is not let in, by SQLAlchemy or straight by the driver."""
        shared = isinstance(self._plain.pool, sa.pool.StaticPool)
        self._alone: Any = threading.RLock() if shared else nullcontext()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of everything.

        Raises: Unavailable when the database cannot be reached.
        """
        with self._alone, self._reached(), self._plain.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction that is kept when the block ends, and undone when it raises.

        Raises: Unavailable when the database cannot be reached or does not take it, Refused when its user
            has no right to it.
        """
        engine = self._durable if durable else self._plain
        with self._alone, self._reached(), engine.execution_options(writes=True).begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._plain.dispose()
        self._durable.dispose()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except self.broken_rules:
            raise
        except self._away as error:
            cause = getattr(error, "orig", error)
            told = f"repository {self.shown}: {str(cause).strip()}"
            if getattr(cause, "sqlstate", None) == MAY_NOT:
                raise Refused(f"{told}; its user must be allowed to make tables there") from error
            if isinstance(cause, self._plain.dialect.loaded_dbapi.ProgrammingError):
                raise
            raise Unavailable(told) from error
        except sa.exc.TimeoutError as error:
            raise Unavailable(f"repository {self.shown}: all connections are busy") from error


def checked_url(url: str) -> sa.URL:
    """Return the parts of a database's URL.

    Raises: InvalidInput when it is none of SQLite or PostgreSQL, or bears a password.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InvalidInput(problem("repository.url", "not shown", EXAMPLE)) from None
    if parsed.password is not None or "password" in parsed.query:
        expected = "without a password: that belongs into a file which ?passfile= or PGPASSFILE names"
        raise InvalidInput(problem("repository.url", parsed.render_as_string().partition("?")[0], expected))
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise InvalidInput(problem("repository.url", parsed.drivername, "sqlite or postgresql"))
    return parsed


def _in_memory(url: sa.URL) -> sa.Engine:
    once = {"check_same_thread": False}
    return _sqlite(sa.create_engine(url, poolclass=sa.pool.StaticPool, connect_args=once), "OFF")


def _file(url: sa.URL, synchronous: str) -> sa.Engine:
    """Open a file that nobody else on the machine may read: what members use is nobody's business."""
    with suppress(OSError):  # SQLite says better what is wrong with the path
        Path(url.database or "").touch(mode=0o600)
    return _sqlite(sa.create_engine(url, connect_args={"timeout": BUSY_S}), synchronous)


def _sqlite(engine: sa.Engine, synchronous: str) -> sa.Engine:
    """Let SQLite write ahead, and begin transactions when they begin, not with their first change."""

    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")

    def begins(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begins)
    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    """Let PostgreSQL have each commit on disk before it says so, whatever the server's default is."""
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_S, "options": "-c synchronous_commit=on -c timezone=UTC"},
    )
