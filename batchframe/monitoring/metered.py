"""A provider whose calls are counted: by verb, by outcome, and how long they took."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from batchframe.core.packing import Limits
from batchframe.errors import DoubtfulError, RefusedError
from batchframe.providers.base import Provider, RemoteBatch, Reply

T = TypeVar("T")

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class CallMetrics:
    """What is counted of the calls of all providers of a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "batchframe_provider_calls",
            "Calls to the provider, by verb and result: ok, refused (no effect), doubtful (nobody knows), error",
            ["verb", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "batchframe_provider_call_seconds",
            "How long they took, by verb",
            ["verb"],
            buckets=_SECONDS,
            registry=registry,
        )


class MeteredProvider:
    """The verbs of another provider, counted."""

    def __init__(self, provider: Provider, metrics: CallMetrics) -> None:
        self._provider = provider
        self._metrics = metrics

    @property
    def id(self) -> str:
        """As the provider's own."""
        return self._provider.id

    @property
    def limits(self) -> Limits:
        """As the provider's own."""
        return self._provider.limits

    async def check(self) -> datetime | None:
        """See `Provider`; so for all below."""
        return await self._counted("check", self._provider.check())

    async def upload(self, path: Path, name: str) -> str:
        return await self._counted("upload", self._provider.upload(path, name))

    async def create(self, input_file_id: str, endpoint: str, mark: str) -> RemoteBatch:
        return await self._counted("create", self._provider.create(input_file_id, endpoint, mark))

    async def find(self, mark: str, input_file_id: str, since: datetime) -> list[RemoteBatch]:
        return await self._counted("find", self._provider.find(mark, input_file_id, since))

    async def marked(self, since: datetime) -> list[RemoteBatch]:
        return await self._counted("marked", self._provider.marked(since))

    async def poll(self, batch_id: str) -> RemoteBatch:
        return await self._counted("poll", self._provider.poll(batch_id))

    async def fetch(self, file_id: str, to: Path) -> None:
        await self._counted("fetch", self._provider.fetch(file_id, to))

    async def cancel(self, batch_id: str) -> RemoteBatch:
        return await self._counted("cancel", self._provider.cancel(batch_id))

    async def ask(self, endpoint: str, body: bytes) -> Reply:
        return await self._counted("ask", self._provider.ask(endpoint, body))

    async def delete(self, file_id: str) -> None:
        await self._counted("delete", self._provider.delete(file_id))

    async def close(self) -> None:
        await self._provider.close()

    async def _counted(self, verb: str, call: Awaitable[T]) -> T:
        result = "error"
        try:
            with self._metrics.seconds.labels(verb).time():
                answer = await call
            result = "ok"
            return answer
        except RefusedError:
            result = "refused"
            raise
        except DoubtfulError:
            result = "doubtful"
            raise
        finally:
            self._metrics.calls.labels(verb, result).inc()
