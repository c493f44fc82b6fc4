"""The tables of the repository."""

import sqlalchemy as sa

__all__ = ["METADATA", "facts"]

METADATA = sa.MetaData()

facts = sa.Table(
    "facts",
    METADATA,
    sa.Column("entity", sa.Text, primary_key=True, comment="message type, such as parity:IntervalReading"),
    sa.Column("subject", sa.Text, primary_key=True, comment="whom or what the fact is about"),
    sa.Column("time_s", sa.BigInteger, primary_key=True, comment="epoch seconds; 0 when timeless"),
    sa.Column("variant", sa.Text, primary_key=True, comment="which of several at that time, or nothing"),
    sa.Column("body", sa.Text, nullable=False, comment="the concept as JSON"),
    sa.Index("facts_by_time", "entity", "time_s"),
    sqlite_with_rowid=False,
)
"""One row a fact, of every type."""
