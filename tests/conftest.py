"""What tests share: one embedded Postgres for the run, a database for each test, the simulator, a session."""

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

import batchframe as bf
from batchframe.simulator import Simulator
from batchframe.store import embedded
from batchframe.store.database import Database

FAST = {
    "openai_api_key": "sk-test",
    "poll_seconds": 0.05,
    "poll_max_seconds": 0.2,
    "grace_seconds": 1.0,
    "lease_seconds": 3.0,
}
"""Settings that run the real loop fast."""

_numbers = count()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    """A developer's own keys and databases must neither be used nor change a result."""
    for name in list(os.environ):
        if name.startswith(("BATCHFRAME_", "OPENAI_")):
            del os.environ[name]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of an embedded Postgres whose database `template_bf` is migrated."""
    with tempfile.TemporaryDirectory(prefix="bf-test-") as folder:
        home = Path(folder)
        url = embedded.start(home)
        try:
            # No test pulls the plug of the machine, and what a killed Postgres wrote is in the system's cache.
            _execute(url, "ALTER SYSTEM SET fsync = off")
            # Two dozen engines at once, each with a handful of connections, which no real server of one's own has.
            _execute(url, "ALTER SYSTEM SET max_connections = 400")
            embedded.stop(home)
            url = embedded.start(home)
            _execute(url, "CREATE DATABASE template_bf")
            Database(_with_database(url, "template_bf")).close()
            yield url
        finally:
            embedded.stop(home)


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """The URL of a migrated, empty database of this test alone."""
    name = f"test_{next(_numbers)}"
    _execute(server_url, f"CREATE DATABASE {name} TEMPLATE template_bf STRATEGY file_copy")
    yield _with_database(server_url, name)
    _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A connection to this test's database."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A provider that answers at once by echoing the prompt."""
    with Simulator() as running:
        yield running


@pytest.fixture
def connect(database_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., bf.Session]]:
    """`bf.connect` to this test's database and simulator, with fast settings; called again it is a new process."""
    sessions: list[bf.Session] = []

    def connect(**settings: Any) -> bf.Session:
        base = {"database_url": database_url, "openai_base_url": simulator.base_url, "home": tmp_path / "home"}
        sessions.append(bf.connect(**{**base, **FAST, **settings}))
        return sessions[-1]

    yield connect
    for session in sessions:
        session.close()


@pytest.fixture
def session(connect: Callable[..., bf.Session]) -> bf.Session:
    """A connected session."""
    return connect()


@pytest.fixture
def environment(database_url: str, simulator: Simulator, tmp_path: Path) -> dict[str, str]:
    """The variables another process is configured by; fast."""
    return {
        "BATCHFRAME_DATABASE_URL": database_url,
        "BATCHFRAME_HOME": str(tmp_path / "home"),
        "BATCHFRAME_POLL_SECONDS": "0.05",
        "BATCHFRAME_POLL_MAX_SECONDS": "0.2",
        "BATCHFRAME_GRACE_SECONDS": "1",
        "BATCHFRAME_LEASE_SECONDS": "3",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": simulator.base_url,
    }


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
