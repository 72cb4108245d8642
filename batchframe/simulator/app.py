"""The routes of the server. No middleware: faults need uvicorn's own `send`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from batchframe.simulator import admin, batches_api, files_api, realtime_api
from batchframe.simulator.account import Account
from batchframe.simulator.faults import Operation
from batchframe.simulator.operations import ApiOperation, Handler
from batchframe.wire.refusals import Refusal

_ROUTES: tuple[tuple[str, str, Operation, Handler], ...] = (
    ("POST", "/v1/files", "files.create", files_api.create),
    ("GET", "/v1/files", "files.list", files_api.list_),
    ("GET", "/v1/files/{file_id}", "files.retrieve", files_api.retrieve),
    ("DELETE", "/v1/files/{file_id}", "files.delete", files_api.delete),
    ("GET", "/v1/files/{file_id}/content", "files.content", files_api.content),
    ("POST", "/v1/batches", "batches.create", batches_api.create),
    ("GET", "/v1/batches", "batches.list", batches_api.list_),
    ("GET", "/v1/batches/{batch_id}", "batches.retrieve", batches_api.retrieve),
    ("POST", "/v1/batches/{batch_id}/cancel", "batches.cancel", batches_api.cancel),
    ("POST", "/v1/chat/completions", "chat.completions", realtime_api.chat),
    ("POST", "/v1/responses", "responses", realtime_api.respond),
    ("POST", "/v1/completions", "completions", realtime_api.completions),
    ("POST", "/v1/embeddings", "embeddings", realtime_api.embeddings),
    ("POST", "/v1/moderations", "moderations", realtime_api.moderations),
    ("GET", "/v1/models", "models.list", realtime_api.list_models),
    ("GET", "/v1/models/{model:path}", "models.retrieve", realtime_api.retrieve_model),
)


def make_app(account: Account) -> ASGIApp:
    """The ASGI app that serves an account."""
    routes = [
        Route(path, ApiOperation(name, handler, account), methods=[method], name=name)
        for method, path, name, handler in _ROUTES
    ]
    return Router([*routes, *admin.routes(account)], redirect_slashes=False, default=_unknown_url)


async def _unknown_url(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    refusal = Refusal(404, f"Invalid URL ({request.method} {request.url.path})")
    await refusal.response()(scope, receive, send)
