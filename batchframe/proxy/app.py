"""The routes of the proxy, and what is done at each call: who calls, what it comes to, what is said when it fails."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from batchframe.errors import DatabaseError
from batchframe.model import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES
from batchframe.proxy import batches, description, files, health, models, pages, responses
from batchframe.proxy.asking import asking
from batchframe.proxy.calling import Handler
from batchframe.proxy.proxy import Proxy
from batchframe.wire.refusals import Refusal

logger = logging.getLogger(__name__)

_AWAY = Refusal(503, "The database cannot be reached. Nothing was kept; send it again.", headers={"retry-after": "5"})
_OURS = Refusal(500, "The proxy failed; its log says why.")

_WITH_KEY: tuple[tuple[str, str, Handler], ...] = (
    *(("POST", path, asking(path)) for path in (CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS)),
    ("GET", "/v1/responses/{response_id}", responses.retrieve_response),
    ("POST", "/v1/responses/{response_id}/cancel", responses.cancel_response),
    ("GET", "/v1/requests/{request_id}", responses.retrieve_request),
    ("POST", "/v1/files", files.create),
    ("GET", "/v1/files", files.list_),
    ("GET", "/v1/files/{file_id}", files.retrieve),
    ("DELETE", "/v1/files/{file_id}", files.delete),
    ("GET", "/v1/files/{file_id}/content", files.content),
    ("POST", "/v1/batches", batches.create),
    ("GET", "/v1/batches", batches.list_),
    ("GET", "/v1/batches/{batch_id}", batches.retrieve),
    ("POST", "/v1/batches/{batch_id}/cancel", batches.cancel),
    ("GET", "/v1/models", models.list_),
    ("GET", "/v1/models/{model:path}", models.retrieve),
)

Open = Callable[[Proxy, Request], Awaitable[Response]]

_OPEN: tuple[tuple[str, str, Open], ...] = (
    ("GET", "/healthz", health.healthz),
    ("GET", "/readyz", health.readyz),
    ("GET", "/metrics", health.metrics),
    ("GET", "/openapi.json", description.describe),
    *pages.ROUTES,
)


class App:
    """The ASGI app. Its proxy is there from the lifespan's start to its end."""

    def __init__(self, make: Callable[[], Proxy]) -> None:
        """Args:
        make: makes the proxy, at the start of the lifespan.
        """
        self._make = make
        self.proxy: Proxy | None = None
        routes = [
            *(_Route(path, _Operation(self, path, handler), methods=[method]) for method, path, handler in _WITH_KEY),
            *(_Route(path, _Open(self, handler), methods=[method]) for method, path, handler in _OPEN),
        ]
        self._router: ASGIApp = Router(routes, redirect_slashes=False, default=_unknown_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._router(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.proxy = self._make()
            await self.proxy.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.proxy.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def drain(self) -> None:
        """Let the calls that wait come again elsewhere."""
        if self.proxy is not None:
            self.proxy.drain()


class _Operation:
    """A handler behind a key, as a route's endpoint; an instance, so that Starlette adds nothing of its own."""

    def __init__(self, app: App, path: str, handler: Handler) -> None:
        self._app = app
        self._path = path
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        proxy = self._app.proxy
        assert proxy is not None, "calls come after the start"
        try:
            response = await _answered(self._respond(proxy, request), request)
            proxy.counted.calls.labels(self._path, response.status_code).inc()
            await response(scope, receive, send)
        except ClientDisconnect:
            proxy.counted.calls.labels(self._path, "gone").inc()

    async def _respond(self, proxy: Proxy, request: Request) -> Response:
        caller = await proxy.keys.caller(request.headers.get("authorization", ""))
        return await self._handler(proxy, caller, request)


class _Open:
    """A handler that needs no key."""

    def __init__(self, app: App, handler: Open) -> None:
        self._app = app
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        proxy = self._app.proxy
        assert proxy is not None, "calls come after the start"
        response = await _answered(self._handler(proxy, request), request)
        await response(scope, receive, send)


async def _answered(responding: Awaitable[Response], request: Request) -> Response:
    try:
        return await responding
    except Refusal as refusal:
        return refusal.response()
    except DatabaseError as error:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
        return _AWAY.response()
    except ClientDisconnect:
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.url.path)
        return _OURS.response()


class _Route(Route):
    """Says in OpenAI's words that an address takes another method."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            message = f"Not allowed to {scope['method']} on {scope['path']}."
            allowed = {"allow": ", ".join(sorted(self.methods))}
            await Refusal(405, message, code="method_not_allowed", headers=allowed).response()(scope, receive, send)
            return
        await super().handle(scope, receive, send)


async def _unknown_url(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    refusal = Refusal(404, f"Unknown request URL: {request.method} {request.url.path}.", code="unknown_url")
    await refusal.response()(scope, receive, send)
