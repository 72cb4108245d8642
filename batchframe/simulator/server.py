"""The HTTP server on a thread of its own: up when `start` returns, down with every connection closed when `stop` does.

uvicorn serves; what it would do to a whole process (signals, logging, a tenth of a second here and there) it does not.
"""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn

from batchframe.errors import ConfigurationError
from batchframe.simulator.account import Account
from batchframe.simulator.app import make_app

_KEEP_ALIVE = 600
"""Seconds an idle connection stays open: longer than any client's pool, so that a close never races with a request."""

_PATIENCE = 5
"""Seconds that calls under way get to finish when the server stops."""


class Server(threading.Thread):
    """An account's API on a listening socket."""

    def __init__(self, account: Account, listener: socket.socket) -> None:
        super().__init__(name="batchframe-simulator-server", daemon=True)
        self._account = account
        self._listener = listener
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        config = uvicorn.Config(
            make_app(account),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._uvicorn = _Uvicorn(config, self._ready)

    def start(self) -> None:
        super().start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._account.close)
        self._loop.call_soon_threadsafe(self._uvicorn.stopping.set)
        self.join()

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._uvicorn.serve(sockets=[self._listener]))
        finally:
            self._ready.set()  # a server that dies at its start must not leave `start` waiting


class _Uvicorn(uvicorn.Server):
    """uvicorn that says when it is ready and stops when told, instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def main_loop(self) -> None:
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, without its fixed tenth of a second: tests start and stop many simulators."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # uvicorn tells nobody when a connection is gone
        for connection in self.server_state.connections:
            connection.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that the port is known, and a port in use is an error here and not in a thread."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only for sockets that say they are TCP;
    # with it on, every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"The simulator cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another port, or 0 for a free one."
        ) from error
    return listener
