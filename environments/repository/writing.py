"""Rows into tables: in SQLite by one prepared statement, in PostgreSQL by COPY; what is there is replaced."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from environments.repository.engines import Engines
from environments.repository.locks import Lock, together
from environments.repository.packing import Packed, Row
from environments.repository.partitions import Partitions
from environments.repository.schema import READINGS, facts, series
from ontology.errors import Unavailable

__all__ = ["Writer"]

FEW = 50
"""As many rows are quicker to send as they are than to copy."""
IN_A_STATEMENT = 5_000
"""As many subjects as are looked up at once."""

Name = tuple[str, str]
"""Subject and variant of a series."""


class Writer:
    """Writes batches, all or nothing.

    Args: engines: of the database.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._is_postgresql = engines.dialect == "postgresql"
        self._partitions = Partitions()

    def write(self, market: str, batch: Packed) -> None:
        """Write a batch in one transaction; when it returns, it is kept.

        Raises: Unavailable when the database does not take it; then nothing is written.
        """
        try:
            self._write(market, batch)
        except self._engines.broken_rules:
            self._partitions.forget()  # one that was known has been dropped meanwhile
            self._write_again(market, batch)

    def _write_again(self, market: str, batch: Packed) -> None:
        try:
            self._write(market, batch)
        except self._engines.broken_rules as error:
            raise Unavailable(f"repository {self._engines.shown}: {error.orig}") from error

    def _write(self, market: str, batch: Packed) -> None:
        if self._is_postgresql:
            self._make_partitions(batch)
        with self._engines.writing(durable=batch.is_settlement) as connection:
            if batch.facts:
                self._put(connection, facts, [(market, *row) for row in batch.facts])
            if batch.readings:
                together(connection, Lock.SERIES)
            for entity, (subjects, times_s, variants, *values) in batch.readings.items():
                names = list(zip(subjects, variants, strict=True))
                ids = self._series_ids(connection, market, entity, set(names))
                numbers = map(ids.__getitem__, names)
                rows = _each_once(zip(numbers, times_s, *values, strict=True))
                self._put(connection, READINGS[entity], rows)

    def _make_partitions(self, batch: Packed) -> None:
        missing = self._partitions.missing(facts.name, (row[2] for row in batch.facts))
        for entity, (_, times_s, *_) in batch.readings.items():
            missing |= self._partitions.missing(READINGS[entity].name, times_s)
        if missing:
            with self._engines.writing() as connection:
                self._partitions.create(connection, missing)
            self._partitions.made(missing)

    def _series_ids(
        self, connection: sa.Connection, market: str, entity: str, names: Collection[Name]
    ) -> dict[Name, int]:
        """Return the numbers of series, new ones for those that are not there."""
        ids = self._known_ids(connection, market, entity, names)
        new = sorted(name for name in names if name not in ids)
        if new:
            insert = postgresql.insert(series) if self._is_postgresql else sqlite.insert(series)
            key = {"market": market, "entity": entity}
            connection.execute(
                insert.on_conflict_do_nothing(),
                [{**key, "subject": subject, "variant": variant} for subject, variant in new],
            )
            ids |= self._known_ids(connection, market, entity, new)
        return ids

    def _known_ids(
        self, connection: sa.Connection, market: str, entity: str, names: Collection[Name]
    ) -> dict[Name, int]:
        """Return the numbers of the series that are there."""
        c = series.c
        ids: dict[Name, int] = {}
        for subjects in _pieces(list(dict.fromkeys(subject for subject, _ in names))):
            found = sa.select(c.subject, c.variant, c.series_id).where(
                c.market == market, c.entity == entity, self._one_of(c.subject, subjects)
            )
            ids |= {(subject, variant): number for subject, variant, number in connection.execute(found)}
        return ids

    def _one_of(self, column: sa.Column[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return the condition that a column has one of many values; PostgreSQL takes them as one array."""
        if self._is_postgresql:
            return column == sa.any_(sa.cast(list(values), postgresql.ARRAY(sa.Text)))
        return column.in_(values)

    def _put(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        if not self._is_postgresql:
            connection.exec_driver_sql(_upsert(table, _values(table, "?")), list(rows))
        elif len(rows) <= FEW:
            connection.exec_driver_sql(_upsert(table, _values(table, "%s")), list(rows))
        else:
            _copy(connection, table, rows)


def _each_once(rows: Iterable[Row]) -> list[Row]:
    """Return rows in the order of series and time; of several of one time, the last.

    All who write take this order, so that no two wait for each other, and trees grow at their ends.
    """
    listed = list(rows)
    by_key = {row[:2]: row for row in listed}
    if len(by_key) < len(listed):
        listed = list(by_key.values())
    listed.sort()
    return listed


def _pieces(subjects: Sequence[str]) -> Iterator[Sequence[str]]:
    rest = iter(subjects)
    while piece := list(islice(rest, IN_A_STATEMENT)):
        yield piece


def _copy(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Copy rows where they belong; if any is there already, copy all beside it and put them in place."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.transaction():
            _copy_into(driver, table.name, rows)
    except connection.dialect.loaded_dbapi.errors.UniqueViolation:
        staging = f"staging_{table.name}"
        connection.exec_driver_sql(
            f"CREATE TEMP TABLE IF NOT EXISTS {staging} (LIKE {table.name}) ON COMMIT DELETE ROWS"
        )
        _copy_into(driver, staging, rows)
        connection.exec_driver_sql(_upsert(table, f"SELECT * FROM {staging}"))


def _copy_into(driver: Any, table: str, rows: Iterable[Row]) -> None:
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _values(table: sa.Table, mark: str) -> str:
    return f"VALUES ({', '.join([mark] * len(table.columns))})"


def _upsert(table: sa.Table, source: str) -> str:
    """Return the statement that puts rows into a table in the place of those with their keys."""
    key = ", ".join(column.name for column in table.primary_key)
    taken = ", ".join(f"{c.name} = excluded.{c.name}" for c in table.columns if not c.primary_key)
    return f"INSERT INTO {table.name} {source} ON CONFLICT ({key}) DO UPDATE SET {taken}"
