"""Which version the tables of a database are, and how they become the newest: alembic, on both databases.

A migration is a file in `migrations/versions`. Several may follow the same one: all newest ("heads") count.
"""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from environments.repository.engines import Engines
from environments.repository.locks import Lock, alone
from environments.repository.partitions import create_outer_partitions
from environments.repository.people_tables import REGISTRY
from environments.repository.schema import METADATA, PARTITIONED
from ontology.errors import Conflict

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

__all__ = ["Version", "create", "prepare", "upgrade", "version_of"]

_TABLES = frozenset(METADATA.tables) | {table.name for table in REGISTRY}
_stamps = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)


class Version(NamedTuple):
    """What a database's tables are, beside what this program knows; both empty or names of migrations."""

    held: frozenset[str]
    newest: frozenset[str]

    @property
    def is_newest(self) -> bool:
        """Whether the program can work on the tables."""
        return self.held == self.newest

    @property
    def is_unknown(self) -> bool:
        """Whether a newer program has made the tables."""
        return bool(self.held - _all_known())


def prepare(engines: Engines) -> None:
    """Make the tables where there are none, and see that those that are there can be worked on.

    Raises: Conflict when they are older or newer, or somebody else's, Unavailable when the database is away.
    """
    version = version_of(engines)
    if not version.held:
        create(engines)
    else:
        require_known(engines, version)
        if not version.is_newest:
            held = ", ".join(sorted(version.held))
            raise Conflict(
                f"repository {engines.shown}: its tables are of the older version {held}; "
                "`parity-mas repository upgrade URL` brings them up to date"
            )


def version_of(engines: Engines) -> Version:
    """Return what is there.

    Raises: Unavailable when the database cannot be reached.
    """
    with engines.reading() as connection:
        return Version(_held(connection), _newest())


def require_known(engines: Engines, version: Version) -> None:
    """Check that no newer program has made the tables.

    Raises: Conflict when one has.
    """
    if version.is_unknown:
        raise Conflict(
            f"repository {engines.shown}: its tables are of version {', '.join(sorted(version.held))}, "
            f"made by a newer parity-mas; this one knows up to {', '.join(sorted(version.newest))}"
        )


def create(engines: Engines) -> None:
    """Make all tables in a database that has none; where they are already, nothing changes.

    Raises: Conflict when there are tables of their names that are not ours.
    """
    with engines.writing(durable=True) as connection:
        alone(connection, Lock.TABLES)
        if _held(connection):
            return
        taken = sorted(set(sa.inspect(connection).get_table_names()) & _TABLES)
        if taken:
            raise Conflict(f"repository {engines.shown}: has tables of another make: {', '.join(taken)}")
        METADATA.create_all(connection, checkfirst=False)
        _stamps.create(connection)
        connection.execute(_stamps.insert(), [{"version_num": each} for each in sorted(_newest())])


def upgrade(engines: Engines) -> Version:
    """Bring the tables to the newest version, all steps or none, and return what they were.

    Raises: Conflict when they are of a version that this program does not know.
    """
    from alembic import command

    version = version_of(engines)
    require_known(engines, version)
    if not version.held:
        create(engines)
    elif not version.is_newest:
        with engines.writing(durable=True) as connection:
            alone(connection, Lock.TABLES)
            configuration = _configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "heads")
    return version


def _held(connection: sa.Connection) -> frozenset[str]:
    if not sa.inspect(connection).has_table(_stamps.name):
        return frozenset()
    return frozenset(connection.scalars(sa.select(_stamps.c.version_num)))


@cache
def _newest() -> frozenset[str]:
    return frozenset(_scripts().get_heads())


@cache
def _all_known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_configuration())


def _configuration() -> "Config":
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", "environments.repository:migrations")
    configuration.set_main_option("path_separator", "os")
    return configuration


def _outer_partitions(table: sa.Table, connection: sa.Connection, **_: object) -> None:
    if connection.dialect.name == "postgresql":
        create_outer_partitions(connection, table.name)


def _listen(tables: Iterable[sa.Table]) -> None:
    for table in tables:
        sa.event.listen(table, "after_create", _outer_partitions)


_listen(PARTITIONED)
