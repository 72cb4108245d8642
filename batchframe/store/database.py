"""The connection to Postgres: a pool, transactions, and migrations applied on connect.

One schema, `batchframe`, holds all tables, so the database may be shared with other programs. All times are the
database's own; no engine's clock is ever compared with another's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import URL, Connection, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from batchframe.errors import ConfigurationError, DatabaseError

HEAD = "0004"
"""The newest migration; a test keeps it so. Known here, a database that is up to date opens without Alembic."""

_UNUSABLE = (OperationalError, InternalError, InterfaceError, sqlalchemy.exc.TimeoutError, psycopg.OperationalError)
"""What says that the server, not the statement, is at fault; COPY's own errors come unwrapped from psycopg."""

_UNREADABLE = URL.create("unreadable")

_MIGRATION_LOCK = 0x62617463686672
"""Key of the advisory lock under which one process migrates and the others wait."""

_CONNECT_SECONDS = 10
_IDLE_SECONDS = 300
_TRANSACTION_SECONDS = 3600
"""A process that is frozen inside a transaction holds its locks, and nobody else gets on. After so long of silence, or
in all, the server takes them from it. Packing a large frame, the longest silence of a healthy one, takes seconds."""

_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
}
"""A server that vanished without a word is noticed after 40 s; by the kernel's own rules it takes hours. In seconds,
but for the last, which is in milliseconds."""

_SESSION = {
    "search_path": "batchframe",
    "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
    # The same from the other side: a machine that vanished holds no locks for longer.
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}


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
        self.url = _parsed(url)
        del url  # it may hold a password, and some tracebacks show local variables
        if self.url is _UNREADABLE:
            raise ConfigurationError(
                "BATCHFRAME_DATABASE_URL is no database URL. It looks like postgresql://user:password@host/database."
            )
        if (kind := self.url.get_backend_name()) not in ("postgresql", "postgres"):
            raise ConfigurationError(f"batchframe keeps its state in Postgres, not in {kind!r}.")
        self.url = self.url.set(drivername="postgresql+psycopg")
        self._engine = self._open(_SESSION)
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
        failure: BaseException
        try:
            with self._engine.begin() as connection:
                yield connection
                return
        except _UNUSABLE as error:
            failure = self.unreachable(error)
        except ProgrammingError as error:
            if not _hides_an_interrupt(error):
                raise
            failure = KeyboardInterrupt()
        raise failure

    def connect(self) -> Connection:
        """A connection to keep, which the caller closes.

        Raises:
            DatabaseError: the server cannot be reached.
        """
        try:
            return self._engine.connect()
        except _UNUSABLE as error:
            failure = self.unreachable(error)
        raise failure

    def close(self) -> None:
        """Close the pool; connections in use close when they are given back."""
        self._engine.dispose()

    def reserved(self, seconds: float) -> Database:
        """The same database over connections of its own, whose statements fail when they take longer than `seconds`."""
        other = copy.copy(self)
        other._engine = self._open({**_SESSION, "statement_timeout": f"{max(1, round(seconds * 1000))}ms"})
        return other

    def connect_arguments(self) -> dict[str, Any]:
        """What psycopg needs for a connection of its own. The password is in it: not for people."""
        _, arguments = self._engine.dialect.create_connect_args(self.url)
        return {**arguments, **self._arguments(_SESSION)}

    def unreachable(self, error: Exception) -> DatabaseError:
        """What the driver said, in our words, which name host and user, never the password.

        To be raised outside the `except`: the driver's own error holds the connection, and with it the password.
        """
        said = " ".join(str(getattr(error, "orig", error)).split())
        return DatabaseError(f"Postgres at {self.place} cannot be used: {said}. Check BATCHFRAME_DATABASE_URL.")

    def _open(self, session: dict[str, str]) -> sqlalchemy.Engine:
        engine = create_engine(
            self.url, pool_size=8, max_overflow=24, pool_pre_ping=True, connect_args=self._arguments(session)
        )
        event.listen(engine, "connect", _limit_transactions)
        return engine

    def _arguments(self, session: dict[str, str]) -> dict[str, Any]:
        """What libpq is told beside the URL, in which a keep-alive of the user's own wins."""
        keepalive = {name: value for name, value in _KEEPALIVE.items() if name not in self.url.query}
        options = " ".join(f"-c {name}={value}" for name, value in session.items())
        return {"options": options, "connect_timeout": _CONNECT_SECONDS, **keepalive}

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
                return
        except DBAPIError as error:
            unreachable = self.unreachable(error)
        raise unreachable

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


def _parsed(url: str) -> URL:
    with suppress(ArgumentError, ValueError):
        return make_url(url)
    return _UNREADABLE


def _hides_an_interrupt(error: BaseException | None) -> bool:
    """Ctrl-C during the pool's look at a connection comes out as what the driver then says of that connection."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _limit_transactions(connection: psycopg.Connection[Any], _: object) -> None:
    """Postgres 17 and later can end a transaction that is frozen in the middle of a COPY, too."""
    if connection.info.server_version >= 170_000:
        connection.execute(f"SET transaction_timeout = '{_TRANSACTION_SECONDS}s'".encode())
        connection.commit()
