"""The database: migrations, and what a connection promises."""

import os
import selectors
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import alembic.autogenerate
import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text

import batchframe.store.database as database_module
import batchframe.store.migrations
from batchframe.errors import ConfigurationError, DatabaseError
from batchframe.store.database import HEAD, Database
from batchframe.store.tables import metadata


def test_the_migrations_make_exactly_the_tables_of_the_model(database: Database) -> None:
    """A column in the code that is not in the database fails at the worst moment."""
    with database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert alembic.autogenerate.compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    """Otherwise an old database would pass for a new one."""
    folder = Path(batchframe.store.migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_an_empty_database_is_migrated_by_whoever_comes_first(database: Database, database_url: str) -> None:
    """Two processes that start at once must not trip over each other."""
    with database.transaction() as connection:
        connection.execute(text("DROP SCHEMA batchframe CASCADE"))
    opened: list[Database] = []
    failed: list[BaseException] = []

    def connect() -> None:
        try:
            opened.append(Database(database_url))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=connect) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for one in opened:
        with one.transaction() as connection:
            assert connection.execute(text("SELECT count(*) FROM job")).scalar() == 0
        one.close()


def test_a_database_of_a_newer_batchframe_is_refused(database: Database, database_url: str) -> None:
    """Writing into tables one does not know would break them."""
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="Upgrade batchframe"):
        Database(database_url)


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    """A crash in the middle leaves no half of it."""
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute(text("INSERT INTO quota VALUES ('p', 'm', 1)"))
        raise ZeroDivisionError
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM quota")).scalar() == 0


def test_a_frozen_process_does_not_hold_its_locks_for_ever(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is stopped while it plans would keep every settling of that job waiting, in every process."""
    monkeypatch.setitem(database_module._SESSION, "idle_in_transaction_session_timeout", "1s")
    frozen = Database(database_url)
    lock = text("SELECT pg_advisory_xact_lock(1)")
    with pytest.raises(DatabaseError), frozen.transaction() as connection:
        connection.execute(lock)
        with database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '20s'"))
            other.execute(lock)
        connection.execute(text("SELECT 1"))
    frozen.close()


def test_reserved_connections_do_not_wait_for_ever(database: Database) -> None:
    """Leases are renewed on them, and have to be known as lost in time."""
    reserved = database.reserved(0.2)
    with pytest.raises(DatabaseError, match="statement timeout"), reserved.transaction() as connection:
        connection.execute(text("SELECT pg_sleep(20)"))
    reserved.close()


def test_a_password_is_never_shown(database_url: str) -> None:
    """In the URL's query it hides from the usual masking."""
    separator = "&" if "?" in database_url else "?"
    database = Database(f"{database_url}{separator}password=canary")
    assert "canary" not in repr(database) + database.place
    database.close()


@pytest.mark.parametrize("url", ["sqlite://", "nonsense canary", "mysql://me:canary@host/x"])
def test_what_is_no_postgres_url_is_said_without_repeating_it(url: str) -> None:
    """A URL may hold a password, also one that is mistyped."""
    with pytest.raises(ConfigurationError) as caught:
        Database(url)
    assert "canary" not in str(caught.value)


def test_a_server_that_vanished_is_noticed(database_url: str) -> None:
    """By the kernel's own rules an engine would wait two hours for the answer of a machine that is gone."""
    with socket.create_server(("127.0.0.1", 0)) as door, ThreadPoolExecutor(1) as pool:
        url = make_url(database_url)
        behind = f"{url.query['host']}/.s.PGSQL.{url.query['port']}"
        pool.submit(_pass_on_one_connection, door, behind)
        through = url.set(query={}, host="127.0.0.1", port=door.getsockname()[1])
        database = Database(through.render_as_string(hide_password=False))
        with database.transaction() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, psycopg.Connection)
            options = socket.socket(fileno=os.dup(raw.fileno()))
            with options:
                assert options.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20
                assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5
                assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4
                assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 40_000
        database.close()


def test_a_transaction_that_is_frozen_is_ended_by_the_server(database: Database) -> None:
    """Its locks would keep every other engine from the job for as long as the laptop sleeps."""
    with database.transaction() as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "5min"
        assert connection.execute(text("SHOW transaction_timeout")).scalar() == "1h"


def _pass_on_one_connection(door: socket.socket, behind: str) -> None:
    """A plain TCP door to the server's Unix socket."""
    client, _ = door.accept()
    with client, socket.socket(socket.AF_UNIX) as server:
        server.connect(behind)
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
