"""Cuts: the connection to Postgres breaks at a statement, before it is sent or between it and its answer.

A cursor of our own passes failpoints at each statement, named after its text; nothing in the production code knows of
it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

SIDES = ("cut", "answer lost")
"""cut: the server ends the connection before the statement is sent · answer lost: the statement arrives and is carried
out, and its answer finds no connection."""

STATEMENT = "statement: "
"""How the names of these failpoints begin."""

Hit = Callable[[str], str | None]
"""Passes a failpoint; the action to set off there."""

_PATIENCE = 30.0


def cut(connection: psycopg.Connection[Any]) -> None:
    """End it from the server's side."""
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        ended = other.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid]).fetchone()
    assert ended == (True,)


def lose_the_answer(connection: psycopg.Connection[Any]) -> None:
    """Break it as soon as something has been sent to the server, which gets to see all of it.

    The server's process is held meanwhile, so that it cannot answer first.
    """
    if connection.info.transaction_status is TransactionStatus.IDLE and not connection.autocommit:
        psycopg.Cursor(connection).execute("SELECT 1")  # or the BEGIN would be what is sent
    os.kill(connection.info.backend_pid, signal.SIGSTOP)
    threading.Thread(target=_break, args=(os.dup(connection.fileno()), connection.info.backend_pid)).start()


def _break(descriptor: int, backend: int) -> None:
    with socket.socket(fileno=descriptor) as sent_from:
        until = time.monotonic() + _PATIENCE
        while not _unread(sent_from) and time.monotonic() < until:
            time.sleep(0.0005)
        sent_from.shutdown(socket.SHUT_RDWR)
    os.kill(backend, signal.SIGCONT)


def _unread(sent_from: socket.socket) -> int:
    (n_bytes,) = struct.unpack("i", fcntl.ioctl(sent_from, termios.TIOCOUTQ, struct.pack("i", 0)))
    return int(n_bytes)


def set_off(action: str | None, connection: psycopg.Connection[Any]) -> None:
    """What is to happen to a connection, if anything is."""
    if action == "cut":
        cut(connection)
    elif action == "answer lost":
        lose_the_answer(connection)


def cursor_factory(hit: Hit) -> type[psycopg.Cursor[Any]]:
    """The class of the cursors of a connection whose statements are failpoints."""

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            set_off(hit(_name(query)), self.connection)
            return super().execute(query, *args, **kwargs)

        @contextmanager
        def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            name = _name(statement)
            set_off(hit(name), self.connection)
            with super().copy(statement, *args, **kwargs) as copy:
                yield _Copy(copy, lambda what: set_off(hit(f"{name}: {what}"), self.connection))

    return Cursor


class _Copy:
    """A COPY under way, whose every block and line is a failpoint."""

    def __init__(self, copy: psycopg.Copy, pass_by: Callable[[str], None]) -> None:
        self._copy = copy
        self._pass_by = pass_by

    def write(self, block: bytes) -> None:
        self._copy.write(block)
        self._pass_by("written")

    def __iter__(self) -> Iterator[Any]:
        for line in self._copy:
            yield line
            self._pass_by("read")


def _name(statement: Any) -> str:
    return STATEMENT + " ".join(str(statement).split())
