"""Alembic's entry point: it runs on the connection it is handed."""

from alembic import context

from liveroom.adapters.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    # MariaDB warns that it ignores the name of a primary key.
    version_table_pk=False,
)
context.run_migrations()
