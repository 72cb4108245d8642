"""The calls that ask: kept, then waited for in the way the client wants to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from batchframe.model import RESPONSES
from batchframe.proxy import replies, streaming
from batchframe.proxy.calling import Caller, Handler
from batchframe.proxy.calls import Call, parse
from batchframe.proxy.proxy import Proxy
from batchframe.proxy.responses import with_provider_id
from batchframe.store.arrivals import Place
from batchframe.store.proxied import Settled
from batchframe.wire import jsontext
from batchframe.wire.refusals import Refusal, error_body, json_response

_KEEP_ALIVE_SECONDS = 15.0
_BODY_SECONDS = 60.0
"""A client that sends its body more slowly than this keeps its connection for nothing."""
_COME_AGAIN = {"x-should-retry": "true", "retry-after-ms": "500"}


def asking(endpoint: str) -> Handler:
    """The handler of an endpoint that a model answers."""

    async def handler(proxy: Proxy, caller: Caller, request: Request) -> Response:
        raw = await read_body(request, proxy.settings.body_max_bytes)
        call = parse(endpoint, raw, request.headers, proxy.parameters(endpoint))
        if endpoint == RESPONSES:
            call = await with_provider_id(proxy, call, caller)
        place = await _place(proxy, call, caller)
        return await _respond(proxy, call, place, caller, request)

    return handler


async def _place(proxy: Proxy, call: Call, caller: Caller) -> Place:
    """Where a call is kept. One that only comes again for its answer is no new request, whatever the key's limits."""
    try:
        await proxy.keys.admit(caller)
    except Refusal:
        place = await proxy.accepting.rejoin(call, caller.id)
        if place is None:
            raise
        return place
    with proxy.counted.accepting.time():
        return await proxy.accepting.accept(call, caller.id)


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request.

    Raises:
        Refusal: it is too large, or comes too slowly.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Refusal(408, "The request took too long to arrive.", headers={"connection": "close"}) from None
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    # What is still being sent would be read as the next request.
    return Refusal(413, f"The request is larger than {limit:,} bytes.", headers={"connection": "close"})


async def _respond(proxy: Proxy, call: Call, place: Place, caller: Caller, request: Request) -> Response:
    name = replies.request_name(place.id, endpoint=RESPONSES if call.background else "")
    headers = {"x-request-id": name}
    if call.background:
        kept = await proxy.kept(place.id, caller)
        proxy.presence.delivered(place.id)
        return json_response(replies.response_under_way(kept, "queued"), headers=headers)
    if call.receipt:
        proxy.presence.delivered(place.id)
        said = replies.receipt(place.id, call.endpoint)
        headers |= {"location": said["url"], "preference-applied": "respond-async", "retry-after": "10"}
        return json_response(said, 202, headers)
    if call.stream or call.patience is not None:
        return _patiently(proxy, call, place, headers)
    return await _silently(proxy, place, request, headers)


async def _silently(proxy: Proxy, place: Place, request: Request, headers: Mapping[str, str]) -> Response:
    """Hold the connection; when the time is over, the SDKs come again by themselves, and join what they have asked."""
    with proxy.waiting.outcome(place) as outcome:
        gone = asyncio.ensure_future(_gone(request))
        try:
            waits: set[asyncio.Future[Any]] = {outcome, gone, proxy.stopping}
            await asyncio.wait(waits, timeout=proxy.settings.hold_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        left = gone.done() and not gone.cancelled()
    if outcome.done() and not outcome.cancelled() and not left:
        proxy.presence.delivered(place.id)
        status, body, more = replies.reply(outcome.result())
        return Response(body, status, {**headers, **more}, media_type="application/json")
    proxy.leave(place)
    if left:
        raise ClientDisconnect
    message = (
        f"The answer is not there yet; the request is kept as {replies.request_name(place.id)}. "
        "Send it again, unchanged, to go on waiting."
    )
    return json_response(error_body(408, message, code="still_waiting"), 408, {**headers, **_COME_AGAIN})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _patiently(proxy: Proxy, call: Call, place: Place, headers: Mapping[str, str]) -> Response:
    """Begin to answer at once, with nothing that matters, so that the client does not give up."""
    kind = "text/event-stream" if call.stream else "application/json"
    more = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    if not call.stream:
        more["preference-applied"] = f"wait={call.patience:.0f}"
    return StreamingResponse(_pieces(proxy, call, place), 200, {**headers, **more}, media_type=kind)


async def _pieces(proxy: Proxy, call: Call, place: Place) -> AsyncIterator[bytes]:
    beat = min(_KEEP_ALIVE_SECONDS, (call.read_timeout or 3 * _KEEP_ALIVE_SECONDS) / 3)
    blank = streaming.KEEP_ALIVE if call.stream else b" "
    loop = asyncio.get_running_loop()
    until = None if call.patience is None else loop.time() + call.patience
    sent = False
    try:
        with proxy.waiting.outcome(place) as outcome:
            yield blank
            while not outcome.done() and not proxy.stopping.done():
                left = beat if until is None else min(beat, until - loop.time())
                if left <= 0:
                    break
                waits: set[asyncio.Future[Any]] = {outcome, proxy.stopping}
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not outcome.done():
                    yield blank
        if outcome.done():
            for piece in _answer(call, outcome.result()):
                yield piece
            sent = True
            proxy.presence.delivered(place.id)
        else:
            yield _still_waiting(call, place)
    finally:
        if not sent:
            proxy.leave(place)


def _still_waiting(call: Call, place: Place) -> bytes:
    message = f"The answer is not there yet. GET /v1/requests/{replies.request_name(place.id)} has it later."
    body = jsontext.encode(error_body(408, message, code="still_waiting"))
    return streaming.failure_event(call.endpoint, body) if call.stream else body


def _answer(call: Call, settled: Settled) -> list[bytes]:
    status, body, _ = replies.reply(settled)
    if not call.stream:
        return [body]
    if status != 200:
        return [streaming.failure_event(call.endpoint, body)]
    return list(streaming.events(call.endpoint, body, include_usage=call.include_usage))
