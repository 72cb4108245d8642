"""One proxy process: its database, its provider, and what runs beside the calls."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from batchframe.config import Settings
from batchframe.engine.background import Background
from batchframe.errors import ConfigurationError
from batchframe.monitoring.metered import MeteredProvider
from batchframe.monitoring.metrics import Metrics
from batchframe.monitoring.proxying import ProxyMetrics
from batchframe.proxy import keymaking
from batchframe.proxy.accepting import Accepting
from batchframe.proxy.calling import Caller
from batchframe.proxy.keys import Keys
from batchframe.proxy.loading import Loader
from batchframe.proxy.models import Models
from batchframe.proxy.presence import Presence
from batchframe.proxy.waiting import Waiting
from batchframe.store import embedded, keys, proxied
from batchframe.store.arrivals import Place
from batchframe.store.database import Database
from batchframe.store.proxied import Kept
from batchframe.wire.refusals import Refusal

FIRST_KEY = "default"
_THREADS = 16
"""Transactions at once: fewer than the pool's connections, of which the engine in this process uses some."""


class Proxy:
    """What the handlers share. It lives in one event loop, between `start` and `stop`."""

    def __init__(self, settings: Settings) -> None:
        """Raises:
        ConfigurationError: there is no API key of the provider's.
        DatabaseError: Postgres cannot be reached, started or migrated.
        """
        from batchframe.providers.openai import OpenAIProvider  # imports the SDK, which takes 0.6 s

        if settings.openai_api_key is None:
            raise ConfigurationError("No OpenAI API key. Set OPENAI_API_KEY: the proxy asks with it.")
        self.settings = settings
        url = settings.database_url
        self.database = Database(url.get_secret_value() if url else embedded.start(settings.home))
        self.provider = OpenAIProvider(settings)
        self.keys = Keys(self.database)
        self.presence = Presence(self.database)
        self.accepting = Accepting(self.database, settings, self.provider.id, self.presence)
        self.waiting = Waiting(self.database, lambda: self.loader.wake())
        self.models = Models()
        self.metrics = Metrics(self.database)
        self.counted = ProxyMetrics(self.metrics.registry, lambda: self.waiting.count)
        self.loader = Loader(self.database, self.provider.id, settings)
        calls = self.metrics.calls
        self.engine = Background(self.database, lambda: [MeteredProvider(OpenAIProvider(settings), calls)], settings)
        self.stopping: asyncio.Future[None]
        self._beside: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Let in the first key, start the engine, and be there for the others."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, "batchframe-proxy"))
        self.stopping = loop.create_future()
        await asyncio.to_thread(self._enter)
        self._beside = [asyncio.create_task(one.run()) for one in (self.waiting, self.presence, self.loader)]
        await asyncio.to_thread(self.engine.start)

    def drain(self) -> None:
        """End the waiting of every call, so that its client comes again, to another instance or after the restart."""
        if not self.stopping.done():
            self.stopping.set_result(None)

    async def stop(self) -> None:
        """Stop; what is kept goes on with another instance, or the next."""
        self.drain()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self.presence.leave()
        await asyncio.to_thread(self.engine.stop)
        await self.provider.close()
        self.database.close()

    def leave(self, place: Place) -> None:
        """A connection that waited is gone."""
        if not self.waiting.waits_for(place):
            self.presence.left(place.id)

    async def find(self, request_id: UUID, caller: Caller) -> Kept | None:
        """A caller's own request; None when there is none."""

        def read() -> Kept | None:
            with self.database.transaction() as connection:
                return proxied.find(connection, request_id, caller.id)

        return await asyncio.to_thread(read)

    async def kept(self, request_id: UUID | None, caller: Caller) -> Kept:
        """A caller's own request.

        Raises:
            Refusal: 404, there is none.
        """
        found = None if request_id is None else await self.find(request_id, caller)
        if found is None:
            raise Refusal(404, "There is no request with this id.", code="not_found")
        return found

    async def settled(self, kept: Kept) -> proxied.Settled | None:
        """The outcome of a request, None while there is none."""

        def read() -> list[proxied.Settled]:
            with self.database.transaction() as connection:
                return proxied.settled(connection, kept.job_id, [kept.row_no])

        found = await asyncio.to_thread(read)
        return found[0] if found else None

    def parameters(self, endpoint: str) -> frozenset[str]:
        """The body parameters of an endpoint."""
        from batchframe.providers.openai import parameters

        return parameters(endpoint)

    def _enter(self) -> None:
        first = self.settings.api_key
        if first is not None:
            given = first.get_secret_value()
            with self.database.transaction() as connection:
                keys.ensure(connection, FIRST_KEY, keymaking.digest(given), keymaking.shown(given))
        self.presence.beat_once()
