"""`/healthz`, `/readyz` and `/metrics`: for whoever keeps the proxy running. They need no key and tell no secrets."""

from __future__ import annotations

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from batchframe.errors import DatabaseError
from batchframe.proxy.proxy import Proxy
from batchframe.wire.refusals import json_response

_READY_SECONDS = 5.0


async def healthz(proxy: Proxy, request: Request) -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


async def readyz(proxy: Proxy, request: Request) -> Response:
    """It can keep requests: the database is there, and it is not about to stop."""
    if proxy.stopping.done():
        return json_response({"status": "stopping"}, 503)
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await asyncio.to_thread(_look, proxy)
    except (DatabaseError, TimeoutError):
        return json_response({"status": "the database cannot be reached"}, 503)
    return json_response({"status": "ready"})


async def metrics(proxy: Proxy, request: Request) -> Response:
    """For Prometheus."""
    said = await asyncio.to_thread(generate_latest, proxy.metrics.registry)
    return Response(said, headers={"content-type": CONTENT_TYPE_LATEST})


def _look(proxy: Proxy) -> None:
    with proxy.database.transaction() as connection:
        connection.execute(text("SELECT 1"))
