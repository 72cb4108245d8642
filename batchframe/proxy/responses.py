"""`/v1/responses/{id}` and `/v1/requests/{id}`: answers that are fetched later, and calls that are called off."""

from __future__ import annotations

import asyncio
import dataclasses

from starlette.requests import Request
from starlette.responses import Response

from batchframe.model import RESPONSES
from batchframe.proxy import replies
from batchframe.proxy.calling import Caller
from batchframe.proxy.calls import Call
from batchframe.proxy.proxy import Proxy
from batchframe.store import proxied
from batchframe.store.proxied import Kept
from batchframe.wire import jsontext
from batchframe.wire.refusals import Refusal, json_response


async def retrieve_request(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """The answer to a request with its real status; 202 while there is none."""
    kept = await proxy.kept(replies.request_id(request.path_params["request_id"]), caller)
    settled = await proxy.settled(kept)
    name = replies.request_name(kept.id)
    if settled is None:
        status = "in_progress" if kept.taken_up else "queued"
        return json_response({**replies.receipt(kept.id, kept.endpoint), "status": status}, 202, {"retry-after": "10"})
    status_code, body, headers = replies.reply(settled)
    return Response(body, status_code, {**headers, "x-request-id": name}, media_type="application/json")


async def retrieve_response(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """A response that was asked for in the background."""
    return json_response(await _view(proxy, await _response(proxy, caller, request)))


async def cancel_response(proxy: Proxy, caller: Caller, request: Request) -> Response:
    """Call a response off. What is in a batch already is paid for all the same, but is not shown."""
    kept = await _response(proxy, caller, request)
    if await proxy.settled(kept) is None and not kept.cancelled:
        await asyncio.to_thread(_cancel, proxy, kept)
        kept = await proxy.kept(kept.id, caller)
    return json_response(await _view(proxy, kept))


async def with_provider_id(proxy: Proxy, call: Call, caller: Caller) -> Call:
    """A call that goes on from a response of ours goes on, for the provider, from the response that it knows.

    Raises:
        Refusal: there is no such response, or no answer to it.
    """
    if b'"previous_response_id"' not in call.body:
        return call
    body = jsontext.decode(call.body)
    previous = body.get("previous_response_id")
    ours = replies.request_id(previous) if isinstance(previous, str) else None
    if ours is None:
        return call
    kept = await proxy.find(ours, caller)
    if kept is None:
        return call  # it may be the provider's own
    settled = await proxy.settled(kept)
    said = jsontext.decode(settled.body) if settled is not None and settled.body is not None else None
    if not isinstance(said, dict) or "id" not in said:
        raise Refusal(400, f"'{previous}' has no answer to go on from.", param="previous_response_id")
    return dataclasses.replace(call, body=jsontext.encode({**body, "previous_response_id": said["id"]}))


async def _response(proxy: Proxy, caller: Caller, request: Request) -> Kept:
    name = request.path_params["response_id"]
    kept = None
    if (found := replies.request_id(name)) is not None:
        kept = await proxy.find(found, caller)
    if kept is None or kept.endpoint != RESPONSES or not kept.background:
        raise Refusal(404, f"Response with id '{name}' not found.", code="not_found")
    return kept


def _cancel(proxy: Proxy, kept: Kept) -> None:
    with proxy.database.transaction() as connection:
        proxied.cancel(connection, kept)


async def _view(proxy: Proxy, kept: Kept) -> dict[str, object]:
    if kept.cancelled:
        return replies.response_under_way(kept, "cancelled")
    settled = await proxy.settled(kept)
    if settled is None:
        return replies.response_under_way(kept, "in_progress" if kept.taken_up else "queued")
    return replies.response_in_background(kept, settled)
