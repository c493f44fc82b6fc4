"""The monthly partitions of PostgreSQL: made when the first fact of a month comes, dropped when it is past.

What is before 2000 or has no time, and what is from 2100 on, lies in a partition each, so that wrong times
cannot make thousands of tables.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from environments.repository.locks import Lock, alone

__all__ = ["Month", "Partitions", "create_outer_partitions", "months_of"]

FIRST_YEAR, LAST_YEAR = 2000, 2099
SECONDS_A_DAY = 86_400


class Month(NamedTuple):
    """A calendar month, in UTC."""

    year: int
    month: int

    @property
    def start_s(self) -> int:
        """Its first second."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp())

    @property
    def end_s(self) -> int:
        """The second after its last."""
        return Month(self.year + self.month // 12, self.month % 12 + 1).start_s

    def partition(self, table: str) -> str:
        """Return the name of a table's partition."""
        return f"{table}_{self.year}_{self.month:02}"


_FROM_S, _TO_S = Month(FIRST_YEAR, 1).start_s, Month(LAST_YEAR + 1, 1).start_s


def months_of(times_s: Iterable[int]) -> set[Month]:
    """Return the months between 2000 and 2099 that times lie in."""
    days = {time_s // SECONDS_A_DAY for time_s in times_s if _FROM_S <= time_s < _TO_S}
    dates = (datetime.fromtimestamp(day * SECONDS_A_DAY, UTC) for day in days)
    return {Month(date.year, date.month) for date in dates}


def create_outer_partitions(connection: sa.Connection, table: str) -> None:
    """Make the partitions for what is timeless, before 2000, and from 2100 on."""
    part = f"CREATE TABLE IF NOT EXISTS {table}_%s PARTITION OF {table} FOR VALUES FROM (%s) TO (%s)"
    connection.exec_driver_sql(part % ("before", "MINVALUE", _FROM_S))
    connection.exec_driver_sql(part % ("after", _TO_S, "MAXVALUE"))


class Partitions:
    """Knows which partitions are there, and makes those that are not."""

    def __init__(self) -> None:
        self._known: set[tuple[str, Month]] = set()

    def missing(self, table: str, times_s: Iterable[int]) -> set[tuple[str, Month]]:
        """Return table and month of each partition that times need and that is not known to be there."""
        return {(table, month) for month in months_of(times_s)} - self._known

    def create(self, connection: sa.Connection, missing: Iterable[tuple[str, Month]]) -> None:
        """Make partitions, one process at a time."""
        alone(connection, Lock.PARTITIONS)
        for table, month in sorted(missing):
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {month.partition(table)} PARTITION OF {table} "
                f"FOR VALUES FROM ({month.start_s}) TO ({month.end_s})"
            )

    def made(self, partitions: Iterable[tuple[str, Month]]) -> None:
        """Remember partitions as being there, once their transaction has ended."""
        self._known |= set(partitions)

    def forget(self) -> None:
        """Know of none any more: somebody has dropped one."""
        self._known.clear()

    @staticmethod
    def past(connection: sa.Connection, table: str, before_s: int) -> Iterator[str]:
        """Yield the names of a table's partitions that end before a time."""
        listed = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = :t ::regclass")
        for name in connection.scalars(listed, {"t": table}).all():
            month = _month_of(name, table)
            if month is not None and month.end_s <= before_s:
                yield name


def _month_of(name: str, table: str) -> Month | None:
    numbers = name.removeprefix(f"{table}_").split("_")
    return Month(*map(int, numbers)) if len(numbers) == 2 and all(map(str.isdigit, numbers)) else None
