"""One operation of the API as an ASGI app: counts the call, checks the key, and lets the fault on order happen.

A handler has its effect when it is called and returns a response that is sent afterwards, so "takes effect, then the
answer is lost" is only a matter of what is done with the response. It is plain ASGI because a fault may need the
connection itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchframe.simulator.account import Account
from batchframe.simulator.faults import CallFault, Operation
from batchframe.simulator.transport import Spoiled, abort
from batchframe.wire.refusals import Refusal, error_body, json_response

Handler = Callable[[Account, Request], Awaitable[Response]]


class ApiOperation:
    """A handler with its name, as a route's endpoint."""

    def __init__(self, name: Operation, handler: Handler, account: Account) -> None:
        self.name = name
        self._handler = handler
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._account.count_call(self.name)
        request = Request(scope, receive)
        fault = self._account.faults.of_call(self.name)
        try:
            if fault is None:
                response = await self._respond(request)
            else:
                response, send = await self._respond_with(fault, request, send)
            await response(scope, receive, send)
        except ClientDisconnect:
            return

    async def _respond(self, request: Request) -> Response:
        try:
            self._check_key(request)
            return await self._handler(self._account, request)
        except Refusal as refusal:
            return refusal.response()

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        keys = self._account.settings.keys
        if scheme.lower() != "bearer" or not key.strip():
            raise Refusal(401, "You didn't provide an API key.", code="invalid_api_key")
        if keys is not None and key.strip() not in keys:
            raise Refusal(401, f"Incorrect API key provided: {key[:4]}***.", code="invalid_api_key")

    async def _respond_with(self, fault: CallFault, request: Request, send: Send) -> tuple[Response, Send]:
        """What a fault leaves of the call: the response to send and the way it is sent."""
        kind = fault.kind
        if kind in ("truncate", "truncate_clean", "corrupt"):
            return await self._respond(request), Spoiled(fault, request, send)
        if kind == "late":
            response = await self._respond(request)
            await self._account.pause(fault.seconds)
            return response, send
        if kind in ("status_after", "reset_after"):
            await self._respond(request)
        else:
            await request.body()  # a client that is still sending would see neither an answer nor a clean reset
        if kind in ("status", "status_after"):
            return _ordered_error(fault), send
        await abort(request, send)
        if kind == "late_effect" and await self._account.pause(fault.seconds):
            await self._respond(request)
        raise ClientDisconnect


def _ordered_error(fault: CallFault) -> Response:
    body = fault.body
    if body is None:
        body = error_body(fault.status, f"The simulator was told to answer {fault.status}.")
    if isinstance(body, str):
        return Response(body, fault.status, fault.headers)
    return json_response(body, fault.status, fault.headers)
