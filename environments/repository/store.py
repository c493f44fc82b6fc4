"""The repository in an SQL database: an SQLite file or memory now, addressed by URL."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from environments.repository.keys import ENTITIES, is_timeless, key_of, require_entity
from environments.repository.schema import METADATA, facts
from ontology.base import Concept
from ontology.errors import InvalidInput, Unavailable, problem

__all__ = ["SqlRepository"]

_DECODERS = {entity: msgspec.json.Decoder(cls) for entity, cls in ENTITIES.items()}
_encode = msgspec.json.Encoder().encode


class SqlRepository:
    """The `Repository` port on SQLite; calls complete inline.

    Args: url: such as `sqlite:///facts.sqlite`, or `sqlite://` for memory.
    Raises: InvalidInput when the URL is none of SQLite, Unavailable when the file cannot be opened.
    """

    def __init__(self, url: str = "sqlite://") -> None:
        self._engine = _engine(url)
        try:
            METADATA.create_all(self._engine)
        except sa.exc.OperationalError as error:
            raise Unavailable(f"repository: {error.orig}") from error
        insert = sqlite.insert(facts)
        self._upsert = insert.on_conflict_do_update(
            index_elements=list(facts.primary_key), set_={"body": insert.excluded.body}
        )

    async def store(self, items: Sequence[Concept]) -> None:
        """Store facts, all or none; one with the same type, subject, time and variant replaces the older.

        Raises: InvalidInput when an item is of a type that is not stored or breaks its schema.
        """
        rows = [_row(item) for item in items]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(self._upsert, rows)

    async def query(self, entity: str, subject: str, start_s: int, end_s: int) -> list[Concept]:
        """Return the facts of a message type about a subject in [start_s, end_s), ascending.

        An empty subject means every subject; timeless facts are found at any time.

        Raises: InvalidInput when the type is not stored.
        """
        first_s, end_s = (0, 1) if is_timeless(entity) else (start_s, end_s)
        found = (
            _about(entity, subject)
            .where(facts.c.time_s >= first_s, facts.c.time_s < end_s)
            .order_by(facts.c.time_s, facts.c.subject, facts.c.variant)
        )
        decode = _DECODERS[entity].decode
        with self._engine.connect() as connection:
            return [decode(body) for body in connection.scalars(found)]

    async def latest(self, entity: str, subject: str) -> Concept | None:
        """Return the newest fact of a message type about a subject, or about any when it is empty.

        Raises: InvalidInput when the type is not stored.
        """
        require_entity(entity)
        newest = (
            _about(entity, subject)
            .order_by(facts.c.time_s.desc(), facts.c.subject.desc(), facts.c.variant.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            body = connection.scalar(newest)
        return None if body is None else _DECODERS[entity].decode(body)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _about(entity: str, subject: str) -> sa.Select[str]:
    selected = sa.select(facts.c.body).where(facts.c.entity == entity)
    return selected.where(facts.c.subject == subject) if subject else selected


def _row(item: Concept) -> dict[str, Any]:
    key = key_of(item)
    body = _encode(item)
    try:
        _DECODERS[key.entity].decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(problem(key.entity, body.decode(), str(error))) from error
    return {**key._asdict(), "body": body.decode()}


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InvalidInput(problem("repository.url", url, "a URL such as sqlite:///facts.sqlite")) from None
    if parsed.get_backend_name() != "sqlite":
        raise InvalidInput(problem("repository.url", parsed.drivername, "sqlite"))
    if parsed.database in (None, "", ":memory:"):
        return sa.create_engine(
            parsed, poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False}
        )
    engine = sa.create_engine(parsed)
    sa.event.listen(engine, "connect", _write_ahead)
    return engine


def _write_ahead(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
