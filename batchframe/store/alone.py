"""Alone: at most one process of a kind at work on a database, by a lock that ends with its connection."""

from __future__ import annotations

from sqlalchemy import Connection, text

from batchframe.store.database import Database

_DETACHED_WORKER = 0x6266776F726B6572
"""Key of the advisory lock a detached worker holds as long as it may still take up a job."""


class Alone:
    """The lock; taken and given back by one connection, which it keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holding: Connection | None = None

    def take(self) -> bool:
        """Whether this process now is the one."""
        connection = self._database.connect()
        if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _DETACHED_WORKER}).scalar():
            connection.commit()
            self._holding = connection
            return True
        connection.close()
        return False

    def give_back(self) -> None:
        """Let another process be the one."""
        if self._holding is not None:
            self._holding.invalidate()  # closed, not pooled: the lock ends with it
            self._holding.close()
            self._holding = None


def is_taken(connection: Connection) -> bool:
    """Whether some process holds the lock."""
    query = text("""
        SELECT EXISTS (
            SELECT 1 FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 1
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (classid::bigint << 32) | objid::bigint = :key
        )
    """)
    return bool(connection.execute(query, {"key": _DETACHED_WORKER}).scalar())
