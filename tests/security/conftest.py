"""A life with secrets: a key and a password that must turn up nowhere."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

import batchframe as bf
from batchframe.operations.logs import JsonFormatter
from batchframe.simulator import Simulator
from tests.conftest import FAST
from tests.security.canary import KEY, PASSWORD


@pytest.fixture
def secret_url(database_url: str) -> str:
    """This test's database; the embedded server asks for no password, so that any will do."""
    return make_url(database_url).set(password=PASSWORD).render_as_string(hide_password=False)


@pytest.fixture
def secretly(secret_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., bf.Session]]:
    """`bf.connect` with the secrets."""
    sessions: list[bf.Session] = []

    def connect(**settings: Any) -> bf.Session:
        base = {"database_url": secret_url, "openai_base_url": simulator.base_url, "home": tmp_path / "home"}
        sessions.append(bf.connect(**{**base, **FAST, "openai_api_key": KEY, **settings}))
        return sessions[-1]

    yield connect
    for session in sessions:
        session.close()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Every record of every logger from DEBUG on, as JSON and with the repr of its arguments."""
    lines: list[str] = []
    formatter = JsonFormatter()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{formatter.format(record)} {record.args!r}")

    root, keep = logging.getLogger(), Keep()
    levels = {
        name: logging.getLogger(name).level for name in ("", "httpx2", "httpcore2", "openai", "sqlalchemy", "psycopg")
    }
    root.addHandler(keep)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield lines
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.removeHandler(keep)
