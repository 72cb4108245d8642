"""Databases, providers and engines of a case, made as often as it likes and gone when it is over."""

import queue
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from batchframe.simulator import Simulator
from batchframe.store.database import Database
from batchframe.store.tables import metadata
from tests.conftest import _execute, _with_database
from tests.faults.child import Site

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """A database, a provider, and where engines find the two."""

    database: Database
    simulator: Simulator
    site: Site

    def wait_for(self, look: Callable[[], T], seconds: float = 60.0) -> T:
        """Look, at the database say, until there is something to see.

        Raises:
            TimeoutError: there never was.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if seen := look():
                return seen
            time.sleep(0.02)  # Postgres tells nobody what a test might wait for
        raise TimeoutError(f"not seen within {seconds} s")

    def end_leases(self) -> None:
        """Let time pass: all leases are over. Short ones would run out by themselves, on a busy machine too early."""
        with self.database.transaction() as connection:
            connection.execute(
                text("UPDATE batch SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")
            )

    def troubles(self) -> list[str]:
        """What keeps batches from going on."""
        with self.database.transaction() as connection:
            return list(connection.execute(text("SELECT error FROM batch WHERE error IS NOT NULL")).scalars())

    def states(self) -> list[str]:
        """The states of all batches, in the order of their ids."""
        with self.database.transaction() as connection:
            return list(connection.execute(text("SELECT state FROM batch ORDER BY id")).scalars())


Worlds = Callable[..., AbstractContextManager[World]]


@pytest.fixture(scope="session")
def worlds(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Makes worlds, from any thread: keywords are settings of the engines, `patches` those of their processes.

    A database is emptied and used again: making one takes longer than most cases do.
    """
    homes = tmp_path_factory.mktemp("homes")
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    numbers = count()
    made: list[str] = []

    def a_database() -> str:
        try:
            return free.get_nowait()
        except queue.Empty:
            name = f"fault_{next(numbers)}"
            _execute(server_url, f"CREATE DATABASE {name} TEMPLATE template_bf STRATEGY file_copy")
            made.append(name)
            return name

    @contextmanager
    def make(*, patches: Mapping[str, Any] | None = None, **settings: Any) -> Iterator[World]:
        name = a_database()
        database = Database(_with_database(server_url, name))
        try:
            with Simulator() as simulator:
                home = homes / str(next(numbers))
                site = Site(_with_database(server_url, name), simulator.base_url, home, settings, patches or {})
                yield World(database, simulator, site)
        finally:
            _empty(database)
            database.close()
            free.put(name)

    yield make
    for name in made:
        _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def world(worlds: Worlds) -> Iterator[World]:
    """One world with the settings of `child.SETTINGS`."""
    with worlds() as made:
        yield made


def _empty(database: Database) -> None:
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    with database.transaction() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                 "WHERE datname = current_database() AND pid <> pg_backend_pid()")
        )  # fmt: skip
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
