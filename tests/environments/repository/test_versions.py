"""Tables and migrations: made by steps or at once they are the same, and what is unknown is left alone."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from databases import DATABASES, url_of
from facts import reading
from inline import inline

from behaviours.repository_port import Selection
from environments.repository import SqlRepository, versions
from environments.repository.engines import Engines
from environments.repository.schema import METADATA
from ontology.errors import Conflict


@pytest.fixture(params=DATABASES)
def engines(request, tmp_path):
    engines = Engines(url_of(request.param, request, tmp_path))
    yield engines
    engines.close()


def stamp(engines: Engines, version: str) -> None:
    with engines.writing() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")


def migrate_from_nothing(engines: Engines) -> None:
    """Make the tables by going through all migrations."""
    from alembic import command

    configuration = versions._configuration()
    with engines.writing() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "heads")


def ours(dialect: str):
    """Return what alembic compares: not others' tables, nor in SQLite the indexes of PostgreSQL."""

    def is_compared(item, name, kind, *_) -> bool:
        is_of_ours = getattr(item, "table", item).name in METADATA.tables
        return is_of_ours and not (kind == "index" and dialect == "sqlite" and "brin" in name)

    return is_compared


def indexes(engines: Engines) -> dict[str, set[str]]:
    with engines.reading() as connection:
        look = sa.inspect(connection)
        return {table: {each["name"] for each in look.get_indexes(table)} for table in METADATA.tables}


def test_migrations_lead_to_the_tables_that_the_program_knows(engines):
    migrate_from_nothing(engines)
    with engines.reading() as connection:
        options = {"include_object": ours(engines.dialect)}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
    assert versions.version_of(engines).is_newest


def test_tables_made_at_once_have_the_indexes_of_those_made_by_migrations(engines):
    versions.create(engines)
    made = indexes(engines)
    with engines.writing() as connection:
        METADATA.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    migrate_from_nothing(engines)
    assert indexes(engines) == made


def test_facts_can_be_stored_in_migrated_tables(engines):
    migrate_from_nothing(engines)
    url = engines._plain.url.render_as_string(hide_password=False)
    repository = SqlRepository(url)
    inline(repository.store([reading(1_800_000_000 // 900 * 900)]))
    assert inline(repository.count(Selection("parity:IntervalReading"))) == 1
    repository.close()


def test_tables_of_a_newer_program_are_refused_and_left_as_they_are(engines):
    versions.create(engines)
    stamp(engines, "9999")
    for work in (versions.prepare, versions.upgrade):
        with pytest.raises(Conflict, match="newer parity-mas"):
            work(engines)
    assert versions.version_of(engines).held == {"9999"}


def test_tables_of_an_older_version_ask_for_the_upgrade(engines, monkeypatch):
    versions.create(engines)
    held = versions.version_of(engines).held
    monkeypatch.setattr(versions, "_newest", lambda: frozenset(["later"]))
    monkeypatch.setattr(versions, "_all_known", lambda: held | {"later"})
    with pytest.raises(Conflict, match="repository upgrade"):
        versions.prepare(engines)


def test_tables_of_another_make_are_not_touched(engines):
    with engines.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE facts (truth TEXT)")
    with pytest.raises(Conflict, match="another make: facts"):
        versions.prepare(engines)


def test_making_tables_twice_changes_nothing(engines):
    versions.create(engines)
    versions.create(engines)
    assert versions.upgrade(engines).is_newest
