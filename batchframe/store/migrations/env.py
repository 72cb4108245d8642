"""What Alembic runs: the migrations on the connection it is handed, as one transaction."""

from alembic import context

from batchframe.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
