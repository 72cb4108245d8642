"""A TCP door to a server that can be frozen and thawed: connections stay open, bytes go nowhere, nobody is told.

What a laptop's lid, a pulled cable or a stuck load balancer looks like from both sides.
"""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType
from typing import Self

_BLOCK = 65_536


class Door:
    """Passes connections on to another address, in a thread of its own; a context manager.

    Attributes:
        freeze_on: bytes of a client at whose sight the door freezes, before they are passed on; once.
        frozen: set while it is frozen.
    """

    def __init__(self, behind: str | tuple[str, int], freeze_on: bytes | None = None) -> None:
        """Args:
        behind: the path of a Unix socket, or host and port.
        """
        self.freeze_on = freeze_on
        self.frozen = threading.Event()
        self._behind = behind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thawed = threading.Event()
        self._thawed.set()
        self._closing = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def freeze(self) -> None:
        """Pass nothing on any more, in either direction; new connections open and are silent."""
        self._thawed.clear()
        self.frozen.set()

    def thaw(self) -> None:
        """Go on with everything that was held back."""
        self.frozen.clear()
        self._thawed.set()

    def cut(self) -> None:
        """Break every connection, and go on with new ones."""
        for pair in self._pairs:
            for end in pair:
                _shut(end)
        self.thaw()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        _shut(self._listener)
        self._listener.close()
        self.cut()
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            server = self._connect()
            self._pairs.append((client, server))
            threads.append(threading.Thread(target=self._pass_on, args=(client, server), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _connect(self) -> socket.socket:
        if isinstance(self._behind, tuple):
            return socket.create_connection(self._behind)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._behind)
        return server

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    try:
                        data = key.fileobj.recv(_BLOCK)  # type: ignore[union-attr]
                        if key.fileobj is client and self.freeze_on and self.freeze_on in data:
                            self.freeze_on = None
                            self.freeze()
                        self._thawed.wait()
                        if not data:
                            return
                        key.data.sendall(data)
                    except OSError:
                        return


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
