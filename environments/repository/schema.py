"""The tables of the repository, the same in SQLite and PostgreSQL but for how they lie on disk.

`facts` has one row a fact, of every type but those in `series.LAYOUTS`. Those have a table each, where a row
is one reading of a `series`: what it is about is written down once. In PostgreSQL all that has a time is
partitioned by month, with a BRIN index on the time.
"""

import sqlalchemy as sa

from environments.repository.series import LAYOUTS, Layout

__all__ = ["METADATA", "PARTITIONED", "READINGS", "facts", "series"]

METADATA = sa.MetaData()

Exact = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is ordered by its characters' numbers everywhere."""
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the type is INTEGER."""
PARTITIONED_BY = "RANGE (time_s)"

facts = sa.Table(
    "facts",
    METADATA,
    sa.Column("market", Exact, primary_key=True, comment="the namespace that it belongs to"),
    sa.Column("entity", Exact, primary_key=True, comment="message type, such as parity:Forecast"),
    sa.Column("subject", Exact, primary_key=True, comment="whom or what the fact is about"),
    sa.Column("time_s", sa.BigInteger, primary_key=True, comment="epoch seconds; 0 when timeless"),
    sa.Column("variant", Exact, primary_key=True, comment="which of several at that time, or nothing"),
    sa.Column("body", sa.Text, nullable=False, comment="the concept as JSON"),
    sqlite_with_rowid=False,
    postgresql_partition_by=PARTITIONED_BY,
)
"""One row a fact."""
sa.Index("facts_by_time", facts.c.market, facts.c.entity, facts.c.time_s)
sa.Index("facts_time_brin", facts.c.time_s, postgresql_using="brin").ddl_if(dialect="postgresql")

series = sa.Table(
    "series",
    METADATA,
    sa.Column("series_id", Number, sa.Identity(), primary_key=True),
    sa.Column("market", Exact, nullable=False),
    sa.Column("entity", Exact, nullable=False),
    sa.Column("subject", Exact, nullable=False),
    sa.Column("variant", Exact, nullable=False),
    sa.UniqueConstraint("market", "entity", "subject", "variant", name="series_key"),
    sqlite_autoincrement=True,
)
"""What a row of readings is about: one row a message type, subject and variant."""


def _readings(layout: Layout) -> sa.Table:
    table = sa.Table(
        layout.table,
        METADATA,
        sa.Column("series_id", sa.BigInteger, primary_key=True),
        sa.Column("time_s", sa.BigInteger, primary_key=True),
        *(sa.Column(column.name, column.type, nullable=False) for column in layout.columns),
        sqlite_with_rowid=False,
        postgresql_partition_by=PARTITIONED_BY,
    )
    brin = sa.Index(f"{layout.table}_time_brin", table.c.time_s, postgresql_using="brin")
    brin.ddl_if(dialect="postgresql")
    return table


READINGS = {entity: _readings(layout) for entity, layout in LAYOUTS.items()}
"""The tables of readings by message type."""
PARTITIONED = (facts, *READINGS.values())
"""The tables that PostgreSQL keeps in a partition a month."""
