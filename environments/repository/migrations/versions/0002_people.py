"""The registry's tables: people and what was done."""

import sqlalchemy as sa
from alembic import op

revision = "0002_people"
down_revision = "0001"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "people",
        sa.Column("user_id", sa.Text, primary_key=True, comment="random; says nothing"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("site_index", sa.Text, comment="keyed hash of the site; empty when erased"),
        sa.Column("email_index", sa.Text, comment="keyed hash of the e-mail; empty when erased"),
        sa.Column("record", sa.LargeBinary, comment="all that is known, sealed under the person's key"),
        sa.Column("registered_at_s", sa.BigInteger, nullable=False),
        sa.Column("erased_at_s", sa.BigInteger),
        sa.UniqueConstraint("site_index", name="people_site"),
        sa.UniqueConstraint("email_index", name="people_email"),
    )
    op.create_table(
        "registry_actions",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("time_s", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False, comment="an address, a token's name or `operator`"),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False, comment="a user id or an entry; never a pseudonym"),
        sa.Column("outcome", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("registry_actions")
    op.drop_table("people")
