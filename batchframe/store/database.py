"""The connection to Postgres: a pool, transactions, and migrations applied on connect.

One schema, `batchframe`, holds all tables, so the database may be shared with other programs. All times are the
database's own; no engine's clock is ever compared with another's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError

from batchframe.errors import ConfigurationError, DatabaseError

HEAD = "0001"
"""The newest migration; a test keeps it so. Known here, a database that is up to date opens without Alembic."""

_UNUSABLE = (OperationalError, InternalError, InterfaceError, sqlalchemy.exc.TimeoutError, psycopg.OperationalError)
"""What says that the server, not the statement, is at fault; COPY's own errors come unwrapped from psycopg."""

_IDLE_SECONDS = 300
"""A process that is frozen in the middle of a transaction loses it, and with it the locks others wait for. The longest
honest pause is the packing of a large frame, seconds."""

_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A server that vanished without a word is noticed within a minute, not in the two hours the system would take; and
the server notices in the same way that we are gone."""

_MIGRATION_LOCK = 0x62617463686672
"""Key of the advisory lock under which one process migrates and the others wait."""


class Database:
    """A migrated batchframe database."""

    def __init__(self, url: str) -> None:
        """Connect and migrate.

        Args:
            url: `postgresql://…`.

        Raises:
            ConfigurationError: the URL cannot be read or is not Postgres'.
            DatabaseError: the server cannot be reached or migrated.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigurationError(
                "BATCHFRAME_DATABASE_URL is no database URL. It looks like postgresql://user:password@host/database."
            ) from None
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise ConfigurationError(f"batchframe keeps its state in Postgres, not in {parsed.get_backend_name()!r}.")
        self.url = parsed.set(drivername="postgresql+psycopg")
        self._engine = self._open()
        try:
            self._migrate()
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def place(self) -> str:
        """The URL without anything secret, for people."""
        shown = {name: "***" if "password" in name else value for name, value in self.url.query.items()}
        return self.url.set(query=shown).render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Database({self.place})"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on any exception.

        Raises:
            DatabaseError: the server cannot be reached.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except _UNUSABLE as error:
            raise self.unreachable(error) from None

    def close(self) -> None:
        """Close the pool; connections in use close when they are given back."""
        self._engine.dispose()

    def reserved(self, seconds: float) -> Database:
        """The same database over connections of its own, whose statements fail when they take longer than `seconds`."""
        other = copy.copy(self)
        other._engine = self._open(statement_timeout=max(1, round(seconds * 1000)))
        return other

    def connect_arguments(self) -> dict[str, Any]:
        """What psycopg needs for a connection of its own. The password is in it: not for people."""
        _, arguments = self._engine.dialect.create_connect_args(self.url)
        return {**_KEEPALIVE, **arguments, **_arguments()}

    def unreachable(self, error: Exception) -> DatabaseError:
        """What the driver said, in our words."""
        # The driver's words name host and user, never the password.
        said = " ".join(str(getattr(error, "orig", error)).split())
        return DatabaseError(f"Postgres at {self.place} cannot be used: {said}. Check BATCHFRAME_DATABASE_URL.")

    def _open(self, **parameters: int) -> sqlalchemy.Engine:
        keepalive = {name: value for name, value in _KEEPALIVE.items() if name not in self.url.query}
        arguments = {**keepalive, **_arguments(**parameters)}
        return create_engine(self.url, pool_size=8, max_overflow=24, pool_pre_ping=True, connect_args=arguments)

    def _migrate(self) -> None:
        try:
            with self._engine.connect() as connection:
                if self._version(connection) == HEAD:
                    return
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
                connection.commit()
                try:
                    self._upgrade(connection)
                finally:
                    connection.rollback()
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
                    connection.commit()
        except DBAPIError as error:
            raise self.unreachable(error) from None

    @staticmethod
    def _version(connection: Connection) -> str | None:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return version

    def _upgrade(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        connection.execute(text("CREATE SCHEMA IF NOT EXISTS batchframe"))
        connection.commit()
        config = Config()
        config.set_main_option("script_location", "batchframe.store:migrations")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseError(
                f"The database is at a migration this batchframe does not know ({error}). Upgrade batchframe."
            ) from None
        connection.commit()


def _arguments(**parameters: int) -> dict[str, Any]:
    """What every connection is opened with; `parameters` are the server's, beside those of all sessions."""
    session = {
        "search_path": "batchframe",
        "idle_in_transaction_session_timeout": _IDLE_SECONDS * 1000,
        **{f"tcp_{name}": value for name, value in _KEEPALIVE.items()},
        **parameters,
    }
    return {"options": " ".join(f"-c {name}={value}" for name, value in session.items()), "connect_timeout": 10}
