"""The server: uvicorn with the proxy's app, in one process or several on one socket."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from uvicorn.supervisors import Multiprocess

from batchframe.config import load_settings
from batchframe.errors import ConfigurationError
from batchframe.proxy.app import App
from batchframe.proxy.protocol import BoundedProtocol
from batchframe.proxy.proxy import Proxy

_BACKLOG = 4_096
_IDLE_SECONDS = 75
"""A client's pool that keeps connections for a minute never writes into one that is being closed."""
_PATIENCE = 20
"""Seconds that calls under way get to finish at the end."""


def make_app() -> App:
    """The app with the settings of the environment; uvicorn calls it in each process."""
    return App(lambda: Proxy(load_settings()))


def serve(listener: socket.socket, *, workers: int, say: Callable[[str], None]) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM.

    Args:
        workers: processes.
        say: told the address, once.

    Raises:
        ConfigurationError: the proxy could not be started; the log says why.
    """
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    config = uvicorn.Config(
        "batchframe.proxy.server:make_app",
        factory=True,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_PATIENCE,
        workers=workers,
    )
    listener.listen(_BACKLOG)
    if workers > 1:
        say(f"Serving at {address}/v1 with {workers} processes")
        Multiprocess(config, sockets=[listener]).run()
        return
    server = _Server(config, lambda: say(f"Serving at {address}/v1"))
    server.run(sockets=[listener])
    if not server.started:
        raise ConfigurationError("The proxy could not be started.")


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
