"""The database of tokens, idempotency keys and the audit log: an SQLite file, or PostgreSQL by URL."""

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from environments.http import tables
from ontology.errors import InvalidInput, Unavailable, problem

__all__ = ["AccessDatabase"]

T = TypeVar("T")
_BACKENDS = ("sqlite", "postgresql")


class AccessDatabase:
    """Where the interface keeps what is its own; its tables are made when they are not there.

    Args: url: such as `sqlite:///access.sqlite` or `postgresql+psycopg://user@host/name?passfile=…`.
    Raises: InvalidInput when the URL is of neither database, Unavailable when it cannot be opened.
    """

    def __init__(self, url: str = "sqlite://") -> None:
        self.engine = _engine(url)
        self.run(tables.METADATA.create_all)
        self.audit_key = self._secret("audit")

    def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Do something in one transaction.

        Raises: Unavailable when the database cannot be reached or does not take it.
        """
        try:
            with self.engine.begin() as connection:
                return work(connection)
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            raise Unavailable(f"access database: {type(error.orig).__name__}") from error

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def _secret(self, name: str) -> bytes:
        """Return a secret of the database's own, made at the first start."""

        def made(connection: sa.Connection) -> str:
            asked = sa.select(tables.secrets.c.value).where(tables.secrets.c.name == name)
            known = connection.scalar(asked)
            if known is None:
                known = secrets.token_hex(32)
                connection.execute(tables.secrets.insert().values(name=name, value=known))
            return str(known)

        return bytes.fromhex(self.run(made))


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InvalidInput(problem("api.database", url, "a URL such as sqlite:///access.sqlite")) from None
    backend = parsed.get_backend_name()
    if backend not in _BACKENDS:
        raise InvalidInput(problem("api.database", parsed.drivername, " or ".join(_BACKENDS)))
    if backend == "postgresql":
        return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if parsed.database in (None, "", ":memory:"):
        inline = {"check_same_thread": False}
        return sa.create_engine(parsed, poolclass=sa.pool.StaticPool, connect_args=inline)
    engine = sa.create_engine(parsed)
    sa.event.listen(engine, "connect", _write_ahead)
    return engine


def _write_ahead(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=5000")
