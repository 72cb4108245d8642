"""Faults below HTTP: connections cut without a word, bodies that end early, bytes that are not what was sent."""

from __future__ import annotations

import sys
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Send

from batchframe.simulator.faults import CallFault

_NOISE = b"#" * 64


async def abort(request: Request, send: Send) -> None:
    """Reset the connection: what is buffered is dropped, the client reads nothing more."""
    _transport_of(send).abort()
    await _disconnected(request)


class Spoiled:
    """A `send` that spoils the body on its way: cuts it off or overwrites some of it."""

    def __init__(self, fault: CallFault, request: Request, send: Send) -> None:
        self._fault = fault
        self._request = request
        self._send = send
        self._sent = 0
        self._total = sys.maxsize
        self._over = False

    async def __call__(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "http.response.start":
            await self._send(self._start(message))
        elif self._fault.after_bytes >= self._total:
            await self._send(message)
        elif self._fault.kind == "corrupt":
            await self._send({**message, "body": self._overwritten(message.get("body", b""))})
        else:
            await self._send_up_to_the_cut(message)

    def _start(self, message: Message) -> Message:
        headers = dict(message["headers"])
        self._total = int(headers.get(b"content-length", sys.maxsize))
        if self._fault.kind == "truncate_clean" and b"content-length" in headers:
            headers[b"content-length"] = b"%d" % min(self._total, self._fault.after_bytes)
        return {**message, "headers": list(headers.items())}

    def _overwritten(self, body: bytes) -> bytes:
        at = self._fault.after_bytes - self._sent
        self._sent += len(body)
        if not 0 <= at < len(body):
            return body
        return body[:at] + _NOISE[: len(body) - at] + body[at + len(_NOISE) :]

    async def _send_up_to_the_cut(self, message: Message) -> None:
        body = message.get("body", b"")
        room = self._fault.after_bytes - self._sent
        self._sent += len(body)
        if len(body) < room:
            await self._send(message)
            return
        self._over = True
        clean = self._fault.kind == "truncate_clean"
        await self._send({"type": "http.response.body", "body": body[:room], "more_body": not clean})
        if not clean:
            _transport_of(self._send).close()  # after what was written has left
            await _disconnected(self._request)


async def _disconnected(request: Request) -> None:
    """Wait until uvicorn knows that the connection is gone; else it would complain that nothing was answered."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _transport_of(send: Send) -> Any:
    """The connection behind uvicorn's `send`, which is a bound method of its request cycle."""
    return send.__self__.transport  # type: ignore[attr-defined]
