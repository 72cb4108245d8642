"""The proxy's files and batches behind a small app of their own, with the real engine and loader, on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Self

import openai
import uvicorn
from openai.types import Batch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchframe.config import load_settings
from batchframe.engine.engine import Engine
from batchframe.errors import DatabaseError
from batchframe.providers.openai import OpenAIProvider
from batchframe.proxy import batches, files
from batchframe.proxy.calling import Caller, Handler
from batchframe.proxy.loading import Loader
from batchframe.proxy.proxy import Proxy
from batchframe.store.database import Database
from batchframe.wire.refusals import Refusal
from tests.conftest import FAST

CHAT = "/v1/chat/completions"
CALLERS = {"key-1": Caller(1, "one"), "key-2": Caller(2, "two")}


def chat_line(custom_id: str, prompt: str = "Hello", **more: Any) -> dict[str, Any]:
    """A line of an input file."""
    body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": prompt}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: Iterable[Any]) -> bytes:
    """Lines, each as JSON, or the text it is."""
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()


class Service:
    """A proxy that knows two keys, while the `with` block runs.

    Args:
        loads, works: whether it has a loader and an engine.
    """

    def __init__(
        self,
        database_url: str,
        base_url: str,
        home: Path,
        *,
        max_file_bytes: int = files.MAX_FILE_BYTES,
        loads: bool = True,
        works: bool = True,
        **settings: Any,
    ) -> None:
        self.settings = load_settings(
            **{**FAST, "database_url": database_url, "openai_base_url": base_url, "home": home, **settings}
        )
        self.database = Database(database_url)
        self._max_file_bytes = max_file_bytes
        self._loads, self._works = loads, works
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def client(self, key: str = "key-1") -> openai.OpenAI:
        """An SDK client without retries of its own."""
        return openai.OpenAI(base_url=self.base_url, api_key=key, max_retries=0, timeout=30)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.database.close()

    async def _main(self) -> None:
        provider = OpenAIProvider(self.settings)
        proxy = Proxy(self.database, self.settings, provider)
        loader = Loader(self.database, provider.id, self.settings)
        engine = Engine(self.database, {provider.id: provider}, self.settings, on_change=loader.wake)
        routes = [
            Route(path, self._endpoint(proxy, handler), methods=[method])
            for method, path, handler in (*files.routes(self._max_file_bytes), *batches.routes(loader.wake))
        ]
        config = uvicorn.Config(Starlette(routes=routes), lifespan="off", ws="none", log_config=None, access_log=False)
        self._server = uvicorn.Server(config)
        beside = [asyncio.create_task(loader.run())] if self._loads else []
        beside += [asyncio.create_task(engine.run())] if self._works else []
        try:
            self._ready.set()
            await self._server.serve(sockets=[self._listener])
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await provider.close()

    @staticmethod
    def _endpoint(proxy: Proxy, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            caller = CALLERS[request.headers["authorization"].removeprefix("Bearer ")]
            try:
                return await handler(proxy, caller, request)
            except Refusal as refusal:
                return refusal.response()
            except DatabaseError:
                return Response(status_code=503)

        return answer


class Customer:
    """Somebody who uses the service through the SDK."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = client

    def upload(self, lines: bytes | Iterable[Any], name: str = "input.jsonl") -> str:
        """Upload lines and return the file's id."""
        content = lines if isinstance(lines, bytes) else jsonl(lines)
        return self.client.files.create(file=(name, content), purpose="batch").id

    def create(self, lines: bytes | Iterable[Any], endpoint: str = CHAT, **more: Any) -> Batch:
        """Upload lines and create their batch."""
        return self.client.batches.create(
            input_file_id=self.upload(lines),
            endpoint=endpoint,  # type: ignore[arg-type]
            completion_window="24h",
            **more,
        )

    def until(self, batch: Batch, *statuses: str, condition: Callable[[Batch], object] = lambda _: True) -> Batch:
        """Look at a batch until it has one of these statuses; by default until it has come to its end."""
        ends = statuses or ("completed", "failed", "cancelled")
        until = time.monotonic() + 30
        while (found := self.client.batches.retrieve(batch.id)).status not in ends or not condition(found):
            assert time.monotonic() < until, found
        return found

    def run(self, lines: bytes | Iterable[Any], endpoint: str = CHAT, **more: Any) -> Batch:
        """Create a batch and wait for its end."""
        return self.until(self.create(lines, endpoint, **more))

    def lines_of(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of a result file; none if there is no file."""
        if not file_id:
            return []
        content = self.client.files.content(file_id).read()
        assert len(content) == self.client.files.retrieve(file_id).bytes
        return [json.loads(line) for line in content.split(b"\n")[:-1]]
