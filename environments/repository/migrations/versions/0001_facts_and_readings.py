"""Facts as JSON, and readings in columns under their series."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from environments.repository.partitions import create_outer_partitions

revision = "0001"
down_revision = None

EXACT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BY_MONTH: dict[str, Any] = {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (time_s)"}
READINGS = {
    "interval_readings": (
        ("consumed_wh", sa.BigInteger),
        ("produced_wh", sa.BigInteger),
        ("consumed_w", sa.BigInteger),
        ("produced_w", sa.BigInteger),
        ("quality", sa.Text),
    ),
    "measurements": (("value", sa.Double), ("quality", sa.Text)),
    "grid_measurements": (
        *((f"voltage_v_{number}", sa.Double) for number in range(3)),
        *((f"current_a_{number}", sa.Double) for number in range(4)),
        *((f"power_w_{number}", sa.BigInteger) for number in range(3)),
        *((f"reactive_var_{number}", sa.BigInteger) for number in range(3)),
        ("voltage_distortion", sa.Double),
    ),
}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "facts",
        sa.Column("market", EXACT, primary_key=True, comment="the namespace that it belongs to"),
        sa.Column("entity", EXACT, primary_key=True, comment="message type, such as parity:Forecast"),
        sa.Column("subject", EXACT, primary_key=True, comment="whom or what the fact is about"),
        sa.Column("time_s", sa.BigInteger, primary_key=True, comment="epoch seconds; 0 when timeless"),
        sa.Column("variant", EXACT, primary_key=True, comment="which of several at that time, or nothing"),
        sa.Column("body", sa.Text, nullable=False, comment="the concept as JSON"),
        **BY_MONTH,
    )
    op.create_table(
        "series",
        sa.Column("series_id", NUMBER, sa.Identity(), primary_key=True),
        *(sa.Column(name, EXACT, nullable=False) for name in ("market", "entity", "subject", "variant")),
        sa.UniqueConstraint("market", "entity", "subject", "variant", name="series_key"),
        sqlite_autoincrement=True,
    )
    for table, columns in READINGS.items():
        op.create_table(
            table,
            sa.Column("series_id", sa.BigInteger, primary_key=True),
            sa.Column("time_s", sa.BigInteger, primary_key=True),
            *(sa.Column(name, of_type, nullable=False) for name, of_type in columns),
            **BY_MONTH,
        )
    op.create_index("facts_by_time", "facts", ["market", "entity", "time_s"])
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in ("facts", *READINGS):
        create_outer_partitions(op.get_bind(), table)
        op.create_index(f"{table}_time_brin", table, ["time_s"], postgresql_using="brin")


def downgrade() -> None:
    """Drop the tables, with all that is in them."""
    for table in (*READINGS, "series", "facts"):
        op.drop_table(table)
