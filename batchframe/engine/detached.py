"""The engine in a process of its own, which goes on when the notebook is closed and stops when nothing is left to do.

It offers what `Background` offers. The processes share nothing but the database: at most one such worker runs on it,
whoever started it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from batchframe.config import Settings
from batchframe.errors import ConfigurationError
from batchframe.providers.base import Provider
from batchframe.store import alone
from batchframe.store.database import Database

_LOOK_SECONDS = 0.5
"""How often a handle looks at the database for what the other process did."""

_started: list[subprocess.Popen[bytes]] = []
"""Kept so that nobody warns of a process that is still running: it is meant to."""


class Detached:
    """Starts the worker where there is none, and waits for what it does."""

    def __init__(self, database: Database, providers: Callable[[], Sequence[Provider]], settings: Settings) -> None:
        """Args:
        providers: makes the providers, for `check_providers`.
        """
        self._database = database
        self._make_providers = providers
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._looks = 0

    def start(self) -> None:
        """Start a worker if there is none; one that runs hears of new work from the database."""
        with self._starting:
            if self._process is not None and self._process.poll() is None:
                return
            with self._database.transaction() as connection:
                if alone.is_taken(connection):
                    return
            self._process = self._spawn()
            _started.append(self._process)

    def ensure(self) -> None:
        """As `start`."""
        self.start()

    def check_providers(self) -> None:
        """Reach every provider once; as `Background.check_providers`."""
        failures: list[BaseException] = []

        def check() -> None:  # in a thread, because a notebook's own thread has an event loop already
            try:
                asyncio.run(_check(self._make_providers()))
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=check, name="batchframe-check", daemon=True)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Leave the worker to its work: that it outlives the session is what it is for."""

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Wait a moment; the number of moments so far."""
        time.sleep(min(timeout, _LOOK_SECONDS))
        self._looks = seen + 1
        return self._looks

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._settings.home / "worker.log"
        try:
            log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                return subprocess.Popen(
                    [sys.executable, "-m", "batchframe", "worker", "--until-idle", "--alone", "--log-format", "json"],
                    env={**os.environ, **self._settings.as_environment()},
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=descriptor,
                    start_new_session=True,  # an interrupt of the notebook, or its end, is not for this process
                )
            finally:
                os.close(descriptor)
        except OSError as error:
            failure = ConfigurationError(f"The worker cannot be started, with its log in {log}: {error.strerror}.")
        raise failure


async def _check(providers: Sequence[Provider]) -> None:
    for provider in providers:
        try:
            await provider.check()
        finally:
            await provider.close()
