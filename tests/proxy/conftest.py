"""A proxy in this process, on a real socket, and clients of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import uvicorn

from batchframe.config import load_settings
from batchframe.proxy.app import App
from batchframe.proxy.protocol import BoundedProtocol
from batchframe.proxy.proxy import Proxy
from batchframe.simulator import Simulator
from batchframe.simulator.server import listen
from tests.conftest import FAST

KEY = "bf-test-key"


class Running:
    """A proxy on a thread of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.app = App(lambda: Proxy(load_settings(**settings)))
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.app, http=BoundedProtocol, ws="none", lifespan="on", log_config=None, access_log=False,
            proxy_headers=False, timeout_graceful_shutdown=10,
        )  # fmt: skip
        self._ready = threading.Event()
        self._clients: list[openai.OpenAI] = []
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="test-proxy")
        self._thread.start()
        assert self._ready.wait(60)
        assert self._server.started, "see the log"

    @property
    def proxy(self) -> Proxy:
        assert self.app.proxy is not None
        return self.app.proxy

    def client(self, key: str = KEY, **options: Any) -> openai.OpenAI:
        """The official SDK; retries only when told to, so that each test sees what the proxy answers."""
        made = openai.OpenAI(api_key=key, base_url=f"{self.url}/v1", **{"max_retries": 0, **options})
        self._clients.append(made)
        return made

    def post(self, path: str, body: Any, *, timeout: float = 30.0, **headers: str) -> httpx2.Response:
        """One call without the SDK."""
        head = {"authorization": f"Bearer {KEY}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx2.post(self.url + path, headers=head, timeout=timeout, **content)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return httpx2.get(self.url + path, headers={"authorization": f"Bearer {KEY}", **headers}, timeout=30.0)

    def stop(self) -> None:
        for client in self._clients:
            client.close()  # or the collector would find an open socket, in whatever test it then is
        self._server.should_exit = True
        self._thread.join(30)

    def _run(self) -> None:
        async def live() -> None:
            serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
            while not self._server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.005)
            self._ready.set()
            await serving

        asyncio.run(live())


@pytest.fixture
def serve(database_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a proxy on this test's database and simulator; called again it is another instance."""
    running: list[Running] = []

    def serve(**settings: Any) -> Running:
        base = {
            "database_url": database_url, "openai_base_url": simulator.base_url, "home": tmp_path / "home",
            "api_key": KEY, "window_seconds": 0.05,
        }  # fmt: skip
        running.append(Running({**base, **FAST, **settings}))
        return running[-1]

    yield serve
    for one in running:
        one.stop()


@pytest.fixture
def served(serve: Callable[..., Running]) -> Running:
    """A proxy."""
    return serve()
