"""Databases, providers and engines of a case, made as often as it likes and gone when it is over."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from batchframe.simulator import Simulator
from batchframe.store.database import Database
from tests.conftest import _execute, _with_database
from tests.faults.child import Site

_numbers = count()


@dataclass(frozen=True)
class World:
    """A database, a provider, and where engines find the two."""

    database: Database
    simulator: Simulator
    site: Site


Worlds = Callable[..., AbstractContextManager[World]]


@pytest.fixture(scope="session")
def worlds(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """Makes worlds, from any thread: keywords are settings of the engines."""
    homes: Path = tmp_path_factory.mktemp("homes")

    @contextmanager
    def make(**settings: Any) -> Iterator[World]:
        name = f"fault_{next(_numbers)}"
        _execute(server_url, f"CREATE DATABASE {name} TEMPLATE template_bf STRATEGY file_copy")
        database = Database(_with_database(server_url, name))
        try:
            with Simulator() as simulator:
                site = Site(_with_database(server_url, name), simulator.base_url, homes / name, settings)
                yield World(database, simulator, site)
        finally:
            database.close()
            _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")

    return make


@pytest.fixture
def world(worlds: Worlds) -> Iterator[World]:
    """One world with the settings of `child.SETTINGS`."""
    with worlds() as made:
        yield made
