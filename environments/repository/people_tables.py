"""The tables of people and of what was done in the registry; nothing in them can be read without its keys."""

import sqlalchemy as sa

from environments.repository.schema import METADATA, Number

__all__ = ["REGISTRY", "actions", "people"]

people = sa.Table(
    "people",
    METADATA,
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
"""One row a person."""

actions = sa.Table(
    "registry_actions",
    METADATA,
    sa.Column("number", Number, sa.Identity(), primary_key=True),
    sa.Column("time_s", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False, comment="an address, a token's name or `operator`"),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="a user id or an entry; never a pseudonym"),
    sa.Column("outcome", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Who did what to whom; rows are added and never changed."""

REGISTRY = (people, actions)
"""The tables of the registry."""
