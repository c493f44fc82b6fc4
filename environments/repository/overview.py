"""What is in a repository's database: how many facts of which type each market has, and of what time."""

from typing import NamedTuple

import sqlalchemy as sa

from environments.repository.engines import Engines
from environments.repository.schema import READINGS, facts, series

__all__ = ["Line", "overview"]


class Line(NamedTuple):
    """The facts of one type in one market; times are epoch seconds, 0 where facts are timeless."""

    market: str
    entity: str
    number: int
    first_s: int
    last_s: int


def overview(engines: Engines) -> list[Line]:
    """Return a line a market and type, ascending.

    Raises: Unavailable when the database cannot be reached.
    """
    lines = []
    with engines.reading() as connection:
        c = facts.c
        columns = (c.market, c.entity, sa.func.count(), sa.func.min(c.time_s), sa.func.max(c.time_s))
        found = connection.execute(sa.select(*columns).group_by(c.market, c.entity))
        lines += [Line(*row) for row in found]
        for entity, table in READINGS.items():
            time_s = table.c.time_s
            totals = sa.select(series.c.market, sa.func.count(), sa.func.min(time_s), sa.func.max(time_s))
            totals = totals.join_from(series, table, table.c.series_id == series.c.series_id)
            found = connection.execute(totals.where(series.c.entity == entity).group_by(series.c.market))
            lines += [Line(market, entity, *rest) for market, *rest in found]
    return sorted(lines)
