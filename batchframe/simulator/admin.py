"""`/admin`: the ledger, the faults and the settings over HTTP, so that another process can be the judge.

No key is asked for: the server is local, and whoever can reach it may steer it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from batchframe.errors import ConfigurationError
from batchframe.simulator.account import Account
from batchframe.wire.parameters import json_body
from batchframe.wire.refusals import Refusal, json_response

_METHODS = {"on", "row", "batch"}


def routes(account: Account) -> list[Route]:
    """The routes of the admin side."""

    async def ledger(request: Request) -> Response:
        detail = request.query_params.get("detail") == "1"
        return json_response(await run_in_threadpool(lambda: account.ledger.summary(detail=detail)))

    async def order_faults(request: Request) -> Response:
        asked = await json_body(request)
        for method, arguments in asked.items():
            _order(account, method, arguments)
        return json_response({"ordered": len(asked)})

    async def reset_faults(request: Request) -> Response:
        account.faults.reset()
        return json_response({"reset": True})

    async def show_settings(request: Request) -> Response:
        return json_response(account.settings.summary())

    async def change_settings(request: Request) -> Response:
        account.settings.update(await json_body(request))
        return json_response(account.settings.summary())

    return [
        Route("/admin/ledger", _refusing(ledger), methods=["GET"]),
        Route("/admin/faults", _refusing(order_faults), methods=["POST"]),
        Route("/admin/faults", _refusing(reset_faults), methods=["DELETE"]),
        Route("/admin/settings", _refusing(show_settings), methods=["GET"]),
        Route("/admin/settings", _refusing(change_settings), methods=["POST"]),
    ]


def _order(account: Account, method: str, arguments: Any) -> None:
    """`{"on": {"operation": "batches.create", "kind": "reset_after"}}`: the Python API by name."""
    if method not in _METHODS or not isinstance(arguments, dict):
        raise ConfigurationError('Say {"on": {…}}, {"row": {…}} or {"batch": {…}}, with the arguments by name.')
    try:
        getattr(account.faults, method)(**arguments)
    except TypeError as error:
        raise ConfigurationError(f"The fault cannot be ordered: {error}.") from None


def _refusing(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except ConfigurationError as error:
            return Refusal(400, str(error)).response()
        except Refusal as refusal:
            return refusal.response()

    return guarded
