"""The engine in a daemon thread with an event loop of its own, as a notebook uses it.

The notebook's own loop is never touched. Handles wait on a condition that the engine rings after each step, and when a
notice tells of what other processes did.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from batchframe.config import Settings
from batchframe.engine.engine import Engine
from batchframe.engine.shutdown import stop_at_shutdown, stopped
from batchframe.providers.base import Provider
from batchframe.store.database import Database

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0


class Background:
    """Starts on first use, stops with the process."""

    def __init__(self, database: Database, providers: Callable[[], Sequence[Provider]], settings: Settings) -> None:
        """Args:
        providers: makes the providers; called anew at every start, in the calling thread.
        """
        self._database = database
        self._make_providers = providers
        self._providers: dict[str, Provider] = {}
        self._settings = settings
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine | None = None
        self._main: asyncio.Task[None] | None = None
        self._starting = threading.Lock()
        self._changed = threading.Condition()
        self._changes = 0

    def start(self) -> None:
        """Start the engine, or wake it if it runs already."""
        with self._starting:
            if self._runs():
                self._wake()
                return
            if self._thread is not None:
                self._thread.join(_STOP_SECONDS)  # it has ended its work and is closing its connections
            self._providers = {provider.id: provider for provider in self._make_providers()}
            self._engine = Engine(self._database, self._providers, self._settings, self._ring)
            ready = threading.Event()
            self._thread = threading.Thread(
                target=asyncio.run, args=(self._run(self._engine, ready),), name="batchframe-engine", daemon=True
            )
            self._thread.start()
            ready.wait()
            stop_at_shutdown(self)

    def ensure(self) -> None:
        """Start the engine if it does not run."""
        if not self._runs():
            self.start()

    def check_providers(self) -> None:
        """Reach every provider once.

        Raises:
            ConfigurationError: there is no API key.
            ProviderError: one is down or refuses the key.
        """
        self.start()
        assert self._loop is not None
        for provider in self._providers.values():
            asyncio.run_coroutine_threadsafe(provider.check(), self._loop).result()

    def stop(self) -> None:
        """Stop working; nothing is lost, and the next engine goes on at once."""
        stopped(self)
        with self._starting:
            if self._thread is None or self._loop is None or self._main is None:
                return
            self._call(self._main.cancel)
            self._thread.join(_STOP_SECONDS)
            self._thread = None

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Wait until the engine has taken a step since `seen`, or `timeout` seconds; the number of steps by then."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, timeout)
            return self._changes

    def _runs(self) -> bool:
        alive = self._thread is not None and self._thread.is_alive()
        return alive and self._main is not None and not self._main.done()

    def _wake(self) -> None:
        if self._engine is not None:
            self._call(self._engine.wake)

    def _call(self, callback: Callable[[], object]) -> None:
        """Call it in the engine's event loop, if that still runs."""
        with suppress(RuntimeError):  # closed between a look at it and now
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)

    def _ring(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    async def _run(self, engine: Engine, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.create_task(engine.run())
        ready.set()
        try:
            await self._main
        except asyncio.CancelledError:
            pass
        except Exception:
            logger.exception("the engine stopped; a new handle, or job.wait(), starts it again")
        finally:
            for provider in self._providers.values():
                await provider.close()
            self._ring()
