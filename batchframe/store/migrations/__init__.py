"""Alembic's migrations, one file a step; applied by `store.database` on connect."""
