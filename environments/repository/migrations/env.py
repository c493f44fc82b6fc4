"""Runs migrations on the connection that `versions.upgrade` hands over, in its transaction."""

from alembic import context

from environments.repository.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
context.run_migrations()
